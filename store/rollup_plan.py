"""A range of any length, exact to the millisecond, for about the same cost: raw probes in the partial hours at its
ends, and hours, days or blocks between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from store.clock import DAY_MS, HOUR_MS
from store.protocol import Selection, Store, upkeep_of
from store.rollups import (
    BLOCK_MS,
    COLUMNS,
    HOURS,
    TRAFFIC_COLUMNS,
    Grid,
    Observation,
    Rollup,
    Series,
    Step,
    added_up,
    observation_of_attempt,
)
from store.schema import PROBES, REQUESTS, TRAFFIC

HOURS_UP_TO_MS, COARSE_HOURS_UP_TO_MS = 8 * DAY_MS, 2 * DAY_MS
"""Shorter ranges are told by the hour: their bars are minutes."""
DAYS_UP_TO_MS = 45 * DAY_MS
"""Ranges of up to 45 days are told by the day: a small line of blocks would have two points."""


@dataclass(frozen=True)
class Range:
    """`since` <= t < `until`, milliseconds UTC."""

    since: int
    until: int


def effective(store: Store, asked: Range) -> Range:
    """The range that the store can tell: where raw probes are pruned it begins and ends with an hour."""
    kept_since = upkeep_of(store).kept_since()
    since = asked.since - asked.since % HOUR_MS if asked.since < kept_since else asked.since
    until = asked.until + -asked.until % HOUR_MS if asked.until < kept_since else asked.until
    return Range(since, until)


def rollups_of(
    store: Store,
    targets: tuple[str, ...],
    told: Range,
    *,
    finest: Step | None = None,
    coarse: bool = False,
    without: tuple[str, ...] = (),
    traffic: bool = False,
) -> list[Rollup]:
    """What the probes of these targets (none: of all) came to in an `effective` range, in stretches that do not
    overlap; with `traffic`, what the relay's attempts came to instead. Where no chart over time is asked for, the
    `coarse` ones of a long range are fewer; with `finest="hour"` all of them are hours. `without` these columns.
    """
    columns = tuple(None if name in without else name for name in COLUMNS)
    first, last = told.since + -told.since % HOUR_MS, told.until - told.until % HOUR_MS
    if last <= first:
        return raw_rollups(store, targets, told, lambda _: HOURS, traffic=traffic)
    rows = [
        rollup
        for rollup in _between(store, targets, first, last, columns, finest, coarse)
        if (rollup.profile == TRAFFIC) == traffic
    ]
    if told.since < first:
        rows += raw_rollups(store, targets, Range(told.since, first), lambda _: HOURS, traffic=traffic)
    if last < told.until:
        rows += raw_rollups(store, targets, Range(last, told.until), lambda _: HOURS, traffic=traffic)
    return rows


def days(store: Store, counted: tuple[str, ...], since: int, until: int | None = None) -> list[Rollup]:
    """These counts of the probes of whole UTC days, of all targets, and nothing else."""
    columns = tuple(name if name in counted else None for name in COLUMNS)
    rows = (Rollup.kept("day", row) for row in store.rollups("day", Selection(since, until), columns))
    return [rollup for rollup in rows if rollup.profile != TRAFFIC]


def raw_rollups(
    store: Store,
    targets: tuple[str, ...],
    told: Range,
    grid: Callable[[Series], Grid],
    *,
    traffic: bool = False,
) -> list[Rollup]:
    """What the raw probes, or attempts, of a range came to in the stretches of each series' `grid`."""
    # probes lie by target and time: without names all of them would be looked through
    targets = targets or tuple(dict.fromkeys(series.newest.target for series in store.series()))
    selection = Selection(told.since, told.until, targets)
    if traffic:
        return added_up(map(observation_of_attempt, store.read(REQUESTS, selection, columns=TRAFFIC_COLUMNS)), grid)
    return added_up(map(Observation._make, store.read(PROBES, selection, columns=Observation._fields)), grid)


def _between(
    store: Store,
    targets: tuple[str, ...],
    since: int,
    until: int,
    columns: tuple[str | None, ...],
    finest: Step | None,
    coarse: bool,
) -> list[Rollup]:
    """Whole hours, and between them whole days, and between these blocks."""

    def read(step: Step, began: int, ended: int) -> Iterator[Rollup]:
        rows: Iterator[tuple[Any, ...]] = store.rollups(step, Selection(began, ended, targets), columns)
        return (Rollup.kept(step, row) for row in rows)

    steps: list[tuple[Step, int]] = []
    if finest is None and until - since > (COARSE_HOURS_UP_TO_MS if coarse else HOURS_UP_TO_MS):
        steps = [("day", DAY_MS)]
        if coarse and until - since > DAYS_UP_TO_MS:
            steps.append(("block", BLOCK_MS))
    found: list[Rollup] = []
    finer: Step = "hour"
    before, after = since, until
    for step, ms in steps:
        first, last = before + -before % ms, after - after % ms
        if last <= first:
            break
        found += [*read(finer, before, first), *read(finer, last, after)]
        before, after, finer = first, last, step
    return [*found, *read(finer, before, after)]
