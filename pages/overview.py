"""One row per target: its state, uptime, latency, speed and price."""

import streamlit as st

from charts.latency_speed_scatter import latency_speed_scatter
from pages.components import status_bars, theme
from pages.components.metric import metrics
from pages.queries import cache, source
from pages.sections import overview_content, overview_controls, overview_events, overview_summary, why
from pages.shell import empty_states, sign_in, time_range
from store.clock import now_ms

empty_states.unless_store()
url = source.store_url()


@sign_in.fragment(run_every="10s")
def first_sentence() -> None:
    """Is it me or them?"""
    said = overview_content.first_sentence(url, time_range.current())
    if said:
        st.html(said)


if cache.targets(url):
    first_sentence()
why.explain_asked(url)
current = [target for target in cache.targets(url) if target.state != "removed"]
form = overview_controls.controls(current, time_range.current())


@sign_in.fragment(run_every="10s")
def live() -> None:
    """The metrics and rows, refreshed every 10 seconds: nothing here can be zoomed or selected."""
    targets = [target for target in cache.targets(url) if target.state != "removed"]
    if not targets:
        empty_states.empty()
        return
    shown = overview_content.overview_content(url, time_range.current(), form.row_filter, form.layout, form.size)
    if shown.is_new:
        empty_states.no_probe_yet([target.api_key_env for target in targets if target.api_key_env])
        return
    metrics(shown.metrics)
    st.html(shown.table)
    if not form.layout.by_location:  # the table by location has no bars
        st.html(status_bars.legend())
    overview_controls.row_limit_note(shown.lines, form)


@sign_in.fragment(run_every=time_range.pixel_s())
def side_by_side() -> None:
    """The comparison of the targets, and their costs."""
    content = overview_content.overview_content(url, time_range.current(), form.row_filter, form.layout, form.size)
    points = overview_summary.points(url, content.rows)
    spending = cache.costs(url, cache.rounded(now_ms(), 300_000))
    has_field = len(points) > 1  # one point compares with nothing
    if not has_field and not spending:
        return
    left, right = st.columns([3, 2]) if has_field else (None, st.container())
    if left is not None:
        with left, theme.card("field", "Latency against speed", "medians in this range", charts=["field_chart"]):
            theme.chart(
                latency_speed_scatter(points, theme.palette()),
                key="field_chart",
                alt=overview_summary.describe_points(points),
            )
    with right, theme.card("costs", "Cost by target", "of probes and checks, in USD, by UTC day"):
        st.html(overview_summary.costs(spending))


live()
if cache.first_at(url):
    side_by_side()
    overview_events.events_card(url)
overview_summary.introduction(url)
