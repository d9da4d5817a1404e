from __future__ import annotations

from stats.degraded import Slow, find_slow
from stats.incidents import TargetState, majority
from tests.factories import MINUTE, NOON

NOW = NOON + 20 * MINUTE


def each_minute(*ttft_ms: float) -> list[tuple[int, float]]:
    return [(NOW - (len(ttft_ms) - n) * MINUTE, ms) for n, ms in enumerate(ttft_ms)]


def test_a_limit_is_exceeded_by_two_in_a_row_and_kept_by_two_in_a_row() -> None:
    assert find_slow(each_minute(100, 2_001), 2_000, None, NOW) is None
    assert find_slow(each_minute(100, 2_001, 2_500), 2_000, None, NOW) == Slow(2_500, limit_ms=2_000)
    assert find_slow(each_minute(2_001, 2_500, 2_000), 2_000, None, NOW) == Slow(2_500, limit_ms=2_000)
    assert find_slow(each_minute(2_001, 2_500, 2_000, 100), 2_000, None, NOW) is None
    assert find_slow([], 2_000, None, NOW) is None


def test_more_than_three_times_the_usual_median_over_at_least_ten_samples_is_slow() -> None:
    assert find_slow(each_minute(*[300] * 10), None, 100, NOW) is None
    assert find_slow(each_minute(*[301] * 9), None, 100, NOW) is None
    assert find_slow(each_minute(*[301] * 10), None, None, NOW) is None
    assert find_slow(each_minute(*[301] * 10), None, 100, NOW) == Slow(301, times=3.01)
    assert find_slow(each_minute(*[301] * 10), None, 100, NOW + 6 * MINUTE) is None  # one of them is too old


def test_of_several_locations_the_best_counts() -> None:
    up, slow, down = TargetState("up", None), TargetState("degraded", None), TargetState("down", None)
    assert majority([slow, up]).status == "up"
    assert majority([slow, down]).status == "degraded"
