"""Whether two targets differ: their medians, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from stats.latency import measured
from stats.rollups import Counts, quantiles
from store.sketch import BUCKETS, GAMMA, SMALLEST, bucket_of

RESAMPLES = 2_000
LEAST_SAMPLES = 5
_VALUES = SMALLEST * 2 * GAMMA ** np.arange(BUCKETS, dtype=float) / (GAMMA + 1)


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
    the same for any number of samples (Efron 1979, the percentile interval); what lies in one bucket, 2% wide, is one
    value.
    """
    if min(int(one.sum()), int(other.sum())) < LEAST_SAMPLES:
        return None
    chance = np.random.default_rng(seed)
    gaps = _medians(other, chance) - _medians(one, chance)
    low, high = np.quantile(gaps, (0.025, 0.975))
    [median_one], [median_other] = quantiles(one, [0.5]), quantiles(other, [0.5])
    assert median_one is not None and median_other is not None
    return Difference(median_one, median_other, float(low), float(high))


def _medians(counts: Counts, chance: np.random.Generator) -> np.ndarray:
    used = np.flatnonzero(counts)
    total = int(counts.sum())
    drawn = chance.multinomial(total, counts[used] / total, size=RESAMPLES)
    ends = np.cumsum(drawn, axis=1)
    values = _VALUES[used]
    low = values[(ends <= (total - 1) // 2).sum(axis=1)]
    high = values[(ends <= total // 2).sum(axis=1)]
    return np.asarray((low + high) / 2)
