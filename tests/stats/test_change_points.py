"""Change points: few false alarms on heavy tails, and a real change found soon."""

from __future__ import annotations

import numpy as np
import pytest

from stats.change_points import best_cut, shifts
from tests.factories import DAY, HOUR, MINUTE, NOON

SERIES = 100


def heavy(chance: np.random.Generator, count: int) -> np.ndarray:
    """Times to a first token as real ones are spread: lognormal, and one in twenty three times as long."""
    return 400 * chance.lognormal(0, 0.25, count) * np.where(chance.random(count) < 0.05, 3.0, 1.0)


def minutes(count: int) -> np.ndarray:
    return NOON + np.arange(count, dtype=np.int64) * MINUTE


@pytest.mark.parametrize("count", [60, 500, 1_440])
def test_of_a_hundred_stable_heavy_tailed_series_at_least_95_raise_no_alarm(count: int) -> None:
    chance = np.random.default_rng(20261124)
    alarms = sum(bool(shifts(minutes(count), heavy(chance, count))) for _ in range(SERIES))
    assert alarms <= 5


@pytest.mark.parametrize("factor", [1.3, 1 / 1.3])
def test_of_a_hundred_shifts_by_30_percent_at_least_95_are_found_within_50_probes(factor: float) -> None:
    chance = np.random.default_rng(7)
    found = 0
    for _ in range(SERIES):
        values = heavy(chance, 450)
        values[400:] *= factor
        alarms = shifts(minutes(450), values)
        found += any(abs(alarm.at - int(minutes(450)[400])) <= 25 * MINUTE for alarm in alarms)
    assert found >= 95


def test_a_change_is_told_with_its_moment_and_both_medians() -> None:
    values = heavy(np.random.default_rng(1), 1_000)
    values[600:] *= 1.7
    [shift] = shifts(minutes(1_000), values)
    assert abs(shift.at - int(minutes(1_000)[600])) <= 10 * MINUTE
    assert shift.before == pytest.approx(np.median(values[:600]), rel=0.02)
    assert shift.after == pytest.approx(np.median(values[600:]), rel=0.02)
    assert shift.p_value < 1e-6


def test_two_changes_are_both_found_and_a_long_series_is_thinned() -> None:
    values = heavy(np.random.default_rng(2), 9_000)
    values[3_000:6_000] *= 2
    found = shifts(minutes(9_000), values)
    assert [round((shift.at - NOON) / MINUTE / 100) for shift in found] == [30, 60]


def test_busy_hours_are_no_change() -> None:
    chance = np.random.default_rng(3)
    at = NOON + np.arange(7 * 24 * 6, dtype=np.int64) * 10 * MINUTE
    busy = np.where((at // HOUR % 24 >= 9) & (at // HOUR % 24 < 18), 1.4, 1.0)
    assert shifts(at, heavy(chance, len(at)) * busy) == []
    later = np.where(at >= NOON + 4 * DAY, 1.5, 1.0)
    [shift] = shifts(at, heavy(chance, len(at)) * busy * later)
    assert abs(shift.at - (NOON + 4 * DAY)) <= 3 * HOUR


def test_too_few_values_missing_ones_and_constant_ones_are_no_change() -> None:
    assert shifts(minutes(30), heavy(np.random.default_rng(4), 30)) == []
    assert shifts(minutes(100), np.full(100, 400.0)) == []
    assert shifts(minutes(100), np.full(100, np.nan)) == []
    assert shifts(minutes(0), np.array([])) == []
    small = np.r_[np.full(200, 400.0), np.full(200, 420.0)]  # 5%: sure, and not worth a word
    assert shifts(minutes(400), small) == []
    assert best_cut(np.arange(10.0)) == (None, 1.0)
