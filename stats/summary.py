"""Totals of the probes of one series, or of several together, over a range."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from stats.correctness import Answers
from stats.uptime import SuccessRate, Uptime
from store.arrays import Counts
from store.outcomes import DOWN, UP
from store.rollups import COUNTED, OUTCOMES, PICO, Rollup, requests_of

_PLACE = {name: place for place, name in enumerate(COUNTED)}
_UP = [_PLACE[outcome] for outcome in OUTCOMES if outcome in UP]
_DOWN = [_PLACE[outcome] for outcome in OUTCOMES if outcome in DOWN]


@dataclass(frozen=True)
class Summary:
    """The sums of some roll-ups."""

    counted: Counts = field(default_factory=lambda: np.zeros(len(COUNTED), dtype=np.int64))

    def __getitem__(self, name: str) -> int:
        return int(self.counted[_PLACE[name]])

    @property
    def requests(self) -> int:
        """All probes that were made."""
        return requests_of(self.counted.tolist())

    @property
    def cost_usd(self) -> float | None:
        """The known costs; null when none is known."""
        return self["cost_pusd"] / PICO if self["priced"] else None

    def uptime(self, since: int, until: int) -> Uptime:
        """The uptime in a window (milliseconds UTC)."""
        up_s, down_s = self["up_ms"] / 1_000, self["down_ms"] / 1_000
        squares = float(self["squares"])
        return Uptime(
            window_s=max(0.0, (until - since) / 1_000),
            up_s=up_s,
            down_s=down_s,
            not_counted_s=self["not_counted_ms"] / 1_000,
            probes=self["deciding"],
            weight=(up_s + down_s) ** 2 / squares if squares else 0.0,
        )

    def success_rate(self) -> SuccessRate:
        """How the requests ended."""
        ok, failed = int(self.counted[_UP].sum()), int(self.counted[_DOWN].sum())
        return SuccessRate(ok, failed, self.requests - ok - failed)

    def answers(self) -> Answers:
        """How many answers were correct."""
        return Answers(self["answers_right"], self["answers_checked"])


def summary(rollups: Iterable[Rollup]) -> Summary:
    """The sums of these roll-ups."""
    listed = list(rollups)
    if not listed:
        return Summary()
    return Summary(np.array([rollup.counted for rollup in listed], dtype=np.int64).sum(axis=0))
