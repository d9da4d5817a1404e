"""What was sent to people, what could not be sent, and what another rule would have sent."""

import streamlit as st

from pages.components import theme
from pages.queries import cache, source
from pages.sections import alert_dry_run, alert_tables
from pages.shell import empty_states, sign_in, time_range
from store.clock import now_ms

empty_states.unless_store()
url = source.store_url()
st.html(theme.head("Alerts", "What was sent to channels, what is open, and what another rule would have sent."))


@sign_in.fragment(run_every="10s")
def live() -> None:
    """What is open, and what was sent lately."""
    now, zone = now_ms(), time_range.zone()
    alerts = cache.alerts(url)
    with st.container():  # kept when empty: what follows keeps its index
        if alerts:
            with theme.card("open_alerts", "Open", "not recovered yet"):
                st.html(alert_tables.open_alerts(url, now, zone))
        else:
            empty_states.no_alert_yet()
    with st.container():
        if failed := alert_tables.failed_deliveries(url, now, zone):
            with theme.card("failed_deliveries", "Failed deliveries", "in the last 24 h; each is tried again"):
                st.html(failed)
    with st.container():
        if silenced := alert_tables.silences(url, now, zone):
            with theme.card("silences", "Silences", "python -m collectors alerts silence TARGET --for 2h"):
                st.html(silenced)
    with st.container():
        if alerts:
            with theme.card("sent_alerts", "Closed", "in the last 7 days, newest first"):
                st.html(alert_tables.sent_alerts(url, now, zone))


live()
alert_dry_run.dry_run_card(url)
