"""When a target is degraded: up, but slower than the limit that its user set or than its own usual."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from store.clock import DAY_MS, HOUR_MS
from store.rollups import Series
from store.sketch import interpolate, quantiles, unpack_sketch

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


def usual_hours(now: int) -> list[tuple[int, int]]:
    """The beginning and end of this hour on each of the last 7 days (milliseconds UTC)."""
    hour = now - now % HOUR_MS
    days = (hour - day * DAY_MS for day in range(1, BASELINE_DAYS + 1))
    return [(at, at + HOUR_MS) for at in days]


def usual_ttft(rows: Iterable[tuple[Any, ...]]) -> dict[Series, float]:
    """The median TTFT of each series with enough samples, from rows (target, location, profile, hour, sketch)."""
    counts: dict[Series, Counter[int]] = defaultdict(Counter)
    for name, location, profile, _, sketch in rows:
        counts[name, location, profile].update(unpack_sketch(sketch))
    usual = {}
    for series, buckets in counts.items():
        [middle] = quantiles(buckets, (0.5,))
        if middle is not None and buckets.total() >= FEWEST:
            usual[series] = middle
    return usual


@dataclass(frozen=True)
class Slow:
    """Why a target is degraded: `ttft_ms` is its newest above `limit_ms`, or its p95 of the last 15 minutes, which is
    `times` its usual median. The other one is null.
    """

    ttft_ms: float
    limit_ms: float | None = None
    times: float | None = None


def find_slow(
    samples: Sequence[tuple[int, float]], limit_ms: float | None, usual_ms: float | None, now: int
) -> Slow | None:
    """Whether a target that is up is degraded now, by the TTFT of its newest successful probes (milliseconds UTC and
    milliseconds; the oldest first).
    """
    if limit_ms is not None and _ended_above(samples, limit_ms):
        newest_slow_ms = next(ttft_ms for _, ttft_ms in reversed(samples) if ttft_ms > limit_ms)
        return Slow(newest_slow_ms, limit_ms=limit_ms)
    recent = [ttft_ms for at, ttft_ms in samples if now - WINDOW_MS < at <= now]
    times, p95_ms = times_usual(recent, usual_ms), recent_p95(recent)
    return Slow(p95_ms, times=times.times) if times is not None and times.is_degraded and p95_ms is not None else None


def _ended_above(samples: Sequence[tuple[int, float]], limit_ms: float) -> bool:
    """By the last two in a row that agree, as alerts begin and end by default."""
    is_above = [ttft_ms > limit_ms for _, ttft_ms in reversed(samples)]
    return next((newer for newer, older in pairwise(is_above) if newer == older), False)
