"""Measured values of many probes: themselves where they are few, else counts by bucket of a sketch. The one definition
of a quantile.

A quantile lies between two neighbours by linear interpolation, as numpy has it. Up to `EXACT_UP_TO` samples of a range
that was read from raw probes it is exact; beyond, and from kept sketches, within 1%.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from store.arrays import Counts, bucket_counts, bucket_counts_by_place, buckets_of, sample_count, sketches_by_row
from store.rollups import SKETCHED, Rollup
from store.sketch import BUCKETS, GAMMA, SMALLEST

Floats = npt.NDArray[np.float64]

EXACT_UP_TO = 2_000
FEW = 20
"""Below this many samples a percentile is shown with its count."""
_VALUES = SMALLEST * 2 * GAMMA ** np.arange(BUCKETS, dtype=float) / (GAMMA + 1)
_NO_VALUES: Floats = np.array([], dtype=float)
_NOTHING: Counts = np.zeros(BUCKETS, dtype=np.int64)


@dataclass(frozen=True)
class Percentiles:
    """Percentiles of `count` samples; `skipped` more were taken on an overloaded machine and are not believed."""

    count: int
    skipped: int
    p50: float | None
    p75: float | None
    p90: float | None
    p95: float | None
    p99: float | None

    @property
    def is_small(self) -> bool:
        """Too few samples for the outer percentiles to say much."""
        return self.count < FEW


@dataclass(frozen=True)
class Samples:
    """The values of one column. `values` is null where only the `buckets` are known."""

    buckets: Counts = field(default_factory=lambda: _NOTHING)
    values: Floats | None = None

    @property
    def count(self) -> int:
        return int(self.buckets.sum())

    def quantiles(self, shares: Sequence[float]) -> list[float | None]:
        """The values that these shares (0 to 1) of the samples do not exceed; null when there is none."""
        if self.values is not None:
            return [float(v) for v in np.quantile(self.values, shares)] if len(self.values) else [None] * len(shares)
        return nan_to_null(quantiles_by_row(self.buckets[None], shares)[0])

    def counts_up_to(self, bounds: Sequence[float]) -> list[int]:
        """How many values do not exceed each bound, by their buckets: a value within 1% of a bound may be on either
        side, and always stays there.
        """
        return [int(self.buckets[bound >= _VALUES].sum()) for bound in bounds]

    @property
    def total(self) -> float:
        """The sum of the values, by their buckets: within 1%, and never less when values are added."""
        return float(self.buckets @ _VALUES)

    def percentiles(self, skipped: int = 0) -> Percentiles:
        """p50 to p99."""
        return Percentiles(self.count, skipped, *self.quantiles((0.5, 0.75, 0.9, 0.95, 0.99)))


def samples(rollups: Sequence[Rollup], column: str) -> Samples:
    """The values of a column in these roll-ups."""
    place = SKETCHED.index(column)
    buckets = bucket_counts(rollups, column)
    values = _values(rollups, place) if buckets.sum() <= EXACT_UP_TO else None
    return Samples(buckets, values)


def percentiles(rollups: Sequence[Rollup], column: str) -> Percentiles:
    """The percentiles of a column, of successful responses on a machine that was not overloaded. What was left out is
    told for all columns together.
    """
    return samples(rollups, column).percentiles(sum(rollup["lagged"] for rollup in rollups))


def samples_by_place(rollups: Sequence[Rollup], places: npt.ArrayLike, count: int, column: str) -> list[Samples]:
    """The same for each of `count` places; `places` is where each roll-up belongs (out of range: nowhere)."""
    place = SKETCHED.index(column)
    inside = np.asarray(places, dtype=np.int64)
    chosen = (inside >= 0) & (inside < count)
    mine = [rollup for rollup, is_chosen in zip(rollups, chosen, strict=True) if is_chosen]
    buckets = bucket_counts_by_place(mine, inside[chosen], count, column)
    if buckets.sum() > EXACT_UP_TO or any(rollup.values is None and rollup.sketches[place] for rollup in mine):
        return [Samples(row) for row in buckets]
    values: list[list[float]] = [[] for _ in range(count)]
    for rollup, number in zip(mine, inside[chosen], strict=True):
        values[number] += rollup.values[place] if rollup.values is not None else ()
    return [Samples(row, np.array(listed)) for row, listed in zip(buckets, values, strict=True)]


def quantile_table(listed: Sequence[Samples], shares: Sequence[float]) -> Floats:
    """The quantiles of each of them: (samples, shares), NaN where there is none."""
    if not listed or listed[0].values is None:
        counts = np.array([each.buckets for each in listed]).reshape(-1, BUCKETS)
        return quantiles_by_row(counts, shares)
    return _exact_quantiles([each.values if each.values is not None else _NO_VALUES for each in listed], shares)


def _exact_quantiles(rows: Sequence[Floats], shares: Sequence[float]) -> Floats:
    """The same as `np.quantile` of each row, to the bit; that takes 0.3 ms a row, and a chart has hundreds."""
    flat, counts = np.concatenate(rows), np.array([len(row) for row in rows])
    if not flat.size:
        return np.full((len(rows), len(shares)), np.nan)
    flat = flat[np.lexsort((flat, np.repeat(np.arange(len(rows)), counts)))]
    last = np.maximum(counts - 1, 0)[:, None]
    began = np.minimum(np.cumsum(counts) - counts, flat.size - 1)[:, None]
    places = np.asarray(shares) * last
    low = np.floor(places).astype(np.int64)
    share, lower, upper = places - low, flat[began + low], flat[began + np.minimum(low + 1, last)]
    step = upper - lower
    between = np.where(share >= 0.5, upper - step * (1 - share), lower + step * share)
    return np.where(counts[:, None] > 0, between, np.nan)


def medians(rollups: Sequence[Rollup], column: str) -> Floats:
    """The median of a column in each roll-up that has a sample of it: the same as `quantile_table` of each by itself,
    without a row of all buckets for each.
    """
    place = SKETCHED.index(column)
    if sample_count(rollups, column) <= EXACT_UP_TO and all(rollup.values is not None for rollup in rollups):
        rows = [np.array(rollup.values[place]) for rollup in rollups if rollup.values is not None]
        return _exact_quantiles(rows, (0.5,)).reshape(-1) if rows else _NO_VALUES
    pairs, lengths = sketches_by_row(rollups, column)
    ends = np.cumsum(pairs[:, 1], dtype=np.int64)
    lasts = np.cumsum(lengths) - 1
    before = np.concatenate(([0], ends[lasts[:-1]]))
    total = ends[lasts] - before
    middle = 0.5 * (total - 1)
    low = np.floor(middle)
    lower, upper = (
        _VALUES[pairs[np.searchsorted(ends, before + rank, side="right"), 0]]
        for rank in (low, np.minimum(low + 1, total - 1))
    )
    return np.asarray(lower + (upper - lower) * (middle - low))


def quantiles_by_row(counts: Counts, shares: Sequence[float]) -> Floats:
    """The quantiles of each row of counts (rows, buckets): (rows, shares), NaN where there is none."""
    total = counts.sum(axis=1)[:, None]
    ends = np.cumsum(counts, axis=1)
    places = np.asarray(shares) * (total - 1)
    low = np.floor(places)
    lower = _VALUES[_first_beyond(ends, low)]
    upper = _VALUES[_first_beyond(ends, np.minimum(low + 1, total - 1))]
    return np.where(total > 0, lower + (upper - lower) * (places - low), np.nan)


def nan_to_null(row: Floats) -> list[float | None]:
    """Numbers, with null where there is none."""
    return [None if math.isnan(value) else float(value) for value in row]


def samples_of(values: Sequence[float]) -> Samples:
    """Samples of these values."""
    known = np.array(values, dtype=float)
    buckets = np.bincount(buckets_of(known), minlength=BUCKETS)
    return Samples(buckets.astype(np.int64), known if len(known) <= EXACT_UP_TO else None)


def _values(rollups: Sequence[Rollup], place: int) -> Floats | None:
    """The values themselves, where all of them are known."""
    listed: list[float] = []
    for rollup in rollups:
        if rollup.values is not None:
            listed += rollup.values[place]
        elif rollup.sketches[place]:
            return None
    return np.array(listed, dtype=float)


def _first_beyond(ends: Counts, places: Floats) -> Counts:
    """In each row of (rows, buckets) the first bucket that ends beyond each place of (rows, places), or the last."""
    before = np.count_nonzero(ends[:, None, :] <= places[:, :, None], axis=2)
    return np.asarray(np.minimum(before, ends.shape[1] - 1))
