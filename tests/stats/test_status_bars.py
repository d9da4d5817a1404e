from __future__ import annotations

from stats.status_bars import Bar, bars_begin_at, status_bars
from tests.factories import DAY, HOUR, MINUTE, NOON, probe
from tests.stats.samples import told


def _states(bars: list[Bar]) -> list[str]:
    return [bar.state for bar in bars]


def test_each_slot_has_its_state() -> None:
    probes = [
        probe(NOON),
        probe(NOON + MINUTE, "timeout"),
        probe(NOON + 2 * MINUTE, "rate_limited"),
        probe(NOON + 4 * MINUTE, "ok"),
    ]
    bars = status_bars(told(probes), NOON, NOON + 5 * MINUTE, 60)
    assert _states(bars) == ["up", "down", "not_counted", "no_data", "up"]
    assert (bars[0].since, bars[-1].until) == (NOON, NOON + 5 * MINUTE)


def test_a_bar_in_which_nothing_but_a_pause_is_known_says_so() -> None:
    outcomes = ["paused", "paused", "paused", "rate_limited", "paused", "ok"]
    probes = [probe(NOON + n * MINUTE, outcome) for n, outcome in enumerate(outcomes)]
    bars = status_bars(told(probes), NOON, NOON + 6 * MINUTE, 60, most=3)
    assert _states(bars) == ["paused", "not_counted", "up"]
    assert [bar.probes for bar in bars] == [0, 1, 1]


def test_a_bar_of_many_slots_is_partly_down_until_half_of_it_is() -> None:
    outcomes = ["ok", "ok", "timeout", "ok", "timeout", "timeout"]
    probes = [probe(NOON + n * MINUTE, outcome) for n, outcome in enumerate(outcomes)]
    bars = status_bars(told(probes), NOON, NOON + 6 * MINUTE, 60, most=2)
    assert _states(bars) == ["partly", "down"]
    assert [round(bar.down_share, 2) for bar in bars] == [0.33, 0.67]
    assert [bar.probes for bar in bars] == [3, 3]


def test_a_failure_that_was_cleared_leaves_the_bar_up() -> None:
    probes = [probe(NOON, "timeout", stands_for_s=0.0), probe(NOON + 10_000)]
    assert _states(status_bars(told(probes), NOON, NOON + MINUTE, 60)) == ["up"]


def test_a_failure_whose_confirmation_fell_into_the_next_bar_decides_nothing() -> None:
    probes = [probe(NOON, "timeout", stands_for_s=0.0), probe(NOON + MINUTE)]
    assert _states(status_bars(told(probes), NOON, NOON + 2 * MINUTE, 60)) == ["no_data", "up"]


def test_there_are_at_most_ninety_bars_and_none_is_shorter_than_a_slot() -> None:
    assert len(status_bars([], NOON - DAY, NOON, 60)) == 90
    assert {bar.until - bar.since for bar in status_bars([], NOON - DAY, NOON, 60)} == {16 * MINUTE}
    assert len(status_bars([], NOON - DAY, NOON, 1_800)) == 48
    assert set(_states(status_bars([], NOON - DAY, NOON, 60))) == {"no_data"}


def test_the_strip_of_a_young_target_shows_its_last_ninety_slots() -> None:
    assert bars_begin_at(NOON - DAY, NOON, NOON - 3 * MINUTE, 15) == NOON - 90 * 15_000
    assert bars_begin_at(NOON - DAY, NOON, NOON - HOUR, 15) == NOON - HOUR
    assert bars_begin_at(NOON - DAY, NOON, NOON - 9 * DAY, 15) == NOON - DAY
    assert bars_begin_at(NOON - DAY, NOON, NOON - HOUR, 1_800) == NOON - DAY
