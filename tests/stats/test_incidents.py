from __future__ import annotations

import pytest

from stats.incidents import (
    Incident,
    incidents,
    incidents_in,
    mean_time_between_failures_s,
    mean_time_to_recovery_s,
    target_state,
)
from store.incidents import Event, find_incidents
from store.schema import Probe
from tests.factories import DAY, MINUTE, NOON, probe


def _minutes(*outcomes: str) -> list[Probe]:
    return [probe(NOON + n * MINUTE, outcome) for n, outcome in enumerate(outcomes)]


def seen(probes: list[Probe], now: int | None = None) -> list[Incident]:
    """The incidents of one target that is probed each minute, as the store keeps them."""
    rows = find_incidents(("Gemma", "here", "ping"), (Event(p.started_at, p.outcome, p.error) for p in probes))
    newest = probes[-1] if probes else None
    return incidents(rows, newest, now if now is not None else NOON + len(probes) * MINUTE, 60)


def test_two_failures_in_a_row_open_an_incident_that_the_first_success_ends() -> None:
    [found] = seen(_minutes("ok", "timeout", "server_error", "timeout", "ok", "ok"))
    assert (found.began_at, found.ended_at) == (NOON + MINUTE, NOON + 4 * MINUTE)
    assert (found.cause, found.probes, found.error) == ("timeout", 3, "it was timeout")
    assert found.duration_s() == 180


def test_one_failure_is_no_incident() -> None:
    assert seen(_minutes("ok", "timeout", "ok", "timeout", "ok")) == []


def test_what_is_not_counted_neither_opens_nor_ends_one() -> None:
    [found] = seen(_minutes("rate_limited", "timeout", "rate_limited", "timeout", "offline", "ok"))
    assert (found.began_at, found.ended_at, found.probes) == (NOON + MINUTE, NOON + 5 * MINUTE, 2)
    assert seen(_minutes("timeout", "internal_error", "internal_error", "internal_error", "ok")) == []


def test_one_that_goes_on_grows_as_long_as_its_collector_looks() -> None:
    probes = _minutes("ok", "timeout", "timeout")
    [found] = seen(probes, NOON + 4 * MINUTE)
    assert (found.ended_at, found.is_known_now, found.duration_s()) == (None, True, 180)
    [stopped] = seen(probes, NOON + DAY)
    assert (stopped.ended_at, stopped.is_known_now, stopped.seen_until) == (None, False, NOON + 2 * MINUTE)
    assert stopped.duration_s() == 60


def test_a_range_clips_an_incident_and_leaves_its_beginning_and_end_as_they_are() -> None:
    [found] = seen(_minutes("ok", *["timeout"] * 30, "ok"))
    since, until = NOON + 5 * MINUTE, NOON + 15 * MINUTE
    assert incidents_in([found], since, until) == [found]
    assert found.duration_s(since, until) == 600
    assert (found.began_at, found.ended_at, found.duration_s()) == (NOON + MINUTE, NOON + 31 * MINUTE, 1_800)
    assert incidents_in([found], NOON + 31 * MINUTE, NOON + DAY) == []  # it ended as that range begins
    assert incidents_in([found], NOON, NOON + MINUTE) == []  # it begins as that range ends


@pytest.mark.parametrize(
    ("outcomes", "status", "since"),
    [
        (["ok", "timeout", "timeout"], "down", NOON + MINUTE),
        (["timeout", "timeout", "ok", "ok"], "up", NOON + 2 * MINUTE),
        (["ok", "timeout"], "down", NOON + MINUTE),
        (["ok", "ok"], "up", None),
        (["ok", "rate_limited"], "not_counted", None),
        (["ok", "internal_error"], "not_counted", None),
        (["timeout", "timeout", "paused"], "paused", None),
    ],
)
def test_the_state_is_what_the_newest_probe_says_since_its_incidents_say(
    outcomes: list[str], status: str, since: int | None
) -> None:
    probes = _minutes(*outcomes)
    now = NOON + len(probes) * MINUTE
    found = target_state(probes[-1], seen(probes), now, 60)
    assert (found.status, found.since) == (status, since)
    assert found.outcome == outcomes[-1]


def test_an_old_probe_says_nothing_of_now() -> None:
    [newest] = _minutes("ok")
    assert target_state(newest, [], NOON + 4 * MINUTE, 60).status == "up"
    assert target_state(newest, [], NOON + 4 * MINUTE + 1, 60).status == "stale"
    assert target_state(None, [], NOON, 60).status == "never"


def test_recovery_and_the_time_between_failures() -> None:
    found = seen(
        _minutes("timeout", "timeout", "ok", "timeout", "timeout", "timeout", "timeout", "ok", *["timeout"] * 2)
    )
    assert mean_time_to_recovery_s(found) == (120 + 240) / 2
    assert mean_time_between_failures_s(found, 3_600.0) == 1_200
    assert mean_time_to_recovery_s([]) is None
    assert mean_time_between_failures_s([], 5.0) is None
