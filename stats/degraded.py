"""When a target is degraded: up, but slower than the limit that its user set or than its own usual."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from store.sketch import interpolate

WINDOW_MS = 900_000
FEWEST = 10
"""Samples of a window, and of the hours that it is compared with, below which nothing is said."""
MOST_TIMES = 3.0
BASELINE_DAYS = 7


@dataclass(frozen=True)
class TimesUsual:
    """The p95 of the last 15 minutes, as a multiple of the median at this hour over the last 7 days."""

    times: float

    @property
    def is_degraded(self) -> bool:
        return self.times > MOST_TIMES


def recent_p95(ttft_ms: Sequence[float]) -> float | None:
    """The p95 of a window's samples; null when they are too few."""
    if len(ttft_ms) < FEWEST:
        return None
    ordered = sorted(ttft_ms)
    return interpolate(ordered.__getitem__, len(ordered), 0.95)


def times_usual(ttft_ms: Sequence[float], usual_ms: float | None) -> TimesUsual | None:
    """How slow a window is; null where either is unknown."""
    p95_ms = recent_p95(ttft_ms)
    if p95_ms is None or usual_ms is None or not usual_ms > 0 or not math.isfinite(p95_ms):
        return None
    return TimesUsual(p95_ms / usual_ms)
