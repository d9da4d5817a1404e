"""One row a target: its state now, its uptime, its times, its speed, and what it is."""

import streamlit as st

from charts.latency_speed_scatter import field
from pages.components import theme
from pages.components.metric import metrics
from pages.queries import cache, source
from pages.sections import overview_summary, overview_table
from pages.shell import empty_states, sign_in, time_range
from store.clock import now_ms

empty_states.unless_store()
url = source.store_url()
wish = overview_summary.controls([target for target in cache.targets(url) if target.state != "removed"])


@sign_in.fragment(run_every="10s")
def live() -> None:
    """All of it: numbers and strips may change under the reader's eyes, nothing here is zoomed or selected."""
    targets = [target for target in cache.targets(url) if target.state != "removed"]
    if not targets:
        empty_states.empty()
        return
    shown = overview_table.shown(url, time_range.current(), wish)
    if shown.is_new:
        empty_states.no_probe_yet([target.api_key_env for target in targets if target.api_key_env])
        return
    metrics(shown.metrics)
    st.html(shown.table)
    st.html(theme.legend())
    overview_summary.more(len(shown.rows), wish)


@sign_in.fragment(run_every=time_range.pixel_s())
def side_by_side() -> None:
    """How the targets stand to each other, and what they cost."""
    spots = overview_summary.spots(url, overview_table.shown(url, time_range.current(), wish).rows)
    spending = cache.costs(url, cache.rounded(now_ms(), 300_000))
    has_field = len(spots) > 1  # one alone stands beside nothing
    if not has_field and not spending:
        return
    left, right = st.columns([3, 2]) if has_field else (None, st.container())
    if left is not None:
        with left, theme.card("field", "Latency against speed", "medians in this window; a target's colour is its own"):
            theme.chart(field(spots, theme.palette()), key="field_chart", alt=overview_summary.field_words(spots))
    with right, theme.card("costs", "Cost by target", "of the probes, in USD; days are UTC"):
        st.html(overview_summary.costs(spending))


live()
if cache.first_at(url):
    side_by_side()
overview_summary.explanation(url)
