"""Status bars: whether a target was up, down, not counted, paused or without data in each interval of a window."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from stats.intervals import Intervals, split_range
from store.arrays import timeline
from store.outcomes import PAUSED, UP
from store.rollups import OUTCOMES, Rollup

MOST_BARS = 90
_NOT_UP = [outcome for outcome in OUTCOMES if outcome not in UP]
State = Literal["up", "partly", "down", "not_counted", "paused", "no_data"]


class Failure(NamedTuple):
    """The columns of a raw probe that did not succeed."""

    started_at: int
    location: str
    profile: str
    outcome: str
    error: str | None


@dataclass(frozen=True)
class Bar:
    """One interval, `since` <= t < `until` in milliseconds UTC, and the seconds decided in it. `seen` counts the
    outcomes other than `ok`, the most frequent first, where that is known; `error` is the first known error text.
    """

    since: int
    until: int
    up_s: float
    down_s: float
    not_counted_s: float
    probes: int = 0
    """How many there were, where that is known for the bar."""
    seen: tuple[tuple[str, int], ...] = ()
    error: str | None = None

    @property
    def state(self) -> State:
        """`partly` when it was down for less than half of what was decided; `paused` when nothing else is known."""
        if self.down_s > 0:
            return "down" if self.down_s >= self.up_s else "partly"
        if self.up_s > 0:
            return "up"
        if self.not_counted_s > 0:
            return "paused" if self.seen and all(outcome == PAUSED for outcome, _ in self.seen) else "not_counted"
        return "no_data"  # a failure that its confirmation decided stands for no time: alone it says nothing

    @property
    def down_share(self) -> float:
        """The share of the decided seconds, 0 to 1."""
        decided = self.up_s + self.down_s
        return self.down_s / decided if decided else 0.0


def bars_begin_at(since: int, until: int, first_at: int, every_s: float, most: int = MOST_BARS) -> int:
    """Where the bars of a window begin (milliseconds UTC): with the window or, for a younger target, with its first
    probe, but not later than `most` of its slots ago, so that the first bars of a new target can be seen.
    """
    return max(since, min(first_at, until - most * round(every_s * 1_000)))


def status_bars(rollups: Sequence[Rollup], since: int, until: int, every_s: float, most: int = MOST_BARS) -> list[Bar]:
    """The bars of a window that ends at `until`, oldest first: at most `most`, none shorter than one interval of the
    schedule, and each a multiple of the cells of the coarsest roll-up of one series. A slot belongs to the bar that
    its probe started in.
    """
    cell_ms = max((rollup.cell_ms for rollup in rollups), default=1)
    return bars_in(rollups, split_range(rollups, since, until, most, cell_ms, round(every_s * 1_000)))


def clip_bars(bars: Sequence[Bar], until: int) -> list[Bar]:
    """The bars, none of which ends after `until` (milliseconds UTC): the last of a grid reaches into the future."""
    return [replace(bar, until=max(bar.since, min(bar.until, until))) for bar in bars]


def bars_in(rollups: Sequence[Rollup], intervals: Intervals) -> list[Bar]:
    """A bar for each interval."""
    seconds, probes = np.zeros((intervals.count, 3)), np.zeros(intervals.count, dtype=np.int64)
    alike: dict[int, list[Rollup]] = defaultdict(list)
    for rollup in rollups:
        alike[rollup.cell_ms * rollup.length_ms].append(rollup)
    for listed in alike.values():
        cell_ms = listed[0].cell_ms
        cells = timeline(listed)
        at = np.array([rollup.began for rollup in listed])[:, None] + np.arange(cells.shape[1]) * cell_ms
        places = (at.ravel() - intervals.began) // intervals.width_ms
        inside = (places >= 0) & (places < intervals.count)
        flat = cells.reshape(-1, 3)[inside] / 1_000
        for kind in range(3):
            seconds[:, kind] += np.bincount(places[inside], weights=flat[:, kind], minlength=intervals.count)
        if cells.shape[1] == 1:
            counts = np.array([rollup.requests for rollup in listed])[inside]
            probes += np.bincount(places[inside], weights=counts, minlength=intervals.count).astype(np.int64)
    began, width, seen = intervals.began, intervals.width_ms, _outcomes(rollups, intervals)
    return [
        Bar(began + n * width, began + (n + 1) * width, up_s, down_s, not_counted_s, int(probes[n]), seen.get(n, ()))
        for n, (up_s, down_s, not_counted_s) in enumerate(seconds.tolist())
    ]


def add_errors(bars: Sequence[Bar], failures: Iterable[Failure]) -> list[Bar]:
    """The bars with the error of the first failure in each."""
    errors = sorted((failure.started_at, failure.error) for failure in failures if failure.error)

    def error_in(bar: Bar) -> str | None:
        place = bisect_left(errors, (bar.since, ""))
        return errors[place][1] if place < len(errors) and errors[place][0] < bar.until else None

    return [replace(bar, error=error_in(bar)) for bar in bars]


def _outcomes(rollups: Sequence[Rollup], intervals: Intervals) -> dict[int, tuple[tuple[str, int], ...]]:
    """By interval, how many of which outcome other than `ok`. An interval that shares a roll-up with such outcomes with
    another one is skipped: nobody knows which of them they were in.
    """
    seen: dict[int, Counter[str]] = defaultdict(Counter)
    unclear: set[int] = set()
    for rollup in rollups:
        counted = {name: count for name in _NOT_UP if (count := rollup[name])}
        if counted:
            first, last = intervals.place(rollup.began), intervals.place(rollup.began + rollup.length_ms - 1)
            seen[first].update(counted)
            unclear.update(range(first, last + 1) if last != first else ())
    return {place: tuple(counts.most_common()) for place, counts in seen.items() if place not in unclear}
