"""Is what I see fresh and complete? The collectors' runs, the store, and what all of it runs on."""

import streamlit as st

from pages.shared import access, looks, screens, source, system_parts, window
from pages.shared.numbers import metrics

screens.unless_store()
url = source.store_url()
st.html(looks.head("System", "Is what the other pages show fresh and complete, and what does it cost to keep?"))


@access.fragment(run_every="10s")
def live() -> None:
    """Nothing here is zoomed or selected, so it may change under the reader's eyes."""
    now = window.now_ms()
    metrics(system_parts.metrics(url, now))
    with st.container():  # kept when empty: what follows keeps its index, else it is drawn twice for a moment
        if errors := system_parts.internal_errors(url, now, window.zone()):
            with looks.card(
                "internal_errors", "Errors in Uptoken", "of the last 24 h: no target's outage, and not counted"
            ):
                st.html(errors)
        if late := system_parts.from_the_future(url):
            with looks.card("from_the_future", "Rows from the future", "not counted"):
                st.html(late)
    with looks.card("budget", "Budget", "of this UTC day: spent or set aside, by the collector's own count"):
        st.html(system_parts.budgets(url, now, window.zone()))
    with st.container():
        if limits := system_parts.rate_limits(url, now, window.zone()):
            with looks.card(
                "rate_limits", "Rate limits", "as the servers say; a target rests when its server asks for it"
            ):
                st.html(limits)
    with looks.card("collectors", "Collectors", "each bar is half an hour: runs that went well, runs with an error"):
        st.html(system_parts.collectors(url, now, window.zone()))


live()
with looks.card("versions", "Versions", "of this dashboard"):
    st.html(system_parts.versions())
st.caption(
    "For a supervisor: `python -m collectors check --health` exits with 1 when the collector has stopped. "
    "Copies: `python -m collectors backup FILE`."
)
