"""Fewer points, and nothing that stands out is lost: worked out by hand, and for invented series by hypothesis."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from stats.downsampling import Point, downsample, marks
from tests.factories import DAY, HOUR, MINUTE, NOON

VALUES = some.lists(some.one_of(some.none(), some.floats(0, 1e6)), max_size=600)


def test_few_points_stay_as_they_are() -> None:
    points: list[Point] = [(NOON, 1.0), (NOON + 1, None), (NOON + 2, 3.0)]
    assert downsample(points, 3) == points


def test_one_spike_among_a_hundred_thousand_points_is_kept_at_its_moment() -> None:
    points: list[Point] = [(NOON + n, 9_000.0 if n == 77_777 else 100.0 + n % 3) for n in range(100_000)]
    kept = downsample(points)
    assert len(kept) <= 800
    assert (NOON + 77_777, 9_000.0) in kept


def test_a_hole_of_one_point_still_breaks_the_line() -> None:
    points: list[Point] = [(NOON + n, None if n == 500 else 1.0) for n in range(10_000)]
    assert (NOON + 500, None) in downsample(points)


@given(VALUES)
def test_ends_extremes_order_and_the_promised_number_hold_for_any_series(values: list[float | None]) -> None:
    points: list[Point] = [(NOON + 60_000 * place, value) for place, value in enumerate(values)]
    kept = downsample(points, 100)
    assert len(kept) <= 100 and kept == sorted(kept, key=lambda point: point[0]) and set(kept) <= set(points)
    known = [value for value in values if value is not None]
    if known:
        assert {min(known), max(known)} <= {value for _, value in kept}
    if values:
        assert (kept[0], kept[-1]) == (points[0], points[-1])


def test_failures_of_one_cell_share_a_mark_that_counts_them() -> None:
    failed = [(NOON, "timeout", 1), (NOON + 1, "ok", 1), (NOON + 2, "server_error", 2), (NOON + 2 * HOUR, "timeout", 1)]
    first, second = marks(failed, NOON, NOON + DAY, most=24)
    assert (first.since, first.until, first.count, first.outcomes) == (
        NOON,
        NOON + 2,
        3,
        (("server_error", 2), ("timeout", 1)),
    )
    assert (second.since, second.count) == (NOON + 2 * HOUR, 1)


@given(some.lists(some.integers(0, DAY - 1), max_size=300))
def test_no_failure_disappears_and_none_moves_further_than_a_mark_is_wide(moments: list[int]) -> None:
    found = marks([(NOON + moment, "timeout", 1) for moment in moments], NOON, NOON + DAY, most=50)
    assert len(found) <= 50
    assert sum(mark.count for mark in found) == len(moments)
    for moment in moments:
        assert any(mark.since <= NOON + moment <= mark.until for mark in found)
    assert all(mark.until - mark.since < DAY / 50 + MINUTE for mark in found)


def test_what_lies_outside_of_the_window_or_is_no_failure_makes_no_mark() -> None:
    failed = [(NOON - 1, "timeout", 1), (NOON + DAY, "timeout", 1), (NOON, "rate_limited", 5), (NOON, "timeout", 0)]
    assert marks(failed, NOON, NOON + DAY) == []
