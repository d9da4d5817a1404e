"""A page to show to others: names, states, 90 days of bars and incidents. No address, no error, no price."""

import streamlit as st

from pages.shared import access, loader, looks, source, status_parts, window
from store import StoreError

url = source.store_url()
st.html(looks.head("Status"))


@access.fragment(run_every="30s")
def live() -> None:
    """All of it."""
    now = window.now_ms()
    try:
        loader.store(url)
        found = status_parts.lines(url, now)
    except StoreError:  # what is wrong, and where, is not for everybody
        found = []
    if not found:
        st.info("Nothing is known right now. This page looks again every half minute.", icon=":material/schedule:")
        return
    st.html(status_parts.banner(found))
    st.html(status_parts.table(found, now, window.zone()))
    with looks.card(
        "incidents", "Incidents", f"of the last {status_parts.DAYS} days, in the time zone {window.zone()}"
    ):
        st.html(status_parts.incidents(found, now, window.zone()))
    st.html(looks.legend())


live()
