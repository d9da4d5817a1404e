"""Percentiles of times and rates, in one number and over time. Never a mean alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from store.rows import LAG_LIMIT_MS, UP

FEW = 20
"""Below this many samples a percentile is said with its count, as small."""
LEAST_LATER_MS, LEAST_LATER = 10.0, 0.05
BUCKETS = 96
PROBES_A_BUCKET = 8
BAND_PERCENTILES = (5, 25, 50, 75, 95)


@dataclass(frozen=True)
class Percentiles:
    """Percentiles of `count` samples; `left_out` more were taken on an overloaded machine and are not believed."""

    count: int
    left_out: int
    p50: float | None
    p75: float | None
    p90: float | None
    p95: float | None
    p99: float | None

    @property
    def is_small(self) -> bool:
        """Too few samples for the outer percentiles to say much."""
        return self.count < FEW


def measured(probes: pd.DataFrame, column: str) -> pd.DataFrame:
    """The good replies that have a value in `column` and ran on a machine that was not overloaded."""
    good = probes["outcome"].isin(UP) & probes[column].notna()
    return probes[good & ~(probes["lag_ms"] > LAG_LIMIT_MS)]


def percentiles(probes: pd.DataFrame, column: str) -> Percentiles:
    """The percentiles of `column` over the good replies in `probes` (`outcome`, `lag_ms`, `column`)."""
    values = measured(probes, column)[column].to_numpy(dtype=float)
    all_good = int((probes["outcome"].isin(UP) & probes[column].notna()).sum())
    points = [float(p) for p in np.percentile(values, (50, 75, 90, 95, 99))] if len(values) else [None] * 5
    return Percentiles(len(values), all_good - len(values), *points)


def is_reasoning(probes: pd.DataFrame) -> bool:
    """Whether visible answers come noticeably later than first tokens (`first_answer_ms`, `ttft_ms`), at the median: a
    model that does not reason begins with its answer, and has the same moment in both.
    """
    both = measured(probes, "first_answer_ms").dropna(subset=["ttft_ms"])
    if both.empty:
        return False
    later = (both["first_answer_ms"] - both["ttft_ms"]).median()
    return bool(later > max(LEAST_LATER_MS, LEAST_LATER * both["ttft_ms"].median()))


def bands(probes: pd.DataFrame, column: str, since: int, until: int) -> pd.DataFrame:
    """Percentiles of `column` in stretches of equal length: a frame with `at` (the middle of each, milliseconds UTC),
    `p5`, `p25`, `p50`, `p75`, `p95`, `min`, `max` and `count`; a stretch without samples is a row of missing values, so
    that a line through it breaks.
    """
    samples = measured(probes, column)
    inside = samples[(samples["started_at"] >= since) & (samples["started_at"] < until)]
    count = bucket_count(len(inside))
    width = max(1.0, (until - since) / count)
    index = ((inside["started_at"].to_numpy(dtype=np.int64) - since) / width).astype(int)
    grouped = inside[column].astype(float).groupby(index)
    columns = {f"p{p}": grouped.quantile(p / 100) for p in BAND_PERCENTILES}
    table = pd.DataFrame(columns | {"min": grouped.min(), "max": grouped.max(), "count": grouped.size()})
    table = table.reindex(range(count))
    table["count"] = table["count"].fillna(0).astype(int)
    table.insert(0, "at", [round(since + (n + 0.5) * width) for n in range(count)])
    return table


def median_line(probes: pd.DataFrame, column: str, since: int, until: int) -> list[float | None]:
    """The medians of `bands` alone, oldest first; null where there is no sample."""
    return [None if pd.isna(value) else float(value) for value in bands(probes, column, since, until)["p50"]]


def bucket_count(samples: int) -> int:
    """Into how many stretches to cut: as many as hold eight samples each, 4 to 96."""
    return min(BUCKETS, max(4, math.ceil(samples / PROBES_A_BUCKET)))
