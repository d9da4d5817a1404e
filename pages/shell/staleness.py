"""Is what I see fresh? A dot in the header of every page, and a bar below it when the collector has stopped."""

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
    """A dot that says `live, last probe 4 s ago`: in words where there is room, else in its tooltip."""
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
    tip = f"{text} ({formatting.exact(last, zone())})" if last is not None else text
    st.html(f'<div class="u-fresh {kind}" role="status" tabindex="0" data-tip="{tip}"><i></i><span>{text}</span></div>')


@sign_in.fragment(run_every="5s")
def stopped_bar() -> None:
    """A slim bar that says since when the collector has stopped and how to start it, until its reader closes it."""
    url, now = source.store_url(), now_ms()
    try:
        stopped = stale_since(cache.newest(url), cache.last_runs(url), cache.targets(url), now)
    except StoreError:
        return
    place = st.container(key="stopped", horizontal=True, vertical_alignment="center")  # kept when empty, so that
    if stopped is None or st.session_state.get(_CLOSED) == stopped:  # what follows is never drawn twice
        return
    with place:
        st.html(
            '<div class="u u-stopped" role="alert"><b>The collector has stopped.</b> '
            f"No probe since {formatting.clock(stopped, zone(), now)} ({formatting.ago(stopped, now)}): "
            "a gap, neither up nor down. Start it with <code>python -m collectors run --every 5</code>, "
            "or check its timer.</div>"
        )
        st.button(
            "",
            icon=":material/close:",
            help="Close",
            key="close_stopped",
            type="tertiary",
            on_click=_close,
            args=(stopped,),
        )


_CLOSED = "closed_stopped"


def _close(stopped: int) -> None:
    st.session_state[_CLOSED] = stopped
