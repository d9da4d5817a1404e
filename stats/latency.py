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
from stats.samples import Floats, Samples, quantile_table, samples_by_place
from store.arrays import sample_count
from store.outcomes import DOWN, UP
from store.rollups import OUTCOMES, SKETCHED, Rollup
from store.schema import LAG_LIMIT_MS

LEAST_LATER_MS, LEAST_LATER = 10.0, 0.05
MOST_BANDS = 96
PROBES_A_BAND = 8
MOST_POINTS = 48
_FAILED = [outcome for outcome in OUTCOMES if outcome in DOWN]


@dataclass(frozen=True)
class Band:
    """The percentiles of the `count` samples of one stretch around `at` (milliseconds UTC); null without a sample."""

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
    """What is read of a raw probe for what no roll-up has a sketch of."""

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
        """A success, on a machine that was not overloaded."""
        return self.outcome in UP and not (self.lag_ms or 0.0) > LAG_LIMIT_MS


def is_reasoning(probes: Iterable[MeasuredProbe]) -> bool:
    """Whether visible answers come noticeably later than first tokens, at the median: a model that does not reason
    begins with its answer, and has the same moment in both.
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
    """Percentiles of a column in stretches of equal length. One without samples is there, too, so that a line through
    it breaks.
    """
    stretches = _cut(rollups, since, until, band_count(sample_count(rollups, column)))
    listed = _in(rollups, stretches, column)
    values = quantile_table(listed, (0.05, 0.25, 0.5, 0.75, 0.95, 0.0, 1.0))
    return [
        Band(_middle(stretches, place, since, until), listed[place].count, *_nulled(row))
        for place, row in enumerate(values)
    ]


def median_line(rollups: Sequence[Rollup], column: str, since: int, until: int) -> list[float | None]:
    """The medians alone, oldest first, in at most `MOST_POINTS` stretches; null where there is no sample."""
    count = sample_count(rollups, column)
    if not count:
        return []
    stretches = _cut(rollups, since, until, min(MOST_POINTS, band_count(count)))
    return _nulled(quantile_table(_in(rollups, stretches, column), (0.5,))[:, 0])


def medians_over_time(rollups: Sequence[Rollup], column: str) -> tuple[npt.NDArray[np.int64], Floats]:
    """When each stretch with a sample began (milliseconds UTC), and its median, in the order of time."""
    place = SKETCHED.index(column)
    known = sorted((rollup for rollup in rollups if rollup.sketches[place]), key=lambda rollup: rollup.began)
    listed = samples_by_place(known, range(len(known)), len(known), column)
    return np.array([rollup.began for rollup in known], dtype=np.int64), quantile_table(listed, (0.5,)).reshape(-1)


def failures(rollups: Sequence[Rollup]) -> list[tuple[int, str, int]]:
    """When (the middle of its stretch, milliseconds UTC), with which outcome and how often it failed."""
    return [
        (rollup.began + rollup.length_ms // 2, name, count)
        for rollup in rollups
        for name in _FAILED
        if (count := rollup[name])
    ]


def band_count(samples: int) -> int:
    """Into how many stretches to cut: as many as hold eight samples each, 4 to 96."""
    return min(MOST_BANDS, max(4, math.ceil(samples / PROBES_A_BAND)))


def _cut(rollups: Sequence[Rollup], since: int, until: int, count: int) -> Intervals:
    return split_range(rollups, since, until, count, max((rollup.length_ms for rollup in rollups), default=1))


def _in(rollups: Sequence[Rollup], stretches: Intervals, column: str) -> list[Samples]:
    places = [stretches.place(rollup.began) for rollup in rollups]
    return samples_by_place(rollups, places, stretches.count, column)


def _middle(stretches: Intervals, place: int, since: int, until: int) -> int:
    """Of the part that lies within the range."""
    began = stretches.began + place * stretches.width_ms
    return (max(began, since) + min(began + stretches.width_ms, until)) // 2


def _nulled(row: Floats) -> list[float | None]:
    return [None if math.isnan(value) else float(value) for value in row]
