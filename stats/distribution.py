"""Distributions of measured values: histograms, and medians by hour of the week."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from stats.samples import Samples, nan_to_null, quantile_table, samples_by_place
from store.rollups import Rollup
from store.sketch import BUCKETS, GAMMA, SMALLEST

MOST_BARS = 48
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class HistogramBar:
    """The `share` of all samples that lies between `low` and `high`."""

    low: float
    high: float
    share: float


def histogram(samples: Samples, most: int = MOST_BARS) -> list[HistogramBar]:
    """Bars of equal width on a logarithmic scale, between the 0.1% and the 99.9% quantile. What is beyond is in the
    outermost bars.
    """
    total = samples.count
    if not total:
        return []
    ends = np.cumsum(samples.buckets)
    first = int(np.searchsorted(ends, 0.001 * total, side="right"))
    last = int(np.searchsorted(ends, 0.999 * total))
    step = max(1, -(-(last - first + 1) // most))
    edges = np.arange(first, last + step + 1, step)
    places = np.clip((np.arange(BUCKETS) - first) // step, 0, len(edges) - 2)
    summed = np.bincount(places, weights=samples.buckets, minlength=len(edges) - 1)
    bounds = SMALLEST * GAMMA ** (edges.astype(float) - 1)
    shown = int(np.flatnonzero(summed)[-1]) + 1
    return [HistogramBar(float(bounds[n]), float(bounds[n + 1]), float(summed[n]) / total) for n in range(shown)]


def by_hour_of_week(rollups: Sequence[Rollup], column: str, zone: str = "UTC") -> list[list[float | None]]:
    """The medians by weekday (`DAYS`) and hour of the day in `zone` (0 to 23), of roll-ups of an hour at most;
    null where there is no sample.
    """
    where = UTC if zone == "UTC" else ZoneInfo(zone)
    local = [datetime.fromtimestamp(rollup.began / 1_000, where) for rollup in rollups]
    places = [moment.weekday() * 24 + moment.hour for moment in local]
    medians = quantile_table(samples_by_place(rollups, places, len(DAYS) * 24, column), (0.5,)).reshape(len(DAYS), 24)
    return [nan_to_null(row) for row in medians]
