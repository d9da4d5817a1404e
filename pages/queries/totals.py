"""What probes came to since a target was first probed: the counters of `/metrics`, which a restart leaves alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from pages.queries import cache
from stats.samples import Samples
from stats.summary import Summary, summary
from store import Selection
from store.arrays import bucket_counts
from store.clock import HOUR_MS, now_ms
from store.horizon import horizon
from store.outcomes import UP
from store.rollups import BLOCK_MS, COLUMNS, COUNTED, Rollup, Series
from store.schema import PROBES, TRAFFIC

_COLUMNS = tuple(name if name in (*COUNTED, "ttft_ms") else None for name in COLUMNS)
CLOSED_S = 600
"""How long the sums of blocks that are over are kept: what is imported into them is counted after so many seconds."""
LOOKED_THROUGH = 64


@dataclass(frozen=True)
class Total:
    """The probes of one series since the first one."""

    counted: Summary
    ttft_ms: Samples


def totals(url: str) -> dict[Series, Total]:
    """By target, location and profile. None of its numbers ever falls, but by a repair of the store."""
    now = now_ms()
    closed, recent = _closed(url, now - now % BLOCK_MS), _read(url, now - now % BLOCK_MS, horizon(now))
    return {series: _add(closed.get(series), recent.get(series)) for series in sorted({*closed, *recent})}


# not copied for each scrape: nobody changes it
@st.cache_resource(ttl=CLOSED_S, max_entries=4, show_spinner=False)
def _closed(url: str, until: int) -> dict[Series, Total]:
    return _read(url, 0, until)


def _read(url: str, since: int, until: int) -> dict[Series, Total]:
    by_series: dict[Series, list[Rollup]] = {}
    for row in cache.store(url).rollups("block", Selection(since, until), _COLUMNS):
        rollup = Rollup.from_row("block", row)
        if rollup.profile != TRAFFIC:
            by_series.setdefault(rollup.series, []).append(rollup)
    return {
        series: Total(summary(listed), Samples(bucket_counts(listed, "ttft_ms")))
        for series, listed in by_series.items()
    }


def _add(closed: Total | None, recent: Total | None) -> Total:
    if closed is None or recent is None:
        return closed or recent or Total(Summary(), Samples())
    return Total(
        Summary(np.add(closed.counted.counted, recent.counted.counted)),
        Samples(np.add(closed.ttft_ms.buckets, recent.ttft_ms.buckets)),
    )


@st.cache_data(ttl=600, max_entries=4_096, show_spinner=False)
def last_success(url: str, name: str, location: str, profile: str, before: int) -> int | None:
    """When the last probe of a series that succeeded before a moment began (milliseconds UTC); the hour in which it did
    where it was pruned, and null where none did. It looks through the newest probes, else through days and hours.
    """

    def newest_up(since: int | None, until: int, limit: int | None) -> int | None:
        rows = store.read(
            PROBES,
            Selection(since, until, (name,)),
            columns=("started_at", "location", "profile", "outcome"),
            newest_first=True,
            limit=limit,
        )
        mine = (at for at, *series, outcome in rows if series == [location, profile] and outcome in UP)
        return next(mine, None)

    store = cache.store(url)
    found = newest_up(None, before, LOOKED_THROUGH)
    if found is not None:
        return found
    began, ended = 0, before
    for step, length_ms in (("day", 24 * HOUR_MS), ("hour", HOUR_MS)):
        rows = store.rollups(step, Selection(began, ended, (name,)), ("ok",))  # type: ignore[arg-type]
        up = [at for _, *series, at, ok in rows if series == [location, profile] and ok]
        if not up:
            return None
        began, ended = max(up), min(before, max(up) + length_ms)
    found = newest_up(began, ended, None)
    return found if found is not None else began
