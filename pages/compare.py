"""Two to six targets or models side by side; the address of the page reproduces the view."""

import streamlit as st

from charts import compare as charts
from pages.shared import compare_parts, compare_table, looks, screens, source, window

screens.unless_store()
url = source.store_url()
st.html(compare_parts.HEAD)
names = compare_parts.names(url)
if not names:
    screens.empty()
    st.stop()
picked, wish = compare_parts.controls(names)
if len(picked) < 2:
    st.html(compare_parts.suggestions(url))
    st.stop()
chosen, now, zone = window.current(), window.now_ms(), window.zone()
columns = compare_parts.columns(url, picked, chosen, wish, now)
st.html(compare_table.table(columns, wish, zone))
if any(column.view is not None for column in columns):
    since, until, palette = chosen.since, chosen.until, looks.palette()
    numbers = {column.name: column.number or 0 for column in columns}
    left, right = st.columns(2)
    with left, looks.card("ttft", "Time to first token", "medians"):
        looks.chart(
            charts.medians(
                compare_parts.over_time(columns, "ttft_ms"), since, until, palette, numbers, unit="ms", zone=zone
            ),
            key="ttft_chart",
            alt=f"Median time to first token of {', '.join(picked)} {chosen.words}",
        )
    with right, looks.card("speed", "Output speed", "medians of throughput probes"):
        looks.chart(
            charts.medians(
                compare_parts.over_time(columns, "tokens_per_second"),
                since,
                until,
                palette,
                numbers,
                unit="tok/s",
                zone=zone,
            ),
            key="speed_chart",
            alt=f"Median output speed of {', '.join(picked)} {chosen.words}",
        )
st.caption("The address of this page reproduces this view: what is compared, the request's size and the time range.")
