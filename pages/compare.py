"""Two to six targets or models side by side; the page's URL reproduces the view."""

import streamlit as st

from charts import median_lines as charts
from pages.components import theme
from pages.queries import source
from pages.sections import compare_identity, compare_table, compare_targets, compare_workloads
from pages.shell import empty_states, time_range
from store.clock import now_ms

empty_states.unless_store()
url = source.store_url()
st.html(compare_targets.HEAD)
names = compare_targets.names(url)
if not names:
    empty_states.empty()
    st.stop()
picked, size = compare_targets.controls(url, names)
if len(picked) < 2:
    st.html(compare_targets.suggestions(url))
    st.stop()
chosen, now, zone = time_range.current(), now_ms(), time_range.zone()
columns = compare_targets.columns(url, picked, chosen, size, now)
st.html(compare_table.comparison(columns, size))
if any(column.history is not None for column in columns):
    since, until, palette = chosen.since, chosen.until, theme.palette()
    numbers = {column.name: column.number or 0 for column in columns}
    left, right = st.columns(2)
    with left, theme.card("ttft", "Time to first token", "medians", charts=["ttft_chart"]):
        theme.chart(
            charts.medians(
                compare_targets.bands(columns, "ttft_ms"), since, until, palette, numbers, unit="ms", zone=zone
            ),
            key="ttft_chart",
            alt=f"Median time to first token of {', '.join(picked)} {chosen.words}",
        )
    with right, theme.card("speed", "Output speed", "medians of throughput probes", charts=["speed_chart"]):
        theme.chart(
            charts.medians(
                compare_targets.bands(columns, "tokens_per_second"),
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
targets = [column.target for column in columns if column.target is not None]
compare_workloads.ladders_card(url, targets, chosen)
compare_identity.distances_card(url, targets)
st.caption("The URL of this page reproduces this view: targets, request size and time range.")
