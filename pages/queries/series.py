"""The roll-ups of one target for a line over time with steps of one's choice."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from pages.queries import cache
from store import Selection
from store.clock import HOUR_MS
from store.rollup_plan import Range, available_range, raw_rollups, rollups_of
from store.rollups import Grid, Rollup
from store.schema import PROBES

MOST_RAW = 20_000
"""Probes that steps finer than an hour may need to be read: a quarter of a second."""


class StepError(Exception):
    """Steps that the store cannot tell of this range. The message says which ones it can."""


@dataclass(frozen=True)
class SteppedRollups:
    """Roll-ups that each lie in one step of the range that the store can answer; steps begin at multiples of their
    length since 1970 (UTC).
    """

    window: Range
    rollups: list[Rollup]


# not copied for each request: nobody changes it
@st.cache_resource(ttl=10, max_entries=16, show_spinner=False)
def stepped_rollups(url: str, name: str, since: int, until: int, step_ms: int) -> SteppedRollups:
    """Of a target at all locations, in `since` <= t < `until` (milliseconds UTC). Raises StepError."""
    store = cache.store(url)
    window = available_range(store, Range(since, until))
    if step_ms % HOUR_MS == 0:
        rollups = rollups_of(store, (name,), window, finest="hour" if step_ms % (24 * HOUR_MS) else None)
        return SteppedRollups(window, rollups)
    if since < store.kept_since():
        raise StepError("probes of this range are pruned, and hours are kept: choose a step of 1h or more, in hours")
    if store.count(PROBES, Selection(since, until, (name,))) > MOST_RAW:
        raise StepError(
            f"steps that are not hours are read from single probes, and this range has more than {MOST_RAW:,}: choose "
            "a step of 1h or more, in hours, or a shorter range"
        )
    return SteppedRollups(window, raw_rollups(store, (name,), window, lambda _: Grid(0, step_ms, step_ms)))
