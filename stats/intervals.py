"""A range split into intervals of equal length, each of which roll-ups fill."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from store.rollups import Rollup


@dataclass(frozen=True)
class Intervals:
    """`count` intervals of `width_ms`, the first from `began` on (milliseconds UTC). The first and the last may reach
    beyond the range.
    """

    began: int
    width_ms: int
    count: int

    def place(self, at: int) -> int:
        """The number of the interval that a moment lies in; it may be outside of all of them."""
        return (at - self.began) // self.width_ms


def split_range(
    rollups: Sequence[Rollup], since: int, until: int, count: int, unit_ms: int, least_ms: int = 1
) -> Intervals:
    """At most `count` intervals that cover `since` <= t < `until`, each a multiple of `unit_ms` and at least `least_ms`
    long, and aligned with the roll-ups: each of their parts of `unit_ms` lies in one interval.
    """
    width = max(math.ceil((until - since) / count), least_ms)
    width = math.ceil(width / unit_ms) * unit_ms
    phase = rollups[0].began % unit_ms if rollups else until % unit_ms
    ended = until + (phase - until) % unit_ms
    number = max(1, math.ceil((ended - since) / width))
    return Intervals(ended - number * width, width, number)
