"""Change points: when a measured time or rate shifted to another level.

A rank test, so that heavy tails do not matter: of all ways to cut a series in two, the one whose halves differ most by
their ranks (Pettitt 1979), with the chance that a series without a change would show as much (the approximation of
Miller and Siegmund 1982 for maximally selected rank statistics). Both parts are then cut in the same way until no cut
is significant. With several days of data, the usual level of the hour of the day is subtracted first, so that busy
hours are no change. The test assumes independent values: autocorrelated series give more false alarms than stated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from store.clock import DAY_MS, HOUR_MS

ALPHA = 0.01
"""The false-alarm rate per series."""
LEAST_SIDE = 20
"""Fewer values on a side are not enough."""
LEAST_SHIFT = 0.1
"""A change of the median below 10% is not reported, however certain it is."""
MOST_VALUES = 2_000
DAYS_FOR_HOURS = 3

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Shift:
    """The median went from `before` to `after` at `at` (milliseconds UTC); `p_value` is the chance described above."""

    at: int
    before: float
    after: float
    p_value: float


def shifts(at: npt.NDArray[np.int64], values: Values, alpha: float = ALPHA) -> list[Shift]:
    """The changes in a series of positive values, in the order of their moments `at` (milliseconds UTC). A series
    longer than 2,000 values is reduced to medians of neighbours.
    """
    known = np.isfinite(values) & (values > 0)
    at, values = at[known], values[known]
    if len(values) > MOST_VALUES:
        at, values = _downsample(at, values)
    if len(values) < 2 * LEAST_SIDE:
        return []
    level = np.log(values) - _usual_by_hour(at, np.log(values))
    cuts = _settle_cuts(level, sorted(cut for cut, _ in _cuts(level, 0, len(level), alpha)), alpha)
    edges = [0, *(cut for cut, _ in cuts), len(values)]
    changes = []
    for (cut, p_value), began, ended in zip(cuts, edges, edges[2:], strict=False):
        before, after = float(np.median(values[began:cut])), float(np.median(values[cut:ended]))
        shift = float(np.median(level[cut:ended]) - np.median(level[began:cut]))
        if abs(math.expm1(shift)) >= LEAST_SHIFT:
            changes.append(Shift(int(at[cut]), before, after, p_value))
    return changes


def _downsample(at: npt.NDArray[np.int64], values: Values) -> tuple[npt.NDArray[np.int64], Values]:
    size = math.ceil(len(values) / MOST_VALUES)
    length = len(values) // size * size
    return at[:length:size], np.median(values[:length].reshape(-1, size), axis=1)


def _usual_by_hour(at: npt.NDArray[np.int64], level: Values) -> Values:
    """What the hour of the day adds to the level of its day; zero without enough days."""
    if at[-1] - at[0] < DAYS_FOR_HOURS * DAY_MS:
        return np.zeros(len(level))
    over = level - _medians_by(at // DAY_MS, level)
    return _medians_by(at // HOUR_MS % 24, over)


def _medians_by(group: npt.NDArray[np.int64], level: Values) -> Values:
    """For each value the median of its group; all groups at once, since `np.median` takes 0.1 ms for each."""
    order = np.lexsort((level, group))
    ordered = level[order]
    _, began, counts = np.unique(group[order], return_index=True, return_counts=True)
    middle = (ordered[began + (counts - 1) // 2] + ordered[began + counts // 2]) / 2
    medians = np.empty(len(level))
    medians[order] = np.repeat(middle, counts)
    return medians


def _ranks(level: Values) -> Values:
    """From 1 on; equal values share the mean of their ranks."""
    _, place, counts = np.unique(level, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place], dtype=float)


def _cuts(level: Values, began: int, ended: int, alpha: float) -> list[tuple[int, float]]:
    """The cuts in a part of the series, each with its chance: the best one, and those on its two sides."""
    cut, p_value = best_cut(level[began:ended])
    if cut is None or p_value > alpha:
        return []
    place = began + cut
    return [*_cuts(level, began, place, alpha), (place, p_value), *_cuts(level, place, ended, alpha)]


def _settle_cuts(level: Values, cuts: list[int], alpha: float) -> list[tuple[int, float]]:
    """Each cut with its chance between its neighbours; two that one cut in their place explains as well are that one.
    The first cuts were found while the others were still in the way.
    """
    number = 0
    while number + 1 < len(cuts):
        began, ended = ([0, *cuts, len(level)])[number], ([*cuts, len(level)])[number + 2]
        one, p_value = best_cut(level[began:ended])
        if one is not None and p_value <= alpha:
            place = began + one
            if best_cut(level[began:place])[1] > alpha and best_cut(level[place:ended])[1] > alpha:
                cuts = [*cuts[:number], place, *cuts[number + 2 :]]
                number = max(0, number - 1)
                continue
        number += 1
    edges = [0, *cuts, len(level)]
    chances = (best_cut(level[began:ended])[1] for began, ended in zip(edges, edges[2:], strict=False))
    return [(cut, p_value) for cut, p_value in zip(cuts, chances, strict=True) if p_value <= alpha]


def best_cut(level: Values) -> tuple[int | None, float]:
    """Where the two sides differ most by rank, and the chance that a series without a change differs as much."""
    count = len(level)
    if count < 2 * LEAST_SIDE:
        return None, 1.0
    ranks = _ranks(level)
    left = np.arange(1, count)
    excess = np.cumsum(ranks)[:-1] - left * (count + 1) / 2
    spread = np.sqrt(left * (count - left) / (count - 1) * ranks.var(ddof=0) * (count - 1) / count)
    if not spread.any():
        return None, 1.0
    deviation = np.abs(excess) / np.where(spread > 0, spread, np.inf)
    inner = slice(LEAST_SIDE - 1, count - LEAST_SIDE)
    cut = int(np.argmax(deviation[inner])) + LEAST_SIDE
    return cut, _chance(float(deviation[cut - 1]), LEAST_SIDE / count)


def _chance(most: float, trimmed: float) -> float:
    """That the largest deviation is at least `most`, where this share is excluded at both ends."""
    if most <= 1:
        return 1.0
    density = math.exp(-most * most / 2) / math.sqrt(2 * math.pi)
    chance = 4 * density / most + density * (most - 1 / most) * 2 * math.log((1 - trimmed) / trimmed)
    return min(1.0, chance)
