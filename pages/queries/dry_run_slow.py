"""When a target was slower than its usual, over a month: the usual TTFT of each hour, and the slots above it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from alerts.facts import Slot
from pages.queries import cache
from stats.degraded import BASELINE_DAYS, FEWEST, MOST_TIMES, WINDOW_MS, times_usual, usual_hours, usual_ttft
from store import Selection
from store.clock import DAY_MS, HOUR_MS
from store.schema import Target

DAYS = 30


# not copied, because nobody changes it
@st.cache_resource(ttl=300, max_entries=4, show_spinner=False, hash_funcs={Target: hash})
def usual_by_hour(url: str, target: Target, now: int) -> dict[int, float]:
    """By hour of the last `DAYS` days (milliseconds UTC), the median TTFT at that hour over the 7 days before it, where
    it is known.
    """
    until = now + -now % HOUR_MS
    series = (target.name, target.location, "ping")
    rows: dict[int, tuple[Any, ...]] = {}
    wanted = Selection(until - (DAYS + BASELINE_DAYS + 1) * DAY_MS, until, (target.name,))
    for row in cache.store(url).rollups("hour", wanted, ("ttft_ms",)):
        if row[:3] == series:
            rows[row[3]] = row
    usual = {}
    for hour in range(until - DAYS * DAY_MS, until, HOUR_MS):
        found = usual_ttft(rows[at] for at, _ in usual_hours(hour) if at in rows)
        if series in found:
            usual[hour] = found[series]
    return usual


def slow_slots(slots: Sequence[Slot], usual: Mapping[int, float]) -> frozenset[int]:
    """The moments of successful slots at whose time the last 15 minutes were slower than usual."""
    believed = [(slot.at, slot.ttft_ms) for slot in slots if slot.is_up and slot.ttft_ms is not None]
    slow, began = [], 0
    limits: Mapping[int, float] = defaultdict(lambda: float("inf"), {at: MOST_TIMES * ms for at, ms in usual.items()})
    for place, (at, _) in enumerate(believed):
        while believed[began][0] <= at - WINDOW_MS:
            began += 1
        if place + 1 - began < FEWEST:
            continue
        window = [ttft_ms for _, ttft_ms in believed[began : place + 1]]
        hour = at - at % HOUR_MS
        if max(window) <= limits[hour]:  # nearly always
            continue
        times = times_usual(window, usual[hour])
        if times is not None and times.is_degraded:
            slow.append(at)
    return frozenset(slow)
