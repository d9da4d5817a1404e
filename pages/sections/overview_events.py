"""What happened to all targets in the range, with filters."""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st

from pages.components import event_list, theme
from pages.queries import cache, events
from pages.shell import sign_in, time_range
from stats.events import Event, filter_events
from store.clock import now_ms


@sign_in.fragment(run_every="60s")
def events_card(url: str) -> None:
    """The newest events; choosing a filter draws this card alone."""
    targets = [target for target in cache.targets(url) if target.state == "active"]
    listed = events.fleet_events(url, targets, time_range.steady())
    some = ""
    if len(targets) > events.MOST_SEARCHED:
        some = "; change points and served models are on each target's page"
    with theme.card("events", "Events", f"of all targets in this range{some}"):
        with st.container(horizontal=True):
            kinds = st.multiselect(
                "Kinds", list(event_list.LABELS.values()), key="event_kinds", bind="query-params", placeholder="Any"
            )
            names = sorted({target.name for target in targets})
            chosen = st.multiselect("Targets", names, key="event_targets", bind="query-params", placeholder="Any")
        shown = filter_events(listed, event_list.kinds_of(kinds), chosen)
        st.html(event_list.event_list(shown, link, time_range.zone(), now_ms(), has_targets=True))


def link(event: Event) -> str:
    """The model page around an event's moment; of a location's, the overview."""
    around = time_range.around(event.at, event.at + round((event.lasted_s or 0) * 1_000))
    if event.kind == "recovered":
        around = time_range.around(event.at - round((event.lasted_s or 0) * 1_000), event.at)
    if event.target is None:
        return f"./?{urlencode(around)}"
    location = {"location": event.location} if event.location else {}
    return f"model?{urlencode({'target': event.target} | location | around)}"
