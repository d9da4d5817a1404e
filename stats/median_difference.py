"""The difference between the medians of two targets, and how certain it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stats.samples import Samples
from store.arrays import Counts
from store.sketch import GAMMA, SMALLEST

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
        return self.other - self.one

    @property
    def is_shown(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


def difference(one: Samples, other: Samples, seed: int = 1) -> Difference | None:
    """Between two sets of values; null where one has fewer than five. Resamples are drawn from the buckets, so it costs
    the same for any number of samples (Efron 1979, the percentile interval).
    """
    if min(one.count, other.count) < LEAST_SAMPLES:
        return None
    chance = np.random.default_rng(seed)
    gaps = _resampled_medians(other.buckets, chance) - _resampled_medians(one.buckets, chance)
    low, high = np.quantile(gaps, (0.025, 0.975))
    [[median_one], [median_other]] = (each.quantiles((0.5,)) for each in (one, other))
    assert median_one is not None and median_other is not None
    return Difference(median_one, median_other, float(low), float(high))


def _resampled_medians(counts: Counts, chance: np.random.Generator) -> np.ndarray:
    """The median of each resample: as many samples as there are, drawn with replacement from the buckets. It lies as
    far into its bucket as the half of its samples does: without that, an interval would go in steps of 2%.
    """
    used = np.flatnonzero(counts)
    total = int(counts.sum())
    drawn = chance.multinomial(total, counts[used] / total, size=RESAMPLES)
    ends = np.cumsum(drawn, axis=1)
    place = (ends < total / 2).sum(axis=1)
    row = np.arange(RESAMPLES)
    into = 1 - (ends[row, place] - total / 2) / drawn[row, place]
    return np.asarray(SMALLEST * GAMMA ** (used[place] - 1 + into))
