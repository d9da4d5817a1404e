"""Whether two targets differ: their medians, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from stats.latency import measured
from stats.rollups import Counts
from store.sketch import BUCKETS, GAMMA, SMALLEST, bucket_of

RESAMPLES = 2_000
LEAST_SAMPLES = 5


@dataclass(frozen=True)
class Difference:
    """`other` minus `one`, of their medians, with its 95% bootstrap interval."""

    one: float
    other: float
    low: float
    high: float

    @property
    def by(self) -> float:
        """The difference itself."""
        return self.other - self.one

    @property
    def is_shown(self) -> bool:
        """The data can tell: the interval does not hold zero."""
        return self.low > 0 or self.high < 0


def counts_of(probes: pd.DataFrame, column: str) -> Counts:
    """The good replies' values of a column, by bucket of a sketch."""
    buckets = [bucket_of(float(value)) for value in measured(probes, column)[column]]
    return np.bincount(np.array(buckets, dtype=np.int64), minlength=BUCKETS).astype(np.int64)


def difference(one: Counts, other: Counts, seed: int = 1) -> Difference | None:
    """Of two sketches; null where one has fewer than five samples. Resamples are drawn from the buckets, so it costs
    the same for any number of samples (Efron 1979, the percentile interval).
    """
    if min(int(one.sum()), int(other.sum())) < LEAST_SAMPLES:
        return None
    chance = np.random.default_rng(seed)
    gaps = _medians(_resampled(other, chance)) - _medians(_resampled(one, chance))
    low, high = np.quantile(gaps, (0.025, 0.975))
    [median_one], [median_other] = _medians(one[None, :]), _medians(other[None, :])
    return Difference(float(median_one), float(median_other), float(low), float(high))


def _resampled(counts: Counts, chance: np.random.Generator) -> Counts:
    """As many samples as there are, drawn with replacement: one row a resample, one column a bucket."""
    used = np.flatnonzero(counts)
    total = int(counts.sum())
    drawn = np.zeros((RESAMPLES, BUCKETS), dtype=np.int64)
    drawn[:, used] = chance.multinomial(total, counts[used] / total, size=RESAMPLES)
    return drawn


def _medians(counts: Counts) -> np.ndarray:
    """The median of each row, as far into its bucket as the half of all samples lies: without that, medians would go in
    steps of 2%.
    """
    ends = np.cumsum(counts, axis=1)
    half = ends[:, -1] / 2
    place = (ends < half[:, None]).sum(axis=1)
    row = np.arange(len(counts))
    inside = counts[row, place]
    into = 1 - (ends[row, place] - half) / inside
    return np.asarray(SMALLEST * GAMMA ** (place - 1 + into))
