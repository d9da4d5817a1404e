"""One row a target: its state now, its uptime, its times, its speed, and what it is."""

import streamlit as st

from charts.field import field
from pages.shared import access, freshness, loader, looks, overview_parts, overview_rows, screens, source, window
from pages.shared.numbers import metrics

screens.unless_store()
url = source.store_url()
wish = overview_parts.controls([target for target in loader.targets(url) if target.state != "removed"])


@access.fragment(run_every="10s")
def live() -> None:
    """All of it: numbers and strips may change under the reader's eyes, nothing here is zoomed or selected."""
    targets = [target for target in loader.targets(url) if target.state != "removed"]
    if not targets:
        screens.empty()
        return
    shown = overview_rows.shown(url, window.current(), wish)
    if shown.is_new:
        screens.no_probe_yet([target.api_key_env for target in targets if target.api_key_env])
        return
    freshness.banner()
    metrics(shown.metrics)
    st.html(shown.table)
    st.html(looks.legend())
    overview_parts.more(len(shown.rows), wish)


@access.fragment(run_every=window.pixel_s())
def side_by_side() -> None:
    """How the targets stand to each other, and what they cost."""
    spots = overview_parts.spots(url, overview_rows.shown(url, window.current(), wish).rows)
    spending = loader.costs(url, loader.rounded(window.now_ms(), 300_000))
    has_field = len(spots) > 1  # one alone stands beside nothing
    if not has_field and not spending:
        return
    left, right = st.columns([3, 2]) if has_field else (None, st.container())
    if left is not None:
        with left, looks.card("field", "Latency against speed", "medians in this window; a target's colour is its own"):
            looks.chart(field(spots, looks.palette()), key="field_chart", alt=overview_parts.field_words(spots))
    with right, looks.card("costs", "Cost by target", "of the probes, in USD; days are UTC"):
        st.html(overview_parts.costs(spending))


live()
if loader.first_at(url):
    side_by_side()
overview_parts.explanation(url)
