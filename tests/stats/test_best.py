"""Which of several is the best: only where what was measured can tell."""

from __future__ import annotations

import pytest

from stats.comparison import best_fact, best_median, best_share
from stats.median_difference import Difference
from stats.samples import Samples, samples_of


@pytest.mark.parametrize(
    ("intervals", "best"),
    [
        ([(0.97, 0.99), (0.992, 0.999)], 1),
        ([(0.97, 0.993), (0.992, 0.999)], None),  # they overlap
        ([(0.97, 0.99), (0.992, 0.999), (0.980, 0.995)], None),  # the third might be as good
        ([(0.97, 0.99), None], None),  # alone it is not the best of anything
        ([None, (0.97, 0.99), (0.5, 0.6)], 1),
        ([], None),
    ],
)
def test_a_share_is_the_best_where_its_interval_lies_above_all_others(
    intervals: list[tuple[float, float] | None], best: int | None
) -> None:
    shares = [None if pair is None else sum(pair) / 2 for pair in intervals]
    assert best_share(shares, intervals) == best


def _differ(one: Samples, other: Samples) -> Difference:
    """As if each interval were 10 to both sides."""
    [[here], [there]] = one.quantiles((0.5,)), other.quantiles((0.5,))
    assert here is not None and there is not None
    return Difference(here, there, there - here - 10, there - here + 10)


@pytest.mark.parametrize(
    ("medians", "is_lowest", "best"),
    [
        ([100, 120, 150], True, 0),
        ([100, 109, 150], True, None),
        ([100, 120, 150], False, 2),
        ([120, None, 100], True, 2),
        ([100, None], True, None),
    ],
)
def test_a_median_is_the_best_where_it_differs_from_each_other_one(
    medians: list[float | None], is_lowest: bool, best: int | None
) -> None:
    samples = [None if median is None else samples_of([float(median)] * 9) for median in medians]
    assert best_median(samples, _differ, is_lowest=is_lowest) == best


@pytest.mark.parametrize(
    ("values", "is_lowest", "best"),
    [([3.0, 1.0, 2.0], True, 1), ([3, 1, 3], False, None), ([None, 1], True, None), ([1.0, 1.0, 2.0], True, None)],
)
def test_a_fact_is_the_best_where_no_other_is_as_good(
    values: list[float | None], is_lowest: bool, best: int | None
) -> None:
    assert best_fact(values, is_lowest=is_lowest) == best
