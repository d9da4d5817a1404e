"""What a process believes of the time: worked out by hand, two clocks and what they say to each other."""

from __future__ import annotations

import pytest

from collectors.scheduler.clock import ClockState, Reading, describe, observe, passed_ms
from tests.factories import DAY, HOUR, MINUTE, NOON


def _at(true: int, shift: int = 0, boot: str = "b", booted: int = NOON - 9 * DAY) -> Reading:
    """The clocks at a true moment, when the system's is off by `shift`."""
    return Reading(true + shift, true - booted, boot)


def _watched(*readings: Reading, state: ClockState | None = None) -> tuple[ClockState, list[int]]:
    steps = []
    for reading in readings:
        state, step = observe(state, reading)
        steps += [step.by_ms] if step is not None else []
    assert state is not None
    return state, steps


def _days(count: int, since: int = NOON, shift: int = 0) -> list[Reading]:
    return [_at(since + hour * HOUR, shift) for hour in range(24 * count + 1)]


def test_a_clock_is_believed_after_a_week_and_then_agreed_time_is_its_time() -> None:
    state, steps = _watched(*_days(6))
    assert (state.agreed_ms, steps) == (None, [])
    state, steps = _watched(*_days(7))
    assert (state.agreed_ms, steps) == (NOON + 7 * DAY, [])
    state, steps = _watched(*_days(8))
    assert state.agreed_ms == NOON + 8 * DAY


def test_looks_within_a_minute_change_nothing() -> None:
    state, _ = _watched(_at(NOON))
    assert observe(state, _at(NOON + 59_000)) == (state, None)


@pytest.mark.parametrize("shift", [500 * DAY, -500 * DAY, 11 * MINUTE, -11 * MINUTE])
def test_a_jump_is_a_doubt_and_moves_no_agreed_time(shift: int) -> None:
    state, _ = _watched(*_days(7))
    state, steps = _watched(*_days(6, NOON + 7 * DAY + HOUR, shift), state=state)
    assert steps == [shift]
    assert (state.agreed_ms, state.steps) == (NOON + 13 * DAY + HOUR, 1), "it goes on with what was measured"
    now = NOON + 13 * DAY + HOUR
    assert passed_ms(state, _at(now, shift), now) == min(now, now + shift)


def test_ten_minutes_are_no_jump_but_a_drift_of_more_is_one() -> None:
    state, _ = _watched(*_days(7))
    state, steps = _watched(*(_at(NOON + 7 * DAY + n * HOUR, n * MINUTE) for n in range(12)), state=state)
    assert steps == [11 * MINUTE]


def test_a_clock_that_stays_ahead_is_followed_after_a_week_by_seven_days_a_day() -> None:
    state, _ = _watched(*_days(7))
    began = NOON + 7 * DAY
    state, steps = _watched(*_days(7, began, 500 * DAY)[:-1], state=state)
    assert (steps, state.agreed_ms) == ([500 * DAY], began + 7 * DAY - HOUR)
    state, _ = _watched(*_days(1, began + 7 * DAY, 500 * DAY), state=state)
    # the hour that makes the week full counts seven times, too
    assert state.agreed_ms == began + 7 * DAY - HOUR + 7 * (DAY + HOUR)


def test_a_collector_that_was_off_for_two_years_prunes_a_week_a_day() -> None:
    state, _ = _watched(*_days(7))
    back = NOON + 737 * DAY
    again = [_at(back + hour * HOUR, 0, "later", back) for hour in range(24 * 8 + 1)]
    state, steps = _watched(*again[:1], state=state)
    assert (steps, state.agreed_ms) == ([730 * DAY], NOON + 7 * DAY)
    said = describe(observe(_watched(*_days(7))[0], again[0])[1])  # type: ignore[arg-type]
    assert said.startswith("730 days passed since the last run, if this machine's clock is right. Nothing is pruned")
    state, _ = _watched(*again[1:169], state=state)
    assert state.agreed_ms == NOON + 14 * DAY + 6 * HOUR, "the week that it took, and seven hours for its last one"
    state, _ = _watched(*again[169:], state=state)
    assert state.agreed_ms == NOON + 14 * DAY + 6 * HOUR + 7 * DAY


def test_restarts_of_a_day_are_no_doubt_and_one_that_goes_back_is() -> None:
    state, _ = _watched(*_days(7))
    began = NOON + 8 * DAY
    after, steps = _watched(_at(began, 0, "later", began), state=state)
    assert (steps, after.agreed_ms) == ([], NOON + 7 * DAY), "how long the machine was off nobody measured"
    _, steps = _watched(_at(began, -2 * DAY, "later", began), state=state)
    assert steps == [-DAY]


def test_a_machine_that_is_off_at_night_is_behind_by_the_nights_of_a_measured_week_and_no_more() -> None:
    state: ClockState | None = None
    lags = []
    for day in range(90):  # on for eight hours a day: a measured week is 21 of them
        began = NOON + day * DAY
        state, _ = _watched(*(_at(began + hour * HOUR, 0, str(day), began) for hour in range(9)), state=state)
        lags.append(began + 8 * HOUR - state.agreed_ms if state.agreed_ms is not None else None)
    assert lags[20] == 20 * 16 * HOUR, "believed after a measured week; the nights of that week are not"
    assert max(lag for lag in lags if lag is not None) <= 21 * 16 * HOUR, "and it stays there"


def test_nothing_passed_before_a_clock_is_believed_or_a_row_is_there() -> None:
    state, _ = _watched(*_days(7))
    assert passed_ms(None, _at(NOON), NOON) is None
    assert passed_ms(_watched(*_days(1))[0], _at(NOON), NOON) is None
    assert passed_ms(state, _at(NOON + 7 * DAY), None) is None
    assert passed_ms(state, _at(NOON + 7 * DAY), NOON) == NOON, "never more than the newest row allows"


def test_an_agreed_time_that_is_ahead_of_a_steady_clock_comes_back() -> None:
    state, _ = _watched(*_days(7, NOON, 500 * DAY))
    assert state.agreed_ms == NOON + 507 * DAY
    state, _ = _watched(*_days(8, NOON + 8 * DAY), state=state)
    assert state.agreed_ms == NOON + 16 * DAY
