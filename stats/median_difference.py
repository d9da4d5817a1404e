"""The difference between the medians of two targets, and how certain it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from stats.samples import Samples
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


Resample = Callable[[Samples], np.ndarray]


def resampled_medians(samples: Samples) -> np.ndarray:
    """The medians of `RESAMPLES` resamples: as many values as there are, drawn with replacement from the buckets, so
    that it costs the same for any number (Efron 1979). A median lies as far into its bucket as the half of its resample
    does: without that, an interval would go in steps of 2%. The seed is made of the buckets: two sets are drawn
    independently of each other, and the same set always in the same way.
    """
    chance = np.random.default_rng(crc32(samples.buckets.tobytes()))
    used = np.flatnonzero(samples.buckets)
    drawn = chance.multinomial(samples.count, samples.buckets[used] / samples.count, size=RESAMPLES)
    ends = np.cumsum(drawn, axis=1)
    place = (ends < samples.count / 2).sum(axis=1)
    row = np.arange(RESAMPLES)
    into = 1 - (ends[row, place] - samples.count / 2) / drawn[row, place]
    return np.asarray(SMALLEST * GAMMA ** (used[place] - 1 + into))


def difference(one: Samples, other: Samples, resample: Resample = resampled_medians) -> Difference | None:
    """Between two sets of values; null where one has fewer than five. `resample` may cache its result."""
    if min(one.count, other.count) < LEAST_SAMPLES:
        return None
    low, high = np.quantile(resample(other) - resample(one), (0.025, 0.975))
    [[median_one], [median_other]] = (each.quantiles((0.5,)) for each in (one, other))
    assert median_one is not None and median_other is not None
    return Difference(median_one, median_other, float(low), float(high))
