"""The strip of bars: what each stretch of a window was, up, down, not counted or without data."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from stats.stretches import Stretches, cut
from store.arrays import timeline
from store.rollups import OUTCOMES, Rollup
from store.schema import UP

MOST_BARS = 90
_NOT_UP = [outcome for outcome in OUTCOMES if outcome not in UP]
State = Literal["up", "partly", "down", "not_counted", "no_data"]


class Failure(NamedTuple):
    """What is read of a raw probe that was no success."""

    started_at: int
    location: str
    profile: str
    outcome: str
    error: str | None


@dataclass(frozen=True)
class Bar:
    """One stretch of time: `since` <= t < `until` in milliseconds UTC, and the seconds decided in it. `seen` counts the
    outcomes other than `ok`, the most frequent first, where that is known; `error` is what one of them said.
    """

    since: int
    until: int
    up_s: float
    down_s: float
    not_counted_s: float
    probes: int = 0
    """How many there were, where it is known by the bar."""
    seen: tuple[tuple[str, int], ...] = ()
    error: str | None = None

    @property
    def state(self) -> State:
        """`partly` when it was down for less than half of what was decided."""
        if self.down_s > 0:
            return "down" if self.down_s >= self.up_s else "partly"
        if self.up_s > 0:
            return "up"
        # a failure that its confirmation decided stands for no time: alone in a bar it says nothing
        return "not_counted" if self.not_counted_s > 0 else "no_data"

    @property
    def down_share(self) -> float:
        """Of the decided seconds, 0 to 1."""
        decided = self.up_s + self.down_s
        return self.down_s / decided if decided else 0.0


def strip_began(since: int, until: int, first_at: int, every_s: float, most: int = MOST_BARS) -> int:
    """Where the strip of a window begins (milliseconds UTC): with the window or, for a target that is younger, with
    its first probe, but not later than `most` of its slots ago. So the first bars of a new target can be seen.
    """
    return max(since, min(first_at, until - most * round(every_s * 1_000)))


def strip(rollups: Sequence[Rollup], since: int, until: int, every_s: float, most: int = MOST_BARS) -> list[Bar]:
    """The bars of a window that ends at `until`, oldest first: at most `most`, none shorter than one interval of the
    schedule, and each some whole cells of the coarsest of these stretches of one series. A slot belongs to the bar
    that its probe started in.
    """
    cell_ms = max((rollup.cell_ms for rollup in rollups), default=1)
    return bars_in(rollups, cut(rollups, since, until, most, cell_ms, round(every_s * 1_000)))


def clip_bars(bars: Sequence[Bar], until: int) -> list[Bar]:
    """The bars, none of which ends after `until` (milliseconds UTC): the last of a grid reaches into the future."""
    return [replace(bar, until=max(bar.since, min(bar.until, until))) for bar in bars]


def bars_in(rollups: Sequence[Rollup], stretches: Stretches) -> list[Bar]:
    """A bar for each of the stretches."""
    seconds, probes = np.zeros((stretches.count, 3)), np.zeros(stretches.count, dtype=np.int64)
    alike: dict[int, list[Rollup]] = defaultdict(list)
    for rollup in rollups:
        alike[rollup.cell_ms * rollup.length_ms].append(rollup)
    for listed in alike.values():
        cell_ms = listed[0].cell_ms
        cells = timeline(listed)
        at = np.array([rollup.began for rollup in listed])[:, None] + np.arange(cells.shape[1]) * cell_ms
        places = (at.ravel() - stretches.began) // stretches.width_ms
        inside = (places >= 0) & (places < stretches.count)
        flat = cells.reshape(-1, 3)[inside] / 1_000
        for kind in range(3):
            seconds[:, kind] += np.bincount(places[inside], weights=flat[:, kind], minlength=stretches.count)
        if cells.shape[1] == 1:
            counts = np.array([rollup.requests for rollup in listed])[inside]
            probes += np.bincount(places[inside], weights=counts, minlength=stretches.count).astype(np.int64)
    began, width, seen = stretches.began, stretches.width_ms, _outcomes(rollups, stretches)
    return [
        Bar(
            began + n * width,
            began + (n + 1) * width,
            float(up),
            float(down),
            float(other),
            int(count),
            seen.get(n, ()),
        )
        for n, ((up, down, other), count) in enumerate(zip(seconds, probes, strict=True))
    ]


def with_errors(bars: Sequence[Bar], failures: Iterable[Failure]) -> list[Bar]:
    """The bars with what the first failure in each said."""
    said = sorted((failure.started_at, failure.error) for failure in failures if failure.error)
    moments = [at for at, _ in said]
    found = []
    for bar in bars:
        place = bisect_left(moments, bar.since)
        is_in = place < len(said) and moments[place] < bar.until
        found.append(replace(bar, error=said[place][1]) if is_in else bar)
    return found


def _outcomes(rollups: Sequence[Rollup], stretches: Stretches) -> dict[int, tuple[tuple[str, int], ...]]:
    """By stretch, how many of which outcome other than `ok`; not of one that has a part of a roll-up with some: which
    part they were in, nobody knows.
    """
    seen: dict[int, Counter[str]] = defaultdict(Counter)
    unclear: set[int] = set()
    for rollup in rollups:
        counted = {name: count for name in _NOT_UP if (count := rollup[name])}
        if counted:
            first, last = stretches.place(rollup.began), stretches.place(rollup.began + rollup.length_ms - 1)
            seen[first].update(counted)
            unclear.update(range(first, last + 1) if last != first else ())
    return {place: tuple(counts.most_common()) for place, counts in seen.items() if place not in unclear}
