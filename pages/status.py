"""A page for the public: names, states, 90 days of bars and incidents. No URLs, no errors, no prices."""

import streamlit as st

from pages.components import status_bars, theme
from pages.queries import cache, source
from pages.sections import status_list
from pages.shell import sign_in, time_range
from store import StoreError
from store.clock import now_ms

url = source.store_url()
st.html(theme.head("Status"))


@sign_in.fragment(run_every="30s")
def live() -> None:
    """The whole page follows along."""
    now = now_ms()
    try:
        cache.store(url)
        rows = status_list.status_rows(url, now)
    except StoreError:  # what is wrong, and where, is not for the public
        rows = []
    if not rows:
        st.info("The status is unknown right now. This page checks again every 30 seconds.", icon=":material/schedule:")
        return
    st.html(status_list.banner(rows))
    st.html(status_list.status_list(rows, time_range.zone()))
    with theme.card("incidents", "Incidents", f"of the last {status_list.DAYS} days, in time zone {time_range.zone()}"):
        st.html(status_list.incident_table(rows, now, time_range.zone()))
    st.html(status_bars.legend())


live()
