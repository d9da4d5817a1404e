"""Who limits, as several runs and a store know it. Moments are in milliseconds."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from collectors.scheduler.rate_limit_state import RateLimitState, ResponseLimits, Rest, describe_rest
from settings.targets import ProbeTarget
from store.rests import LONGEST_REST_MS
from store.schema import RATE_LIMITS, RateLimit
from tests.collectors.builders import config, run_once
from tests.fault_server import FaultServer, answer
from tests.store.stores import STORES, opened

NOW = 1_795_640_400_000
HOUR = 3_600_000
LIMITED = ResponseLimits(NOW - 50, 429, "rate_limited", 30_000)
FULL = (60, 59, NOW + 9_000, None, None, None)


@pytest.fixture
def target() -> ProbeTarget:
    return config({"name": "a"}).targets[0]


def _left_s(limits: RateLimitState, target: ProbeTarget, at: int = NOW) -> float:
    return limits.remaining_rest_s(target, at)


def test_a_target_rests_as_long_as_it_was_asked_to(target: ProbeTarget) -> None:
    limits = RateLimitState()
    assert limits.record(target, LIMITED, NOW)
    assert _left_s(limits, target) == 30
    why = limits.rest_reason(target, NOW + 29_999)
    assert why is not None and why.endswith("because the server asked for it (HTTP 429, retry after 30 s)")
    assert limits.rest_reason(target, NOW + 30_000) is None


def test_a_response_without_a_wait_begins_no_rest_and_ends_none(target: ProbeTarget) -> None:
    limits = RateLimitState()
    assert not limits.record(target, ResponseLimits(NOW, 429, "rate_limited"), NOW)
    limits.record(target, LIMITED, NOW)
    assert not limits.record(target, ResponseLimits(NOW + 10, 429, "rate_limited"), NOW + 20)
    assert _left_s(limits, target) == 30


def test_a_good_response_ends_a_rest_unless_it_was_asked_for_before(target: ProbeTarget) -> None:
    limits = RateLimitState()
    limits.record(target, LIMITED, NOW)
    assert not limits.record(target, ResponseLimits(NOW - 10, 200, "ok"), NOW + 5), (
        "it was under way when the other was refused"
    )
    assert limits.record(target, ResponseLimits(NOW + 10, 200, "ok"), NOW + 20)
    assert limits.rest_reason(target, NOW + 20) is None


def test_of_two_requests_that_were_sent_at_once_the_longer_rest_holds_and_a_later_one_counts_anew(
    target: ProbeTarget,
) -> None:
    limits = RateLimitState()
    limits.record(target, LIMITED, NOW)
    limits.record(target, replace(LIMITED, wait_ms=5_000), NOW + 10)
    assert _left_s(limits, target) == 30
    limits.record(
        target, replace(LIMITED, wait_ms=5_000, began_at=NOW + 20), NOW + 1_000
    )  # a person asked for this one
    assert _left_s(limits, target, NOW + 1_000) == 5


def test_runs_take_over_what_is_newer_and_nothing_from_the_future(target: ProbeTarget) -> None:
    first, second = RateLimitState(), RateLimitState()
    first.record(target, LIMITED, NOW)
    second.merge(first.recent_rests(NOW), NOW)
    assert _left_s(second, target) == 30
    first.record(target, ResponseLimits(NOW + 10, 200, "ok"), NOW + 20)
    first.merge(second.recent_rests(NOW + 30), NOW + 30)
    assert first.rest_reason(target, NOW + 30) is None, "the other run did not know yet that it is over"
    second.merge({"a": Rest(NOW + 10 * HOUR, NOW + 11 * HOUR, "x")}, NOW)
    assert _left_s(second, target) == 30


def test_a_clock_that_is_set_back_prolongs_no_rest_beyond_a_day_and_what_is_heard_then_counts(
    target: ProbeTarget,
) -> None:
    limits = RateLimitState()
    limits.record(target, LIMITED, NOW)
    assert limits.rest_reason(target, NOW - 300_000) is not None
    assert limits.rest_reason(target, NOW - HOUR) is None, "it was noted in what is now the future"
    assert limits.record(target, replace(LIMITED, began_at=NOW - 300_001), NOW - 300_000)
    assert _left_s(limits, target, NOW - 300_000) == 30


def test_the_longest_rest_is_a_day(target: ProbeTarget) -> None:
    limits = RateLimitState()
    limits.record(target, replace(LIMITED, wait_ms=30 * LONGEST_REST_MS), NOW)
    assert _left_s(limits, target) == 86_400
    assert "; a rest is at most a day" in str(limits.rest_reason(target, NOW))


def test_what_is_over_stays_known_for_a_day_so_that_an_old_row_does_not_begin_it_anew(target: ProbeTarget) -> None:
    limits = RateLimitState()
    limits.record(target, replace(LIMITED, wait_ms=HOUR), NOW)
    limits.record(target, ResponseLimits(NOW + 10, 200, "ok"), NOW + 20)
    again = RateLimitState()
    again.merge(limits.recent_rests(NOW + 30), NOW + 30)
    again.seed([RateLimit("a", "here", NOW, NOW + HOUR, "old")], NOW + 30)
    assert again.rest_reason(target, NOW + 30) is None
    assert RateLimitState().recent_rests(NOW) == {} == limits.recent_rests(NOW + LONGEST_REST_MS + 21)


def test_rows_are_written_when_a_rest_begins_or_ends_and_else_once_a_minute(target: ProbeTarget) -> None:
    limits = RateLimitState()
    assert limits.changed_rows("here", NOW) == []
    limits.record(target, ResponseLimits(NOW, 200, "ok", None, FULL), NOW)
    assert limits.changed_rows("here", NOW) == [RateLimit("a", "here", NOW, None, None, *FULL)]
    less = (60, 58, NOW + 9_000, None, None, None)
    limits.record(target, ResponseLimits(NOW, 200, "ok", None, less), NOW + 59_999)
    assert limits.changed_rows("here", NOW + 59_999) == []
    limits.record(target, ResponseLimits(NOW, 200, "ok", None, less), NOW + 60_000)
    assert [row.requests_remaining for row in limits.changed_rows("here", NOW + 60_000)] == [58]
    limits.record(target, ResponseLimits(NOW + 60_500, 429, "rate_limited", 2_000), NOW + 61_000)
    [row] = limits.changed_rows("here", NOW + 61_000)
    assert (row.rests_until, row.requests_remaining) == (NOW + 63_000, 58), "what was said before is still known"
    assert limits.changed_rows("here", NOW + 62_000) == []
    assert [row.rests_until for row in limits.changed_rows("here", NOW + 63_000)] == [None], "it is over"
    limits.record(target, ResponseLimits(NOW, 200, "ok", None, less), NOW + 100_000)
    assert limits.changed_rows("here", NOW + 100_000) == []


def test_a_run_does_not_write_again_what_the_store_has(target: ProbeTarget) -> None:
    limits = RateLimitState()
    limits.seed([RateLimit("a", "here", NOW, NOW + 30_000, "x", *FULL)], NOW)
    assert limits.changed_rows("here", NOW + 10) == []
    assert _left_s(limits, target) == 30


def test_a_time_of_another_day_has_its_date() -> None:
    now = round(time.time() * 1_000)
    assert describe_rest(now + 3 * 86_400_000, "x").count("-") == 2


@pytest.mark.parametrize("engine", STORES)
def test_either_engine_keeps_a_rest_for_a_run_that_knows_nothing_else(engine: str, tmp_path: Path) -> None:
    refusal = answer(429, {"error": {"message": "slow down"}}, Retry_After="3600", X_RateLimit_Remaining="0")
    opening = opened(engine, tmp_path)
    store = next(opening)
    with FaultServer(refusal) as server:
        settings = config({"base_url": server.url}, every="1s")
        _, said = run_once(settings, store)
        assert "t0 rests until" in said
        time.sleep(1.1)
        probes, said = run_once(settings, store)
        assert "not probed: t0: rests until" in said
        assert len(probes) == len(server.requests) == 1
        [row] = [RateLimit(*values) for values in store.read(RATE_LIMITS)]
        assert row.rests_until is not None and row.rests_until - row.updated_at == HOUR
        assert (row.requests_remaining, row.reason) == (0, "the server asked for it (HTTP 429, retry after 1 h)")
        time.sleep(1.1)
        run_once(settings, store, everything=True)
        assert len(server.requests) == 2
        assert store.count(RATE_LIMITS) == 1
    next(opening, None)
