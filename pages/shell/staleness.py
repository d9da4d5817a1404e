"""Is what I see fresh? One small line in the head of every page, and a banner when the collector has stopped."""

from __future__ import annotations

import streamlit as st

from pages.components import formatting
from pages.queries import cache, source
from pages.shell import sign_in
from pages.shell.time_range import zone
from store import StoreError
from store.clock import now_ms
from store.staleness import stale_since


@sign_in.fragment(run_every="5s")
def line() -> None:
    """`live, last probe 4 s ago`."""
    url, now = source.store_url(), now_ms()
    try:
        newest, targets = cache.newest(url), cache.targets(url)
    except StoreError:
        return  # the page itself says what is wrong
    stopped = stale_since(newest, cache.last_runs(url), targets, now)
    last = max((probe.started_at for probe in newest), default=None)
    if last is None:
        kind, text = "none", "no probe yet"
    elif stopped is None:
        kind, text = "live", f"live, last probe {formatting.ago(last, now)}"
    else:
        kind, text = "stale", f"collector stopped {formatting.ago(stopped, now)}"
    title = formatting.exact(last, zone()) if last is not None else ""
    st.html(f'<div class="u-fresh {kind}" role="status" data-tip="{title}"><i></i><span>{text}</span></div>')


def banner() -> None:
    """Say since when the collector has stopped, and how to start it. On a wide screen it stands at the bottom of the
    window: what somebody reads does not move when it comes and goes.
    """
    url, now = source.store_url(), now_ms()
    stopped = stale_since(cache.newest(url), cache.last_runs(url), cache.targets(url), now)
    place = st.container(key="stopped")  # kept when empty: else what follows moves up and is drawn twice for a moment
    if stopped is not None:
        with place:
            st.warning(
                f"No probe since {formatting.clock(stopped, zone(), now)} ({formatting.ago(stopped, now)}). "
                "What is shown was seen until then; "
                "the time since counts as a gap, neither up nor down. Start it again with "
                "`python -m collectors run --every 5`, or look at its timer.",
                title="The collector has stopped",
                icon=":material/pause_circle:",
            )
