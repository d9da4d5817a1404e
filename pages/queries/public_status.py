"""What the public is shown: names, states, bars, incidents and planned maintenance, and how the page is set up."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, replace

from pages.components import formatting
from pages.queries import cache
from pages.queries.target_history import TargetHistory, target_histories
from pages.queries.time_range import TimeRange
from settings.maintenance import current_and_next, from_json
from settings.secrecy import hidden
from stats.consensus import consensus
from stats.incidents import TargetState, majority
from stats.outages import Outage, outages
from stats.status_bars import Bar, clip_bars
from stats.uptime import Uptime
from store.clock import DAY_MS

DAYS = 90
TITLE, ZONE, NOTICE = "UPTOKEN_STATUS_TITLE", "UPTOKEN_STATUS_TIME_ZONE", "UPTOKEN_NOTICE"


@dataclass(frozen=True)
class StatusRow:
    """One target, over all locations that probe it."""

    name: str
    state: TargetState
    bars: list[Bar]
    uptime: Uptime
    outages: list[Outage]
    locations: int
    began: int | None
    """When it was first seen (milliseconds UTC); null where that was before the first bar."""


@dataclass(frozen=True)
class Maintenance:
    """A planned window (milliseconds UTC) and the targets in it."""

    since: int
    until: int
    targets: tuple[str, ...]


@dataclass(frozen=True)
class PageSettings:
    """How the page is set up. Its reader's time zone is unknown, as it runs no script: `zone` is the same for all."""

    title: str
    zone: str
    notice: str


@dataclass(frozen=True)
class PublicStatus:
    """All that the page shows, as of `at` (milliseconds UTC)."""

    at: int
    rows: list[StatusRow]
    maintenance: list[Maintenance]
    settings: PageSettings


def load_public_status(url: str, now: int) -> PublicStatus:
    """Read it from the store. Raises StoreError."""
    cache.store(url)  # rows that are still in the cache are no status where the store is gone
    return PublicStatus(now, status_rows(url, now), planned_maintenance(url, now), page_settings())


def page_settings() -> PageSettings:
    """From the environment; a time zone that is unknown here is UTC."""
    return PageSettings(
        hidden(os.environ.get(TITLE, "").strip()) or "Status",
        formatting.known_zone(os.environ.get(ZONE, "").strip()) or "UTC",
        hidden(os.environ.get(NOTICE, "")),
    )


def planned_maintenance(url: str, now: int) -> list[Maintenance]:
    """The maintenance windows that are open or begin within a week, the next one first."""
    targets: dict[tuple[int, int], set[str]] = defaultdict(set)
    for target in cache.targets(url):
        for window in current_and_next(from_json(target.maintenance), now):
            targets[window.began_at, window.ends_at].add(target.name)
    return [Maintenance(began, ends, tuple(sorted(names))) for (began, ends), names in sorted(targets.items())]


def status_rows(url: str, now: int) -> list[StatusRow]:
    """A row for each target, those that are down first."""
    until = now - now % DAY_MS + DAY_MS
    window = TimeRange(until - DAYS * DAY_MS, now, True, "")
    active = [target for target in cache.targets(url) if target.state == "active"]
    by_name: dict[str, list[TargetHistory]] = defaultdict(list)
    for history in target_histories(url, active, window, now, coarse=True):
        by_name[history.target.name].append(history)
    rows = [_row(name, histories, window.since, until, now) for name, histories in by_name.items()]
    order = {"down": 0, "stale": 1, "degraded": 2, "not_counted": 3, "paused": 3}
    return sorted(rows, key=lambda row: (order.get(row.state.status, 4), row.name.lower()))


def _row(name: str, histories: list[TargetHistory], since: int, until: int, now: int) -> StatusRow:
    first_at = histories[0].first_at
    each = [history.of(history.target.profile) for history in histories]
    seen = consensus(each, since, until, first_at, DAY_MS / 1_000, DAYS, now=now)
    return StatusRow(
        name=name,
        state=majority([history.state for history in histories]),
        bars=[_public(bar) for bar in clip_bars(seen.bars, now)],
        uptime=seen.uptime,
        outages=outages([history.incidents for history in histories]),
        locations=len(histories),
        began=first_at if first_at > since else None,
    )


def _public(bar: Bar) -> Bar:
    """The public is not shown how it failed."""
    return bar if bar.state == "paused" else replace(bar, seen=())
