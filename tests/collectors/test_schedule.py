"""Which slot is decided when, worked out by hand, and as a property of any timer."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.timers import ATTEMPTS, Simulation, timer_moments
from collectors.contract import Job, Reachability, Result
from collectors.scheduler.claims import NotDue, Planned, SlotClaims, UnderWay
from collectors.scheduler.plan import Plan
from collectors.scheduler.schedule import Schedule, TickWindow, next_tick, schedule_of
from collectors.scheduler.tick import Ended, Tick
from settings.durations import in_words, seconds
from store.schema import Probe
from tests.collectors.cli_fixture import until
from tests.factories import NOON, SECOND, probe

MINUTELY = Schedule(phase_ms=20_000, interval_ms=60_000)
"""Slot 0 is [20 s, 80 s), slot 1 [80 s, 140 s)."""


def test_a_phase_is_fixed_and_targets_spread() -> None:
    phases = [schedule_of(f"t{n}", "ping", 60).phase_ms for n in range(300)]
    assert phases == [schedule_of(f"t{n}", "ping", 60).phase_ms for n in range(300)]
    assert all(0 <= phase < 60_000 for phase in phases)
    assert all(sum(second <= phase < second + 20_000 for phase in phases) > 60 for second in (0, 20_000, 40_000))


@pytest.mark.parametrize(
    ("decided", "now_s", "slot"),
    [
        (None, 50, 0),  # never probed: the slot that it is
        (0, 50, None),  # decided already
        (0, 64, None),
        (0, 65, 1),  # a quarter of the interval early
        (0, 80, 1),
        (0, 139, 1),
        (0, 140, 1),  # its end has passed, but the timer may be late
        (0, 154, 1),
        (0, 155, 2),  # too late: slot 1 stays undecided
        (0, 1_000, 16),  # after a pause one probe, not all that were missed
        (1, 79, None),  # decided a little early
    ],
)
def test_a_timers_run_decides(decided: int | None, now_s: int, slot: int | None) -> None:
    assert MINUTELY.timer_slot(decided, None, now_s * SECOND) == slot


def test_a_slot_is_decided_early_only_when_the_last_probe_was_most_of_an_interval_ago() -> None:
    assert MINUTELY.timer_slot(0, 20 * SECOND, 65 * SECOND) == 1
    assert MINUTELY.timer_slot(0, 21 * SECOND, 65 * SECOND) is None
    assert MINUTELY.timer_slot(0, 21 * SECOND, 80 * SECOND) == 1


def test_a_loop_decides_each_slot_at_its_beginning_and_does_not_drift() -> None:
    assert MINUTELY.loop_slot(None, 50 * SECOND) == 0
    assert (MINUTELY.loop_slot(0, 50 * SECOND), MINUTELY.begins(1)) == (1, 80 * SECOND)
    assert MINUTELY.loop_slot(0, 1_000 * SECOND) == 16


def _plan(claims: SlotClaims, now_s: float, *, newest_s: float | None = None, lives: bool = True, every: bool = False):
    window = TickWindow(round(now_s * SECOND), round(now_s * SECOND), every)
    return claims.plan("a", MINUTELY, window, None if newest_s is None else round(newest_s * SECOND), lambda _: lives)


def _other(claims: SlotClaims, run: int) -> SlotClaims:
    """Another run, which sees what this one claimed."""
    other = SlotClaims(run)
    other.claims = claims.claims
    return other


def test_a_target_whose_probe_is_under_way_is_left_to_it_and_the_slot_is_its() -> None:
    first = SlotClaims(1)
    planned = _plan(first, 50)
    assert isinstance(planned, Planned)
    assert (planned.claim.first, planned.claim.last) == (0, 0)
    assert isinstance(_plan(_other(first, 2), 60), NotDue)
    assert isinstance(_plan(_other(first, 3), 110), UnderWay)
    assert (planned.claim.first, planned.claim.last) == (0, 1)


def test_a_run_that_is_a_little_early_waits_for_a_probe_that_may_end_in_time() -> None:
    first = SlotClaims(1)
    planned = _plan(first, 50)
    assert isinstance(planned, Planned)
    second = _other(first, 2)
    early = _plan(second, 102)  # an exact timer would come at 110
    assert isinstance(early, Planned)
    assert (early.claim.at, early.waits) == (110 * SECOND, True)
    planned.claim.state = "recorded"
    assert second.begin("a", early.claim, lambda _: True)


def test_what_a_killed_run_had_claimed_is_free_unless_its_row_is_there() -> None:
    first = SlotClaims(1)
    planned = _plan(first, 50)
    assert isinstance(planned, Planned)
    again = _plan(_other(first, 2), 60, lives=False)
    assert isinstance(again, Planned) and again.claim.first == 0
    assert isinstance(_plan(_other(first, 3), 60, newest_s=50, lives=False), NotDue)


def test_a_probe_that_took_two_intervals_decides_three_slots() -> None:
    claims = SlotClaims(1)
    planned = _plan(claims, 50)
    assert isinstance(planned, Planned)
    assert claims.begin("a", planned.claim)
    claims.end("a", planned.claim, 125 * SECOND)
    claims.settle("a", planned.claim, 50 * SECOND)
    assert (planned.claim.first, planned.claim.last, planned.claim.slots) == (0, 2, 3)


def test_a_probe_that_took_an_interval_and_a_moment_decides_no_slot_that_is_planned_for_another() -> None:
    claims = SlotClaims(1)
    first = _plan(claims, 50)
    assert isinstance(first, Planned) and claims.begin("a", first.claim)
    second = _plan(claims, 110)
    assert isinstance(second, Planned) and second.claim.first == 1
    claims.end("a", first.claim, 60_001)
    assert claims.begin("a", second.claim)
    claims.settle("a", first.claim, 50 * SECOND)
    assert first.claim.last == 0


def test_probing_all_in_a_decided_slot_decides_nothing() -> None:
    claims = SlotClaims(1)
    planned = _plan(claims, 50)
    assert isinstance(planned, Planned)
    planned.claim.state = "recorded"
    again = _plan(claims, 55, every=True)
    assert isinstance(again, Planned)
    assert again.claim.slots == 0
    later = _plan(claims, 100, every=True)
    assert isinstance(later, Planned)
    assert (later.claim.first, later.claim.last) == (1, 1)


def test_without_the_shared_file_the_newest_row_says_which_slot_is_decided() -> None:
    assert isinstance(_plan(SlotClaims(1), 60, newest_s=50), NotDue)
    planned = _plan(SlotClaims(1), 90, newest_s=50)
    assert isinstance(planned, Planned) and planned.claim.first == 1


def test_a_clock_that_was_set_back_does_not_silence_a_target() -> None:
    planned = _plan(SlotClaims(1), 50, newest_s=4_000)
    assert isinstance(planned, Planned) and planned.claim.first == 0
    claims = SlotClaims(1)
    _plan(claims, 4_000)
    planned = _plan(claims, 50)
    assert isinstance(planned, Planned) and planned.claim.first == 0


PATTERNS = st.lists(
    st.sampled_from(["ok", "ok", *ATTEMPTS]), min_size=1, max_size=30
)  # repeated for as long as a simulation lasts


@pytest.mark.thorough
@settings(max_examples=300)
@given(
    name=st.text(min_size=1, max_size=20),
    every_s=st.sampled_from([5, 7.5, 15, 60, 90, 300, 1_800]) | st.floats(5, 4_000),
    offset=st.floats(0, 0.9999),
    jitter=st.floats(0, 0.0999),
    runs_an_interval=st.sampled_from([1, 1, 1, 2, 5]),
    timeout_s=st.floats(0.1, 200),
    pattern=PATTERNS,
    seed=st.integers(0, 2**32),
)
def test_a_timers_runs_decide_every_slot_once_as_a_loop_does_with_the_same_uptime(
    name: str,
    every_s: float,
    offset: float,
    jitter: float,
    runs_an_interval: int,
    timeout_s: float,
    pattern: list[str],
    seed: int,
) -> None:
    schedule = schedule_of(name, "ping", every_s)
    since = schedule.begins(schedule.slot_at(NOON))
    until = since + round(60 * every_s * 1_000)
    simulation = Simulation(
        name, every_s, lambda slot: pattern[slot % len(pattern)], timeout_s=timeout_s, answer_s=min(0.4, every_s / 20)
    )
    fires = since + int(offset * schedule.interval_ms)
    moments = sorted(timer_moments(fires, until, every_s / runs_an_interval, jitter, random.Random(seed)))
    moments[0] = fires  # the timer and the loop begin in the same slot
    timer, loop = simulation.timer(iter(moments)), simulation.loop(since, until)
    assert timer.is_exact
    assert loop.is_exact
    first, last = min(loop.times), min(max(loop.times), max(timer.times))
    assert min(timer.times) == first
    assert last - first >= 57
    assert timer.uptime(first, last) == loop.uptime(first, last)


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
    with pytest.raises(ValueError, match="is not a duration"):
        seconds(text)


def test_a_duration_is_said() -> None:
    assert [in_words(s) for s in (0.5, 45, 60, 90, 120, 7_200, 172_800, 1_095 * 86_400)] == [
        "0.5 s",
        "45 s",
        "1 min",
        "90 s",
        "2 min",
        "2 h",
        "2 d",
        "1,095 d",
    ]


def test_a_probe_that_is_over_is_no_longer_under_way_while_it_is_unclear_whether_the_network_is_down() -> None:
    over = threading.Event()
    first, second = (Result(probe(outcome="connection_error"), Reachability(host, True, False)) for host in "ab")
    jobs = [
        Job("quick", lambda _stop: [first]),
        Job("hangs", lambda _stop: [second] if over.wait(10) else []),
    ]
    tick = Tick("probe", "here", 0, Plan(jobs), lambda _tick: None, lambda *_: None)
    covered: list[str] = []

    def cover(ended: Ended) -> int:
        covered.append(ended.job.name)
        return 2

    with ThreadPoolExecutor(2) as pool:
        tick.start(pool, threading.Event())
        until(lambda: len(tick.take_rows(cover)[0]) == 0 and covered)
        assert tick.take_rows(cover) == ([], []), "it may be this machine's own network"
        over.set()
        until(lambda: tick.is_over)
    rows, _ = tick.take_rows(cover)
    assert covered == ["quick", "hangs"]
    assert [(row.outcome, row.stands_for_s) for row in rows if isinstance(row, Probe)] == [("offline", 120.0)] * 2
