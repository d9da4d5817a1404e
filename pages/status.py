"""A page to show to others: names, states, 90 days of bars and incidents. No address, no error, no price."""

import streamlit as st

from pages.components import theme
from pages.queries import cache, source
from pages.sections import status_list
from pages.shell import sign_in, time_range
from store import StoreError
from store.clock import now_ms

url = source.store_url()
st.html(theme.head("Status"))


@sign_in.fragment(run_every="30s")
def live() -> None:
    """All of it."""
    now = now_ms()
    try:
        cache.store(url)
        found = status_list.lines(url, now)
    except StoreError:  # what is wrong, and where, is not for everybody
        found = []
    if not found:
        st.info("Nothing is known right now. This page looks again every half minute.", icon=":material/schedule:")
        return
    st.html(status_list.banner(found))
    st.html(status_list.table(found, now, time_range.zone()))
    with theme.card(
        "incidents", "Incidents", f"of the last {status_list.DAYS} days, in the time zone {time_range.zone()}"
    ):
        st.html(status_list.incidents(found, now, time_range.zone()))
    st.html(theme.legend())


live()
