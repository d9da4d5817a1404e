"""A range cut into stretches of equal length that whole roll-ups fit into."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from store.rollups import Rollup


@dataclass(frozen=True)
class Intervals:
    """`count` stretches of `width_ms`, the first from `began` on (milliseconds UTC). The first and the last one may
    reach beyond the range.
    """

    began: int
    width_ms: int
    count: int

    def place(self, at: int) -> int:
        """In which one a moment lies; it may be none of them."""
        return (at - self.began) // self.width_ms


def split_range(
    rollups: Sequence[Rollup], since: int, until: int, count: int, unit_ms: int, least_ms: int = 1
) -> Intervals:
    """At most `count` stretches that cover `since` <= t < `until`, each some whole `unit_ms` and at least `least_ms`
    long, and in step with the roll-ups, each of whose parts of `unit_ms` lies in one of them.
    """
    width = max(math.ceil((until - since) / count), least_ms)
    width = math.ceil(width / unit_ms) * unit_ms
    phase = rollups[0].began % unit_ms if rollups else until % unit_ms
    ended = until + (phase - until) % unit_ms
    number = max(1, math.ceil((ended - since) / width))
    return Intervals(ended - number * width, width, number)
