"""What passed through the relay, for the pages: bounded, and cached for as long as nobody notices."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from pages.queries import cache
from stats import traffic
from stats.samples import Percentiles, percentiles
from stats.summary import Summary, summary
from stats.traffic import PassedAttempt
from stats.traffic_uptime import TrafficUptime, uptime
from store import Selection
from store.clock import DAY_MS, HOUR_MS
from store.rollup_plan import Range, available_range, rollups_of
from store.rollups import SKETCHED
from store.schema import RELAY, REQUESTS, TRAFFIC, Usage
from store.traffic import traffic_of, usage_of

MOST_ATTEMPTS = 20_000
"""The newest of a range are looked at one by one; counts, tokens and times are of all."""


@dataclass(frozen=True)
class TrafficView:
    """A target's traffic over a range. `attempts` are those of the newest requests that were tried there, wherever else
    they were tried; `is_cut`: more lie in the range than were looked at.
    """

    counts: Summary
    percentiles: dict[str, Percentiles]
    uptime: TrafficUptime
    usage: list[Usage]
    attempts: list[PassedAttempt]
    is_cut: bool


@dataclass(frozen=True)
class RelayHealth:
    """One location's relay over a day: rows that it recorded and dropped, its longest queue, its last error, when it
    last said so (milliseconds UTC), and the time that it added to each request of the last hour.
    """

    location: str
    written: int
    dropped: int
    longest_queue: int
    last_at: int
    error: str | None
    added_ms: Percentiles


@st.cache_data(ttl=10, max_entries=4, show_spinner=False)
def targets(url: str) -> list[str]:
    """The targets that anything ever passed to, by name. Costs a row for 16 days of each."""
    rows = cache.store(url).rollups("block", columns=("ok",))
    return sorted({target for target, _, profile, *_ in rows if profile == TRAFFIC})


@st.cache_data(ttl=10, max_entries=16, max_size="100MB", show_spinner=False)
def view(url: str, name: str, since: int, until: int) -> TrafficView:
    """Of one target, at all locations."""
    store = cache.store(url)
    rollups = rollups_of(store, (name,), available_range(store, Range(since, until)), coarse=True, traffic=True)
    minutes = traffic_of(store).traffic_by_minute(Selection(since, until, (name,)))
    days = Selection(since - since % DAY_MS, until, (name,))
    listed = attempts(url, since, until)
    mine = {one.request_id for one in listed if one.target == name}
    return TrafficView(
        summary(rollups),
        {column: percentiles(rollups, column) for column in SKETCHED},
        uptime(minutes),
        usage_of(traffic_of(store).traffic_by_day(days)),
        [one for one in listed if one.request_id in mine],
        len(listed) >= MOST_ATTEMPTS,
    )


@st.cache_data(ttl=10, max_entries=8, max_size="100MB", show_spinner=False)
def attempts(url: str, since: int, until: int) -> list[PassedAttempt]:
    """The newest attempts of a range, of all targets."""
    names = tuple(targets(url))
    if not names:
        return []
    rows = cache.store(url).read(
        REQUESTS, Selection(since, until, names), columns=PassedAttempt._fields, newest_first=True, limit=MOST_ATTEMPTS
    )
    return [PassedAttempt(*row) for row in rows]


@st.cache_data(ttl=10, max_entries=4, show_spinner=False)
def relays(url: str, now: int) -> list[RelayHealth]:
    """Each location's relay over the last day, by name."""
    rows = [run for run in cache.runs(url, now - DAY_MS) if run.collector == RELAY]
    recent = attempts(url, now - HOUR_MS, now + 1)
    return [
        RelayHealth(
            location,
            sum(run.rows for run in mine),
            sum(run.skipped for run in mine),
            max((run.queued or 0 for run in mine), default=0),
            max(run.ended_at for run in mine),
            next((run.error for run in sorted(mine, key=lambda run: -run.started_at) if run.error), None),
            traffic.added_time(one for one in recent if one.location == location),
        )
        for location in sorted({run.location for run in rows})
        if (mine := [run for run in rows if run.location == location])
    ]
