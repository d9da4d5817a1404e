"""Is what is shown fresh and complete? The collectors' runs, the store, and the versions."""

import streamlit as st

from pages.components import theme
from pages.components.metric import metrics
from pages.queries import source
from pages.sections import system_health
from pages.shell import empty_states, sign_in, time_range
from store.clock import now_ms

empty_states.unless_store()
url = source.store_url()
st.html(theme.head("System", "Is the data fresh and complete, and how much space does it take?"))


@sign_in.fragment(run_every="10s")
def live() -> None:
    """Nothing here is zoomed or selected, so it may change under the reader's eyes."""
    now = now_ms()
    metrics(system_health.metrics(url, now))
    with st.container():  # kept when empty: what follows keeps its index, else it is drawn twice for a moment
        if errors := system_health.internal_errors(url, now, time_range.zone()):
            with theme.card(
                "internal_errors", "Errors in Uptoken", "in the last 24 h; not outages of a target, and not counted"
            ):
                st.html(errors)
        if wrong := system_health.configuration(url, now, time_range.zone()):
            with theme.card(
                "configuration", "Configuration", "targets.toml is wrong: the collector keeps the one from before"
            ):
                st.html(wrong)
        if late := system_health.from_the_future(url):
            with theme.card("from_the_future", "Rows from the future", "not counted"):
                st.html(late)
    with theme.card("budget", "Budget", "of this UTC day: spent or reserved, as counted by the collector"):
        st.html(system_health.budgets(url, now, time_range.zone()))
    with st.container():
        if limits := system_health.rate_limits(url, now, time_range.zone()):
            with theme.card(
                "rate_limits", "Rate limits", "as reported by the servers; a target rests when its server asks for it"
            ):
                st.html(limits)
    with st.container():
        if relays := system_health.relays(url, now, time_range.zone()):
            with theme.card("relay", "Relay", "what it recorded in the last 24 h, and what it dropped"):
                st.html(relays)
    with st.container():
        if certificates := system_health.certificates(url, now, time_range.zone()):
            with theme.card("certificates", "Certificates", "when the TLS certificate of each host expires"):
                st.html(certificates)
    with theme.card("collectors", "Collectors", "each bar is half an hour: successful runs, runs with an error"):
        st.html(system_health.collectors(url, now, time_range.zone()))


live()
with theme.card("versions", "Versions", "of this dashboard"):
    st.html(system_health.versions())
st.caption(
    "For a supervisor: `python -m collectors check --health` exits with 1 when the collector has stopped. "
    "Backups: `python -m collectors backup FILE`."
)
