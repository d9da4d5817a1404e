"""All models that the router lists: search them, filter them, see what a price buys, pick some to compare."""

import streamlit as st

from charts import market
from pages.shared import catalog_parts, loader, looks, screens, source, window, words
from stats.catalog import filtered, spots

screens.unless_store()
url = source.store_url()
models = catalog_parts.models(url)
st.html(catalog_parts.head(len(models)))
if not models:
    screens.no_catalog()
    st.stop()
shown = filtered(models, catalog_parts.filters(models))
measured = catalog_parts.measured(url, window.current())
picked = catalog_parts.listed(shown, measured, len(models))
catalog_parts.compare_link(url, picked)

left, right = st.columns(2)
palette = looks.palette()
with left, looks.card("context_scatter", "Price against context", words.plural(len(shown), "model")):
    looks.chart(
        market.scatter(
            spots((model, model.context_tokens) for model in shown),
            palette,
            label="tokens of context",
            ticks_named=market.CONTEXT_TICKS,
        ),
        key="context_scatter_chart",
        alt="Each model by its price and its context size",
    )
with right, looks.card("speed_scatter", "Price against measured speed", "of the models that our own probes met"):
    met = [model for model in shown if model.model in measured]
    looks.chart(
        market.scatter(
            spots((model, measured[model.model].tokens_per_second) for model in met), palette, label="tokens per second"
        ),
        key="speed_scatter_chart",
        alt="Each probed model by its price and its measured output speed",
    )
st.caption(loader.catalog_note(url, window.now_ms()))
