"""Measured times and rates over time. Never a mean alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stats.intervals import Intervals, split_range
from stats.overload import is_believed
from stats.samples import Floats, Samples, medians, nan_to_null, quantile_table, samples_by_place
from store.arrays import sample_count
from store.outcomes import DOWN
from store.rollups import OUTCOMES, SKETCHED, Rollup

LEAST_LATER_MS, LEAST_LATER = 10.0, 0.05
MOST_BANDS = 96
PROBES_A_BAND = 8
MOST_POINTS = 48
_FAILED = [outcome for outcome in OUTCOMES if outcome in DOWN]


@dataclass(frozen=True)
class Band:
    """Percentiles of the `count` samples of one interval around `at` (milliseconds UTC); null without a sample."""

    at: int
    count: int
    p5: float | None
    p25: float | None
    p50: float | None
    p75: float | None
    p95: float | None
    min: float | None
    max: float | None


class MeasuredProbe(NamedTuple):
    """The columns of a raw probe for values that roll-ups have no sketch of."""

    location: str
    profile: str
    outcome: str
    lag_ms: float | None
    ttft_ms: float | None
    first_answer_ms: float | None
    itl_p50_ms: float | None
    itl_p99_ms: float | None

    @property
    def is_believed(self) -> bool:
        """Whether its times count."""
        return is_believed(self.outcome, self.lag_ms)


def is_reasoning(probes: Iterable[MeasuredProbe]) -> bool:
    """Whether the median visible answer comes noticeably later than the first token: a model that does not reason
    begins with its answer.
    """
    pairs = [
        (probe.ttft_ms, probe.first_answer_ms)
        for probe in probes
        if probe.is_believed and probe.ttft_ms is not None and probe.first_answer_ms is not None
    ]
    if not pairs:
        return False
    later = median(answer - ttft for ttft, answer in pairs)
    return later > max(LEAST_LATER_MS, LEAST_LATER * median(ttft for ttft, _ in pairs))


def bands(rollups: Sequence[Rollup], column: str, since: int, until: int) -> list[Band]:
    """Percentiles of a column in intervals of equal length. Intervals without samples are included, so that a line
    breaks there.
    """
    intervals = _cut(rollups, since, until, band_count(sample_count(rollups, column)))
    listed = _in(rollups, intervals, column)
    values = quantile_table(listed, (0.05, 0.25, 0.5, 0.75, 0.95, 0.0, 1.0))
    return [
        Band(_middle(intervals, place, since, until), listed[place].count, *nan_to_null(row))
        for place, row in enumerate(values)
    ]


def median_line(rollups: Sequence[Rollup], column: str, since: int, until: int) -> list[float | None]:
    """The medians, oldest first, of at most `MOST_POINTS` intervals; null where there is no sample."""
    count = sample_count(rollups, column)
    if not count:
        return []
    intervals = _cut(rollups, since, until, min(MOST_POINTS, band_count(count)))
    return nan_to_null(quantile_table(_in(rollups, intervals, column), (0.5,))[:, 0])


def medians_over_time(rollups: Sequence[Rollup], column: str) -> tuple[npt.NDArray[np.int64], Floats]:
    """When each roll-up with a sample began (milliseconds UTC), and its median, oldest first."""
    place = SKETCHED.index(column)
    known = sorted((rollup for rollup in rollups if rollup.sketches[place]), key=lambda rollup: rollup.began)
    return np.array([rollup.began for rollup in known], dtype=np.int64), medians(known, column)


def failures(rollups: Sequence[Rollup]) -> list[tuple[int, str, int]]:
    """Failures: the middle of their roll-up (milliseconds UTC), their outcome, and how many."""
    return [
        (rollup.began + rollup.length_ms // 2, name, count)
        for rollup in rollups
        for name in _FAILED
        if (count := rollup[name])
    ]


def band_count(samples: int) -> int:
    """How many intervals to split a range into: as many as hold eight samples each, 4 to 96."""
    return min(MOST_BANDS, max(4, math.ceil(samples / PROBES_A_BAND)))


def _cut(rollups: Sequence[Rollup], since: int, until: int, count: int) -> Intervals:
    return split_range(rollups, since, until, count, max((rollup.length_ms for rollup in rollups), default=1))


def _in(rollups: Sequence[Rollup], intervals: Intervals, column: str) -> list[Samples]:
    places = [intervals.place(rollup.began) for rollup in rollups]
    return samples_by_place(rollups, places, intervals.count, column)


def _middle(intervals: Intervals, place: int, since: int, until: int) -> int:
    """The middle of the part of an interval that lies within the range."""
    began = intervals.began + place * intervals.width_ms
    return (max(began, since) + min(began + intervals.width_ms, until)) // 2
