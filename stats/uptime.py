"""Uptime: the share of decided time in which a target answered, and how certain that is.

It is about time, not about requests: each deciding probe stands for the seconds of its slot, so a changed interval or
a re-probed failure does not distort it. Nothing is carried forward or interpolated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

ENOUGH_COVERAGE = 0.5
Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Uptime:
    """One target's uptime in one window. All times in seconds; `probes` are those that decided a slot up or down."""

    window_s: float
    up_s: float
    down_s: float
    not_counted_s: float
    probes: int
    weight: float
    """How many equal probes the deciding ones are worth (Kish): `probes`, when all stand for the same time."""

    @property
    def coverage(self) -> float:
        """Seconds that were decided up or down / the window: a stopped collector or a rate limit lowers it."""
        return min(1.0, (self.up_s + self.down_s) / self.window_s) if self.window_s > 0 else 0.0

    @property
    def share(self) -> float | None:
        """Up / (up + down), 0 to 1; null when less than half of the window was decided."""
        decided = self.up_s + self.down_s
        return self.up_s / decided if decided and self.coverage >= ENOUGH_COVERAGE else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95% Wilson interval of `share`; null when that is."""
        return None if self.share is None else wilson(self.share, self.weight)

    @property
    def strict(self) -> tuple[float, float]:
        """The share if all undecided time was down, and if all of it was up."""
        if self.window_s <= 0:
            return 0.0, 1.0
        unknown_s = max(0.0, self.window_s - self.up_s - self.down_s)
        total_s = self.up_s + self.down_s + unknown_s
        return self.up_s / total_s, (self.up_s + unknown_s) / total_s


def wilson(share: float, count: float) -> tuple[float, float]:
    """The 95% interval of a share seen in `count` trials (Wilson 1927). (0, 1) when there were none."""
    if count <= 0:
        return 0.0, 1.0
    z2 = Z_95 * Z_95
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z_95 / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count * count))
    return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True)
class SuccessRate:
    """How requests ended, confirmations included. Not the same as uptime."""

    ok: int
    failed: int
    not_counted: int

    @property
    def share(self) -> float | None:
        """ok / (ok + failed); null when none counts."""
        counted = self.ok + self.failed
        return self.ok / counted if counted else None
