from __future__ import annotations

from stats.incidents import incidents, standing
from store.rows import Probe
from tests.factories import MINUTE, NOON, probe
from tests.stats.samples import frame_of


def _minutes(*outcomes: str) -> list[Probe]:
    return [probe(NOON + n * MINUTE, outcome) for n, outcome in enumerate(outcomes)]


def test_two_failures_in_a_row_open_an_incident_that_the_first_success_ends() -> None:
    [seen] = incidents(frame_of(_minutes("ok", "timeout", "server_error", "timeout", "ok", "ok")))
    assert (seen.began_at, seen.ended_at) == (NOON + MINUTE, NOON + 4 * MINUTE)
    assert (seen.cause, seen.probes, seen.error) == ("timeout", 3, "it was timeout")
    assert seen.duration_s(NOON) == 180


def test_one_failure_is_no_incident() -> None:
    assert incidents(frame_of(_minutes("ok", "timeout", "ok", "timeout", "ok"))) == []


def test_what_is_not_counted_neither_opens_nor_ends_one() -> None:
    [seen] = incidents(frame_of(_minutes("rate_limited", "timeout", "rate_limited", "timeout", "offline", "ok")))
    assert (seen.began_at, seen.ended_at, seen.probes) == (NOON + MINUTE, NOON + 5 * MINUTE, 2)
    assert incidents(frame_of(_minutes("timeout", "internal_error", "internal_error", "internal_error", "ok"))) == []


def test_one_that_goes_on_has_no_end() -> None:
    [seen] = incidents(frame_of(_minutes("ok", "timeout", "timeout")))
    assert seen.ended_at is None
    assert seen.duration_s(NOON + 11 * MINUTE) == 600


def test_the_order_of_the_rows_does_not_matter_and_nothing_is_nothing() -> None:
    probes = _minutes("ok", "timeout", "timeout", "ok")
    assert incidents(frame_of(probes)) == incidents(frame_of(probes[::-1]))
    assert incidents(frame_of([])) == []


def test_the_state_is_what_the_newest_probe_says_since_it_changed() -> None:
    probes = frame_of(_minutes("ok", "timeout", "timeout"))
    assert (standing(probes, NOON + 3 * MINUTE, 60).word, standing(probes, NOON, 60).since) == ("down", NOON + MINUTE)
    steady = standing(frame_of(_minutes("ok", "ok")), NOON + MINUTE, 60)
    assert (steady.word, steady.since) == ("up", None)
    limited = standing(frame_of(_minutes("ok", "rate_limited")), NOON + MINUTE, 60)
    assert (limited.word, limited.outcome) == ("not_counted", "rate_limited")
    broken = standing(frame_of(_minutes("ok", "internal_error")), NOON + MINUTE, 60)
    assert (broken.word, broken.outcome) == ("not_counted", "internal_error")


def test_an_old_probe_says_nothing_of_now() -> None:
    probes = frame_of(_minutes("ok"))
    assert standing(probes, NOON + 4 * MINUTE, 60).word == "up"
    assert standing(probes, NOON + 4 * MINUTE + 1, 60).word == "stale"
    assert standing(frame_of([]), NOON, 60).word == "never"
