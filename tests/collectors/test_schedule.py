"""When a target is due, worked out by hand."""

from __future__ import annotations

import itertools
import random

import pytest

from collectors.scheduler.durations import in_words, seconds
from collectors.scheduler.schedule import is_due, next_due, next_tick, phase_ms
from tests.factories import NOON, SECOND


def test_a_phase_is_fixed_and_targets_spread() -> None:
    phases = [phase_ms(f"t{n}", "ping", 60) for n in range(300)]
    assert phases == [phase_ms(f"t{n}", "ping", 60) for n in range(300)]
    assert all(0 <= phase < 60_000 for phase in phases)
    assert all(sum(second <= phase < second + 20_000 for phase in phases) > 60 for second in (0, 20_000, 40_000))


def test_a_target_that_was_never_probed_is_due_now() -> None:
    assert next_due("a", "ping", 60, None, NOON) == NOON
    assert is_due("a", "ping", 60, None, NOON)


def test_a_loop_probes_once_an_interval_at_the_targets_own_moment_and_does_not_drift() -> None:
    last: int | None = None
    moments = []
    now = NOON
    for _ in range(50):
        due = max(now, next_due("a", "ping", 60, last, now))
        late = random.Random(due).randint(0, 900)  # a tick that starts a little late does not move the next one
        moments.append(due)
        last, now = due + late, due + late + 1
    steps = [b - a for a, b in itertools.pairwise(moments[1:])]
    assert set(steps) == {60 * SECOND}
    assert moments[1] % 60_000 == phase_ms("a", "ping", 60)


@pytest.mark.parametrize("name", [f"target {n}" for n in range(60)])
def test_a_minutely_timer_that_jitters_makes_exactly_one_probe_a_run(name: str) -> None:
    chance = random.Random(name)
    last: int | None = None
    for minute in range(200):
        now = NOON + minute * 60_000 + chance.randint(0, 2_500)
        assert is_due(name, "ping", 60, last, now)
        last = now
        assert not is_due(name, "ping", 60, last, now + 3_000)


def test_a_timer_that_is_quicker_than_the_interval_probes_at_the_interval() -> None:
    last, made = None, 0
    for minute in range(600):
        now = NOON + minute * 60_000
        if is_due("a", "ping", 300, last, now):
            last, made = now, made + 1
    assert made in (120, 121)  # the first two may be closer, until the target is in its own slots


def test_after_a_pause_one_probe_is_due_not_all_that_were_missed() -> None:
    later = NOON + 3_600_000
    assert next_due("a", "ping", 60, NOON, later) <= later
    assert next_due("a", "ping", 60, later, later) > later


def test_a_clock_that_was_set_back_does_not_silence_a_target() -> None:
    assert next_due("a", "ping", 60, NOON + 3_600_000, NOON) == NOON


def test_ticks_are_multiples_on_the_clock() -> None:
    assert next_tick(NOON, 5) == NOON + 5 * SECOND
    assert next_tick(NOON + 4_999, 5) == NOON + 5 * SECOND


@pytest.mark.parametrize(
    ("text", "value"), [("30s", 30), ("5m", 300), ("1.5h", 5_400), ("2d", 172_800), (7, 7), ("500ms", 0.5)]
)
def test_a_duration_is_read(text: object, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "5", "m", "5 weeks", "-5s", True, None])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        seconds(text)


def test_a_duration_is_said() -> None:
    assert [in_words(s) for s in (0.5, 45, 60, 90, 120, 7_200, 172_800)] == [
        "0.5 s",
        "45 s",
        "1 min",
        "90 s",
        "2 min",
        "2 h",
        "2 d",
    ]
