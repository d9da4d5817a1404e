"""What happened to one target in the range, with a filter."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from pages.components import event_list, theme
from pages.queries import cache, events
from pages.sections import overview_events
from pages.shell import sign_in, time_range
from stats.events import Event, filter_events
from store.clock import now_ms
from store.schema import Target


@sign_in.fragment(run_every="60s")
def events_card(url: str, target: Target) -> None:
    """The newest events; choosing a filter draws this card alone."""
    began = cache.first_at(url).get(target.name, 0)
    listed = events.target_events(url, target, time_range.steady(began))

    def link(event: Event) -> str:
        return overview_events.link(replace(event, target=target.name, location=target.location))

    with theme.card("events", "Events", "of this target in this range"):
        kinds = st.multiselect(
            "Kinds",
            list(event_list.LABELS.values()),
            key="event_kinds",
            bind="query-params",
            placeholder="All kinds of events",
            label_visibility="collapsed",
        )
        shown = filter_events(listed, event_list.kinds_of(kinds))
        st.html(event_list.event_list(shown, link, time_range.zone(), now_ms(), has_targets=False, most_px=300))
