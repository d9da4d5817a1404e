"""The rules over histories that were worked out by hand. One slot a minute from 12:00 on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alerts.facts import CollectorFacts, CollectorSeen, DayBudget, RelayTraffic, Retirement, Slot, TargetFacts
from alerts.rules.answers import find_wrong_answers
from alerts.rules.catalog import find_retiring
from alerts.rules.certificate import find_certificate
from alerts.rules.collector import find_budget, find_collector_stopped
from alerts.rules.degraded import find_degraded
from alerts.rules.down import find_down
from alerts.rules.internal_errors import find_internal_error
from alerts.rules.relay_errors import find_relay_errors
from alerts.rules.slo_burn import find_slo_burn
from tests.alerts.histories import RULE, TARGET, facts
from tests.factories import DAY, HOUR, MINUTE, NOON


@pytest.mark.parametrize(
    "letters, holds, since, ended_at",
    [
        ("UUD", None, None, None),  # one bad slot is not two
        ("UDD", True, 1, None),
        ("UdDD", True, 1, None),  # it began with the first attempt
        ("DDU", None, None, None),  # one good slot is not two
        ("DDUU", False, 2, 2),  # it ended with the first success
        ("UDRRD", True, 1, None),  # what is not counted neither continues nor breaks it
        ("DDOOOO", True, 0, None),
        ("UD...D", True, 1, None),  # two of the last four minutes
        ("UD...............D", None, None, None),  # 16 minutes apart: 14 would be one time
        ("UUdUD", None, None, None),  # a failed first attempt whose confirmation succeeded decides nothing
        ("", None, None, None),
        ("OOO", None, None, None),
    ],
)
def test_down_is_two_bad_slots_in_a_row_and_over_after_two_good_ones(
    letters: str, holds: bool | None, since: int | None, ended_at: int | None
) -> None:
    found = find_down(facts(letters), RULE)
    if holds is None:
        assert found is None
    else:
        assert found is not None and found.holds is holds
        assert (found.since - NOON) // MINUTE == since
        assert found.ended_at == (None if ended_at is None else NOON + ended_at * MINUTE)


def test_a_longer_interval_reaches_further_back() -> None:
    daily = replace(TARGET, every_s=86_400.0)
    slots = [Slot(NOON + day * DAY, "timeout", 86_400.0) for day in (0, 3)]
    assert find_down(TargetFacts(daily, slots), RULE) is not None


def test_wrong_answers_need_two_in_a_row_and_say_nothing_of_unchecked_ones() -> None:
    def answers(*values: bool | None) -> TargetFacts:
        return TargetFacts(TARGET, [Slot(NOON + n * MINUTE, "ok", answer_ok=value) for n, value in enumerate(values)])

    assert find_wrong_answers(answers(True, False), RULE) is None
    found = find_wrong_answers(answers(True, False, None, False), RULE)
    assert found is not None and found.holds and found.since == NOON + MINUTE and found.cause == "wrong answers"
    over = find_wrong_answers(answers(False, False, True, True), RULE)
    assert over is not None and not over.holds


def timed(*ttft_ms: float, limit_ms: float | None = None, usual_ms: float | None = None, step: int = MINUTE):
    slots = [Slot(NOON + n * step, "ok", step / 1_000, value) for n, value in enumerate(ttft_ms)]
    return TargetFacts(replace(TARGET, ttft_max_ms=limit_ms), slots, usual_ms)


def test_degraded_by_a_limit_is_two_slow_slots_in_a_row() -> None:
    assert find_degraded(timed(100, 2_001, limit_ms=2_000), RULE) is None
    found = find_degraded(timed(100, 2_001, 2_500, limit_ms=2_000), RULE)
    assert found is not None and found.holds and found.since == NOON + MINUTE
    assert found.cause == "first token after 2.5 s, above its limit of 2 s"
    over = find_degraded(timed(2_500, 2_500, 2_000, 100, limit_ms=2_000), RULE)
    assert over is not None and not over.holds and over.ended_at == NOON + 2 * MINUTE


def test_degraded_by_the_usual_needs_ten_samples_and_three_times_the_median() -> None:
    assert find_degraded(timed(*[400] * 9, usual_ms=100), RULE) is None
    at_three = find_degraded(timed(*[300] * 10, usual_ms=100), RULE)
    assert at_three is not None and not at_three.holds
    found = find_degraded(timed(*[301] * 10, usual_ms=100), RULE)
    assert found is not None and found.holds and found.since == NOON
    assert found.cause == "p95 of the last 15 min is 301 ms, 3.0 times the usual median at this hour"
    assert find_degraded(timed(*[400] * 20), RULE) is None  # nothing is known of the last 7 days


def test_only_the_last_fifteen_minutes_are_compared() -> None:
    # of 20 slots two minutes apart, 8 lie within 15 minutes
    assert find_degraded(timed(*[900] * 20, usual_ms=100, step=2 * MINUTE), RULE) is None


def burning(down: int, up: int, slo: float = 99.5, step: int = MINUTE) -> TargetFacts:
    letters = "U" * up + "D" * down
    return facts(letters, replace(TARGET, slo=slo))


def test_a_fast_burn_needs_three_failures_and_14_4_times_over_an_hour_and_five_minutes() -> None:
    # 14.4 * 0.5% of 60 minutes is 4.32 minutes
    assert find_slo_burn(burning(2, 1), RULE).holds is False  # two failures
    assert find_slo_burn(burning(4, 356), RULE).holds is False  # 4 of the last 60: 13.3 times; 6 h: 2.2 times
    found = find_slo_burn(burning(5, 355), RULE)  # 5 of 60: 16.7 times
    assert found is not None and found.holds
    assert found.cause == "its error budget (99.5%) was used 16.7 times too fast over the last 1 h"


def test_a_slow_burn_is_six_times_over_six_hours_and_thirty_minutes() -> None:
    # 6 * 0.5% of 360 minutes is 10.8: eleven failures spread over the hours, the last three of them in this half hour
    letters = ["U"] * 360
    for minute in (0, 40, 80, 120, 160, 200, 240, 280, 335, 345, 359):
        letters[minute] = "D"
    found = find_slo_burn(facts("".join(letters), replace(TARGET, slo=99.5)), RULE)
    assert found is not None and found.holds and "6.1 times" in str(found.cause)
    letters[335] = "U"
    assert find_slo_burn(facts("".join(letters), replace(TARGET, slo=99.5)), RULE).holds is False


def test_without_an_objective_nothing_burns() -> None:
    assert find_slo_burn(facts("DDDDDD"), RULE) is None


def test_an_internal_error_is_over_with_the_next_probe() -> None:
    assert find_internal_error(facts("UI"), RULE).holds
    assert not find_internal_error(facts("ID"), RULE).holds


# -- apart from probes


def around(**values: object) -> CollectorFacts:
    return CollectorFacts(NOON, "here", (TARGET,), **values)  # type: ignore[arg-type]


def test_a_retirement_is_told_30_7_and_1_days_before_and_not_after_its_last_day() -> None:
    def at(days: float) -> list[int]:
        last_day = NOON + round(days * DAY)
        found = find_retiring(around(retirements=(Retirement("a", last_day),)), RULE)
        return [(last_day - one.at) // DAY for one in found]

    assert [at(days) for days in (31, 30, 8, 7, 2, 1, 0, -0.5, -1)] == [[], [30], [30], [7], [7], [1], [1], [1], []]


def test_a_deprecation_without_a_day_is_told_once() -> None:
    [found] = find_retiring(around(retirements=(Retirement("a", None),)), RULE)
    assert found.once and found.cause == "its provider says that it is deprecated"


def test_a_certificate_is_told_14_days_before_it_expires() -> None:
    def holds(days: int) -> list[bool]:
        return [one.holds for one in find_certificate(around(certificates={"acme.com": NOON + days * DAY}), RULE)]

    assert (holds(15), holds(14), holds(-1)) == ([False], [True], [True])
    assert not list(find_certificate(around(certificates={"other.com": NOON}), RULE))


def test_the_budget_is_nearly_used_up_at_nine_tenths() -> None:
    def holds(usd: float, free: int) -> list[bool]:
        return [one.holds for one in find_budget(around(budget=DayBudget(NOON, usd, 0.25, free, 48)), RULE)]

    assert (holds(0.224, 0), holds(0.225, 0), holds(0.0, 48), holds(0.0, 47)) == ([False], [True], [True], [False])


def test_a_collector_has_stopped_after_three_steps_and_five_minutes_at_least() -> None:
    def found(ago_ms: int, step_s: float) -> list[bool]:
        seen = CollectorSeen("there", NOON - ago_ms, step_s)
        return [one.holds for one in find_collector_stopped(around(elsewhere=(seen,)), RULE)]

    assert (found(5 * MINUTE, 60), found(5 * MINUTE + 1, 60)) == ([False], [True])
    assert (found(3 * HOUR, 3_600), found(3 * HOUR + 1, 3_600)) == ([False], [True])


def test_a_collector_tells_of_its_own_gap_as_of_something_that_is_over() -> None:
    gap = CollectorSeen("here", NOON - HOUR, 60.0)
    opened, closed = find_collector_stopped(around(stopped=gap), RULE)
    assert (opened.holds, opened.since, closed.holds, closed.ended_at) == (True, NOON - HOUR, False, NOON)


def test_relay_errors_are_five_failures_and_a_fifth_of_the_attempts() -> None:
    def holds(attempts: int, failed: int) -> list[bool]:
        traffic = {"a": RelayTraffic(attempts, failed, NOON, "timeout")}
        return [one.holds for one in find_relay_errors(around(relay=traffic), RULE)]

    assert (holds(4, 4), holds(25, 5), holds(26, 5)) == ([False], [True], [False])
