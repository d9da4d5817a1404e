"""Is what I see fresh? One small line in the head of every page, and a banner when the collector has stopped."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from pages.shared import loader, source, words
from pages.shared.window import now_ms, zone
from store import StoreError
from store.rows import Probe, Target

SLACK_S = 60.0


def stale_since(newest: Iterable[Probe], targets: Iterable[Target], now: int) -> int | None:
    """When the last probe was, if the collector has stopped: no active target was probed for two of its intervals and
    the time that a probe may take. Null while it runs, and where nothing is to be probed.
    """
    intervals = {(t.name, t.location): t.every_s for t in targets if t.state == "active"}
    last = [(p.started_at, intervals[p.target, p.location]) for p in newest if (p.target, p.location) in intervals]
    if not last or any(now - at <= (2 * every_s + SLACK_S) * 1_000 for at, every_s in last):
        return None
    return max(at for at, _ in last)


@st.fragment(run_every="5s")
def line() -> None:
    """`live, last probe 4 s ago`."""
    url, now = source.store_url(), now_ms()
    try:
        newest, targets = loader.newest(url), loader.targets(url)
    except StoreError:
        return  # the page itself says what is wrong
    stopped = stale_since(newest, targets, now)
    last = max((probe.started_at for probe in newest), default=None)
    if last is None:
        text = "no probe yet"
    elif stopped is None:
        text = f"live, last probe {words.ago(last, now)}"
    else:
        text = f"collector stopped {words.ago(stopped, now)}"
    title = words.exact(last, zone()) if last is not None else ""
    st.html(
        f'<div class="u-fresh{" stale" if stopped is not None else ""}" role="status" title="{title}"><i></i>'
        f"<span>{text}</span></div>"
    )


def banner() -> None:
    """Say since when the collector has stopped, and how to start it."""
    url, now = source.store_url(), now_ms()
    stopped = stale_since(loader.newest(url), loader.targets(url), now)
    if stopped is not None:
        st.warning(
            f"No probe since {words.clock(stopped, zone(), now)} ({words.ago(stopped, now)}). What follows is what was "
            "seen until then; the time since counts as a gap, neither up nor down. Start it again with "
            "`python -m collectors run --every 5`, or look at its timer.",
            title="The collector has stopped",
            icon=":material/pause_circle:",
        )
