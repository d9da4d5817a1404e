"""The strip of bars: what each stretch of a window was, up, down, not counted or without data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from stats.stretches import Stretches, cut
from store.arrays import timeline
from store.rollups import Rollup

MOST_BARS = 90
State = Literal["up", "partly", "down", "not_counted", "no_data"]


@dataclass(frozen=True)
class Bar:
    """One stretch of time: `since` <= t < `until` in milliseconds UTC, and the seconds decided in it."""

    since: int
    until: int
    up_s: float
    down_s: float
    not_counted_s: float
    probes: int = 0
    """How many there were, where it is known by the bar."""

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
    began, width = stretches.began, stretches.width_ms
    return [
        Bar(began + n * width, began + (n + 1) * width, float(up), float(down), float(other), int(count))
        for n, ((up, down, other), count) in enumerate(zip(seconds, probes, strict=True))
    ]
