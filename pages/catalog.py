"""All models that the router lists: search and filter them, see what a price buys, select some to compare."""

import streamlit as st

from charts import price_scatter
from pages.components import formatting, theme
from pages.queries import cache, source
from pages.sections import catalog_table
from pages.shell import empty_states, time_range, workload
from stats.catalog import filter_models, group_points
from store.clock import now_ms

empty_states.unless_store()
url = source.store_url()
models = catalog_table.models(url)
st.html(catalog_table.head(len(models)))
if not models:
    empty_states.no_catalog()
    st.stop()
measured = catalog_table.load_measurements(url, time_range.current())
shown = catalog_table.measured_first(filter_models(models, catalog_table.filters(models)), measured)
estimates = catalog_table.estimates(url, shown, measured, workload.control())
picked = catalog_table.models_table(shown, measured, models, estimates)
catalog_table.compare_link(url, picked)

left, right = st.columns(2)
palette = theme.palette()
with (
    left,
    theme.card(
        "context_scatter",
        "Price against context",
        formatting.plural(len(shown), "model"),
        charts=["context_scatter_chart"],
    ),
):
    theme.chart(
        price_scatter.scatter(
            group_points((model, model.context_tokens) for model in shown),
            palette,
            label="tokens of context",
            ticks_named=price_scatter.CONTEXT_TICKS,
        ),
        key="context_scatter_chart",
        alt="Each model by its price and its context size",
    )
with (
    right,
    theme.card(
        "speed_scatter",
        "Price against measured speed",
        "of the models that your probes measured",
        charts=["speed_scatter_chart"],
    ),
):
    probed = [model for model in shown if model.model in measured]
    theme.chart(
        price_scatter.scatter(
            group_points((model, measured[model.model].tokens_per_second) for model in probed),
            palette,
            label="tokens per second",
        ),
        key="speed_scatter_chart",
        alt="Each probed model by its price and its measured output speed",
    )
st.caption(cache.catalog_note(url, now_ms()))
