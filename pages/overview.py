"""One row a target: its state now, its uptime, its times, its speed, and what it is."""

import streamlit as st

from pages.shared import freshness, loader, looks, overview_rows, screens, source, window
from pages.shared.numbers import metrics

screens.unless_store()
url = source.store_url()


@st.fragment(run_every="10s")
def live() -> None:
    """All of it: numbers and strips may change under the reader's eyes, nothing here is zoomed or selected."""
    now = window.now_ms()
    chosen = window.current().fresh()
    targets = [target for target in loader.targets(url) if target.state != "removed"]
    if not targets:
        screens.empty()
        return
    rows = overview_rows.rows(url, targets, chosen, now)
    if all(row.last_at is None for row in rows):
        screens.no_probe_yet([target.api_key_env for target in targets if target.api_key_env])
        return
    freshness.banner()
    metrics(overview_rows.summary(url, rows, chosen, now))
    st.html(overview_rows.table(url, rows, now, window.zone()))
    st.html(looks.legend())


live()
if loader.costs(url, loader.rounded(window.now_ms(), 60_000)):
    with st.expander("Cost by target"):
        st.html(overview_rows.costs(url, window.now_ms()))
st.caption(
    "Uptime is the share of decided time; the interval behind it is 95% (Wilson). "
    "Below half of the time covered there is no number."
)
