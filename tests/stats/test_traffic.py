"""What passed through the relay, counted by hand."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from stats.traffic import (
    ErrorKind,
    PassedAttempt,
    chains,
    error_kinds,
    first_choices,
    totals,
)
from stats.traffic_uptime import TrafficUptime, uptime
from store.traffic import TrafficMinute
from tests.factories import MINUTE, NOON


def minute(number: int, ok: int, failed: int) -> TrafficMinute:
    return TrafficMinute("a", NOON + number * MINUTE, ok, failed)


def tried(request: int, number: int, target: str, outcome: str = "ok", **more: Any) -> PassedAttempt:
    values: dict[str, Any] = {
        "target": target,
        "started_at": NOON + request,
        "request_id": f"gen-{request}",
        "attempt": number,
        "route": "gemma",
        "outcome": outcome,
        "served": outcome == "ok",
        "cancelled": False,
        "error": None,
        "http_status": 200 if outcome == "ok" else None,
        "added_ms": None,
        "location": "here",
    }
    return PassedAttempt(**(values | more))


def test_uptime_from_traffic_is_the_share_of_good_minutes_among_those_with_ten_attempts() -> None:
    found = uptime(
        [
            minute(0, 10, 0),  # good
            minute(1, 8, 2),  # good: 80%
            minute(2, 79, 21),  # bad: 79%
            minute(3, 0, 10),  # bad
            minute(4, 0, 9),  # too few
            minute(5, 9, 0),  # too few
            minute(6, 0, 0),  # limits and mistakes of clients alone
        ]
    )
    assert found == TrafficUptime(minutes=4, good_minutes=2, quiet_minutes=2)
    assert found.share == 0.5


def test_without_a_minute_that_counts_there_is_no_uptime() -> None:
    assert uptime([minute(0, 0, 9)]).share is None
    assert uptime([]) == TrafficUptime(0, 0, 0)


REQUESTS = [
    tried(1, 1, "a", added_ms=1.0),
    tried(2, 1, "a", "timeout"), tried(2, 2, "b", added_ms=3.0),
    tried(3, 1, "a", "server_error", error="502", http_status=502), tried(3, 2, "b", added_ms=2.0),
    tried(4, 1, "a", "timeout"), tried(4, 2, "b", "rate_limited", http_status=429), tried(4, 3, "c", "timeout"),
    tried(5, 1, "a", "stream_error", served=True),
    tried(6, 1, "b", "caller_error", cancelled=True, error="cancelled"),
    tried(7, 1, "b", cancelled=True),
    tried(8, 2, "b"),  # whose first attempt is before the range
    tried(9, 1, "c", "caller_error", http_status=400, error="bad_request", route="other"),
]  # fmt: skip


def test_totals_are_of_requests_and_added_time_of_those_that_were_served() -> None:
    found = totals(REQUESTS)
    assert (found.requests, found.attempts) == (8, 13)
    assert (found.served, found.fell_back, found.failed, found.cancelled) == (4, 2, 2, 2)
    assert (found.added_ms.count, found.added_ms.p50) == (3, 2.0)
    assert found.added_ms.p99 == pytest.approx(2.98)


def test_chains_are_those_of_fallbacks_and_of_requests_that_nobody_served() -> None:
    found = chains(reversed(REQUESTS))
    assert [(chain.targets, chain.requests, chain.served) for chain in found] == [
        (("a", "b"), 2, 2),
        (("a", "b", "c"), 1, 0),
        (("c",), 1, 0),
    ]
    assert found[0].reasons == Counter({"timeout": 1, "server_error": 1})


def test_errors_are_counted_by_target_and_kind_and_a_client_that_went_is_none() -> None:
    assert error_kinds(REQUESTS) == [
        ErrorKind("a", "timeout", None, None, 2),
        ErrorKind("a", "server_error", "502", 502, 1),
        ErrorKind("a", "stream_error", None, None, 1),
        ErrorKind("b", "rate_limited", None, 429, 1),
        ErrorKind("c", "caller_error", "bad_request", 400, 1),
        ErrorKind("c", "timeout", None, None, 1),
    ]


def test_first_choices_are_counted_by_route() -> None:
    assert first_choices(REQUESTS) == {"gemma": {"a": 5, "b": 2}, "other": {"c": 1}}


def test_of_nothing_there_is_nothing() -> None:
    found = totals([])
    assert (found.requests, found.added_ms.p50) == (0, None)
    assert (chains([]), error_kinds([]), first_choices([])) == ([], [], {})
