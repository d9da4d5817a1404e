"""Is what I see fresh? One small line in the head of every page, and a banner when the collector has stopped."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from statistics import median

import streamlit as st

from pages.shared import loader, source, words
from pages.shared.window import now_ms, zone
from store import StoreError
from store.rows import Probe, Run, Target

SLACK_S = 60.0


def stale_since(newest: Iterable[Probe], runs: Iterable[Run], targets: Iterable[Target], now: int) -> int | None:
    """When something was last seen (milliseconds UTC), if the collector has stopped; null while it runs.

    It has stopped when neither a probe nor a run came for two of the shortest intervals and the time that a probe may
    take. A timer that runs more rarely than that is held to its own rhythm, the median step between its last runs.
    """
    intervals = [target.every_s for target in targets if target.state == "active"]
    moments = sorted(run.ended_at for run in runs)
    last = max([probe.started_at for probe in newest] + moments[-1:], default=None)
    if last is None or not intervals:
        return None
    steps = [(after - before) / 1_000 for before, after in itertools.pairwise(moments)]
    rhythm_s = max(min(intervals), median(steps) if len(steps) >= 3 else 0.0)
    return last if now - last > (2 * rhythm_s + SLACK_S) * 1_000 else None


@st.fragment(run_every="5s")
def line() -> None:
    """`live, last probe 4 s ago`."""
    url, now = source.store_url(), now_ms()
    try:
        newest, targets = loader.newest(url), loader.targets(url)
    except StoreError:
        return  # the page itself says what is wrong
    stopped = stale_since(newest, loader.last_runs(url), targets, now)
    last = max((probe.started_at for probe in newest), default=None)
    if last is None:
        kind, text = "none", "no probe yet"
    elif stopped is None:
        kind, text = "live", f"live, last probe {words.ago(last, now)}"
    else:
        kind, text = "stale", f"collector stopped {words.ago(stopped, now)}"
    title = words.exact(last, zone()) if last is not None else ""
    st.html(f'<div class="u-fresh {kind}" role="status" title="{title}"><i></i><span>{text}</span></div>')


def banner() -> None:
    """Say since when the collector has stopped, and how to start it."""
    url, now = source.store_url(), now_ms()
    stopped = stale_since(loader.newest(url), loader.last_runs(url), loader.targets(url), now)
    if stopped is not None:
        st.warning(
            f"No probe since {words.clock(stopped, zone(), now)} ({words.ago(stopped, now)}). What follows is what was "
            "seen until then; the time since counts as a gap, neither up nor down. Start it again with "
            "`python -m collectors run --every 5`, or look at its timer.",
            title="The collector has stopped",
            icon=":material/pause_circle:",
        )
