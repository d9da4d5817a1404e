"""A range of any length, exact to the millisecond, for about the same cost: raw probes in the partial hours at its
ends, and hours, days or blocks between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from store.clock import DAY_MS, HOUR_MS
from store.protocol import Selection, Store
from store.rollups import BLOCK_MS, COLUMNS, HOURS, Grid, Observation, Rollup, Series, Step, accumulate
from store.schema import PROBES

HOURS_UP_TO_MS, COARSE_HOURS_UP_TO_MS = 8 * DAY_MS, 2 * DAY_MS
"""Shorter ranges are read by the hour: their bars are minutes."""
DAYS_UP_TO_MS = 45 * DAY_MS
"""Ranges of up to 45 days are read by the day: a small line of blocks would have two points."""


@dataclass(frozen=True)
class Range:
    """`since` <= t < `until`, milliseconds UTC."""

    since: int
    until: int


def available_range(store: Store, asked: Range) -> Range:
    """The range that the store can answer: where raw probes are pruned it begins and ends with an hour."""
    kept_since = store.kept_since()
    since = asked.since - asked.since % HOUR_MS if asked.since < kept_since else asked.since
    until = asked.until + -asked.until % HOUR_MS if asked.until < kept_since else asked.until
    return Range(since, until)


def rollups_of(
    store: Store,
    targets: tuple[str, ...],
    window: Range,
    *,
    finest: Step | None = None,
    coarse: bool = False,
    without: tuple[str, ...] = (),
) -> list[Rollup]:
    """Roll-ups of the probes of these targets (none: of all) in an available range, over periods that do not
    overlap. Where no chart over time is asked for, the `coarse` ones of a long range are fewer; with `finest="hour"`
    all of them are hours. `without` these columns.
    """
    columns = tuple(None if name in without else name for name in COLUMNS)
    first, last = window.since + -window.since % HOUR_MS, window.until - window.until % HOUR_MS
    if last <= first:
        return raw_rollups(store, targets, window, lambda _: HOURS)
    rows = _read_steps(store, targets, first, last, columns, finest, coarse)
    if window.since < first:
        rows += raw_rollups(store, targets, Range(window.since, first), lambda _: HOURS)
    if last < window.until:
        rows += raw_rollups(store, targets, Range(last, window.until), lambda _: HOURS)
    return rows


def days(store: Store, counted: tuple[str, ...], since: int, until: int | None = None) -> list[Rollup]:
    """These counts by UTC day, of all targets, and nothing else."""
    columns = tuple(name if name in counted else None for name in COLUMNS)
    return [Rollup.from_row("day", row) for row in store.rollups("day", Selection(since, until), columns)]


def raw_rollups(store: Store, targets: tuple[str, ...], window: Range, grid: Callable[[Series], Grid]) -> list[Rollup]:
    """Roll-ups of the raw probes of a range, over the periods of each series' `grid`."""
    # probes lie by target and time: without names all of them would be looked through
    targets = targets or tuple(dict.fromkeys(series.newest.target for series in store.series()))
    rows = store.read(PROBES, Selection(window.since, window.until, targets), columns=Observation._fields)
    return accumulate(map(Observation._make, rows), grid)


def _read_steps(
    store: Store,
    targets: tuple[str, ...],
    since: int,
    until: int,
    columns: tuple[str | None, ...],
    finest: Step | None,
    coarse: bool,
) -> list[Rollup]:
    """Hours, and between them days, and between these blocks."""

    def read(step: Step, began: int, ended: int) -> Iterator[Rollup]:
        rows: Iterator[tuple[Any, ...]] = store.rollups(step, Selection(began, ended, targets), columns)
        return (Rollup.from_row(step, row) for row in rows)

    steps: list[tuple[Step, int]] = []
    if finest is None and until - since > (COARSE_HOURS_UP_TO_MS if coarse else HOURS_UP_TO_MS):
        steps = [("day", DAY_MS)]
        if coarse and until - since > DAYS_UP_TO_MS:
            steps.append(("block", BLOCK_MS))
    rollups: list[Rollup] = []
    finer: Step = "hour"
    before, after = since, until
    for step, ms in steps:
        first, last = before + -before % ms, after - after % ms
        if last <= first:
            break
        rollups += [*read(finer, before, first), *read(finer, last, after)]
        before, after, finer = first, last, step
    return [*rollups, *read(finer, before, after)]
