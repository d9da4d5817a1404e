"""When an endpoint is left alone, and when it may try again."""

from __future__ import annotations

from collectors.relay.health import (
    EJECTED_SHARE,
    FEWEST_ATTEMPTS,
    FIRST_EJECTION_MS,
    LONGEST_EJECTION_MS,
    MISCONFIGURED_MS,
    WINDOW_MS,
    Health,
)


class Clock:
    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


def _health() -> tuple[Health, Clock]:
    clock = Clock()
    return Health(["A"], clock), clock


def test_one_failure_and_a_small_share_of_them_eject_nothing() -> None:
    health, _ = _health()
    for _ in range(FEWEST_ATTEMPTS - 1):
        health.fail("A")
    assert not health.is_ejected("A")
    for _ in range(2 * FEWEST_ATTEMPTS):
        health.succeed("A")
    for _ in range(FEWEST_ATTEMPTS):
        health.fail("A")
    assert EJECTED_SHARE == 0.5
    assert not health.is_ejected("A")  # 19 of 39
    health.fail("A")
    assert health.is_ejected("A")


def test_failures_that_are_longer_ago_than_the_window_do_not_count() -> None:
    health, clock = _health()
    for _ in range(FEWEST_ATTEMPTS - 1):
        health.fail("A")
    clock.ms += WINDOW_MS
    health.fail("A")
    assert not health.is_ejected("A")


def test_after_the_ejection_one_request_may_try_and_its_success_ends_it() -> None:
    health, clock = _health()
    for _ in range(FEWEST_ATTEMPTS):
        health.fail("A")
    clock.ms += FIRST_EJECTION_MS - 1
    assert health.is_ejected("A")
    clock.ms += 1
    assert not health.is_ejected("A")
    health.begin("A")
    assert health.is_ejected("A")  # for all others, until that one has shown something
    health.succeed("A")
    assert not health.is_ejected("A")
    health.fail("A")
    assert not health.is_ejected("A")  # the failures before do not count any more


def test_a_trial_that_fails_ejects_for_twice_as_long_up_to_a_limit() -> None:
    health, clock = _health()
    for _ in range(FEWEST_ATTEMPTS):
        health.fail("A")
    wait_ms = FIRST_EJECTION_MS
    for _ in range(8):
        clock.ms += wait_ms
        assert not health.is_ejected("A")
        health.begin("A")
        health.fail("A")
        wait_ms = min(2 * wait_ms, LONGEST_EJECTION_MS)
        assert health.returns_at("A") == clock.ms + wait_ms
    assert wait_ms == LONGEST_EJECTION_MS


def test_a_trial_whose_client_leaves_lets_the_next_one_try() -> None:
    health, clock = _health()
    for _ in range(FEWEST_ATTEMPTS):
        health.fail("A")
    clock.ms += FIRST_EJECTION_MS
    health.begin("A")
    health.leave("A")
    assert not health.is_ejected("A")


def test_a_misconfigured_endpoint_is_asked_last_for_a_while() -> None:
    health, clock = _health()
    health.mark_misconfigured("A")
    assert health.is_ejected("A")
    clock.ms += MISCONFIGURED_MS
    assert not health.is_ejected("A")


def test_a_rest_ends_by_itself_and_only_grows() -> None:
    health, clock = _health()
    health.rest("A", 5_000)
    health.rest("A", 1_000)
    assert health.resting_until("A") == clock.ms + 5_000
    clock.ms += 5_000
    assert health.resting_until("A") is None


def test_performance_of_the_last_minutes_is_known_only_from_enough_of_them() -> None:
    health, clock = _health()
    for number in range(9):
        health.succeed("A", float(number), 10.0)
    assert health.performance("A").ttft_ms is None
    health.fail("A")
    health.succeed("A", 9.0, 10.0)
    found = health.performance("A")
    assert (found.ttft_ms, found.tokens_per_second, found.had_outage) == (4.5, 10.0, False)
    assert found.success == 10 / 11
    clock.ms += 300_000
    assert health.performance("A").success is None


def test_an_outage_is_a_share_of_the_last_thirty_seconds() -> None:
    health, clock = _health()
    health.fail("A")
    assert not health.performance("A").had_outage
    health.succeed("A")
    health.fail("A")
    assert health.performance("A").had_outage
    clock.ms += 30_000
    assert not health.performance("A").had_outage
