"""Which of the targets that are up are degraded now: two queries for all of them, however many there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import streamlit as st

from pages.components import formatting
from pages.queries import cache
from stats.degraded import WINDOW_MS, Slow, find_slow, usual_hours, usual_ttft
from stats.incidents import TargetState
from stats.overload import is_believed
from store import Selection
from store.clock import HOUR_MS
from store.horizon import horizon
from store.rollups import Series
from store.schema import PROBES, Target

SLOTS = 4
"""How many intervals of a target that is probed seldom are looked at for its limit."""
Samples = Mapping[Series, Sequence[tuple[int, float]]]


def mark_degraded(url: str, targets: Sequence[Target], states: Sequence[TargetState], now: int) -> list[TargetState]:
    """The states, in their order, where those that are up and too slow are degraded instead (milliseconds UTC)."""
    if all(state.status != "up" for state in states):
        return list(states)
    usual, samples = _usual(url, cache.rounded(now, HOUR_MS)), _samples(url, targets, now)
    marked = []
    for target, state in zip(targets, states, strict=True):
        series = (target.name, target.location, target.profile)
        limit_ms = None if target.ttft_max_s is None else target.ttft_max_s * 1_000
        slow = find_slow(samples.get(series, ()), limit_ms, usual.get(series), now) if state.status == "up" else None
        marked.append(TargetState("degraded", None, state.outcome, describe(slow)) if slow is not None else state)
    return marked


def describe(slow: Slow) -> str:
    """Why a target is degraded, in words."""
    ttft = formatting.latency(slow.ttft_ms)
    if slow.limit_ms is not None:
        return f"First token after {ttft}, above its limit of {formatting.latency(slow.limit_ms)}."
    return f"p95 of the last 15 min is {ttft}, {slow.times:.1f} times the usual median at this hour."


def _samples(url: str, targets: Sequence[Target], now: int) -> Samples:
    seldom = [target for target in targets if target.ttft_max_s and SLOTS * target.every_s * 1_000 > WINDOW_MS]
    samples = dict(_read(url, (), WINDOW_MS, cache.rounded(now)))
    if seldom:
        names = tuple(sorted({target.name for target in seldom}))
        reach_ms = round(SLOTS * max(target.every_s for target in seldom) * 1_000)
        samples |= _read(url, names, reach_ms, cache.rounded(now))
    return samples


# not copied for each viewer: nobody changes it
@st.cache_resource(ttl=10, max_entries=4, show_spinner=False)
def _read(url: str, names: tuple[str, ...], reach_ms: int, now: int) -> Samples:
    """The believed TTFT of the probes of the last `reach_ms`, by series, the oldest first."""
    columns = ("target", "location", "profile", "started_at", "ttft_ms", "outcome", "lag_ms")
    found: dict[Series, list[tuple[int, float]]] = defaultdict(list)
    selection = Selection(now - reach_ms, horizon(now), names)
    for name, location, profile, at, ttft_ms, outcome, lag_ms in cache.store(url).read(
        PROBES, selection, columns=columns
    ):
        if ttft_ms is not None and is_believed(outcome, lag_ms):
            found[name, location, profile].append((at, ttft_ms))
    return {series: sorted(samples) for series, samples in found.items()}


@st.cache_resource(ttl=600, max_entries=2, show_spinner=False)
def _usual(url: str, hour: int) -> dict[Series, float]:
    store = cache.store(url)
    return usual_ttft(
        row
        for since, until in usual_hours(hour)
        for row in store.rollups("hour", Selection(since, until), ("ttft_ms",))
    )
