"""How targets did lately, from probes and traffic in the store; worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.relay.observed import RecentReport, recent_cached_shares, recent_performance, recent_reports
from settings.targets import ProbeTarget
from store import Store
from tests.collectors.builders import config
from tests.factories import HOUR, MINUTE, NOON, SECOND, attempt, probe
from tests.store.stores import STORES, opened

NOW = NOON + 30 * MINUTE


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    yield from opened(request.param, tmp_path)


@pytest.fixture
def targets() -> tuple[ProbeTarget, ...]:
    return config(*({"name": name} for name in "ab")).targets


def test_nothing_is_said_of_targets_that_nothing_is_known_of(store: Store, targets: tuple[ProbeTarget, ...]) -> None:
    assert recent_performance(store, targets, NOW) == {}
    assert recent_performance(store, (), NOW) == {}


def test_success_and_medians_are_of_probes_and_traffic_together(store: Store, targets: tuple[ProbeTarget, ...]) -> None:
    store.write(
        [
            probe(NOON, target="a", ttft_ms=100.0, tokens_per_second=None),
            probe(NOON + MINUTE, "rate_limited", target="a"),
            probe(NOON - 20 * HOUR, target="a", profile="throughput", ttft_ms=900.0, tokens_per_second=40.0),
            attempt(NOON + 2 * MINUTE, target="a", ttft_ms=200.0, tokens_per_second=60.0),
            attempt(NOON + 3 * MINUTE, target="a", ttft_ms=300.0, tokens_per_second=None),
            attempt(NOON + 4 * MINUTE, "server_error", target="a"),
            attempt(NOON + 5 * MINUTE, "caller_error", target="a"),  # says nothing of the target
        ]
    )
    found = recent_performance(store, targets, NOW)
    assert found.keys() == {"a"}
    assert found["a"].success == 3 / 5  # of ok, ok, ok, server_error and rate_limited
    assert found["a"].ttft_ms == pytest.approx(200, rel=0.01)
    assert found["a"].tokens_per_second == pytest.approx(50, rel=0.01)
    assert not found["a"].had_outage


def test_what_is_known_of_a_target_that_rested_is_of_the_day(store: Store, targets: tuple[ProbeTarget, ...]) -> None:
    store.write([probe(NOON - 5 * HOUR, target="a", ttft_ms=150.0), probe(NOON - 30 * HOUR, target="b")])
    found = recent_performance(store, targets, NOW)
    assert found.keys() == {"a"}
    assert (found["a"].success, found["a"].ttft_ms) == (None, pytest.approx(150, rel=0.01))


def test_a_newest_probe_that_failed_is_an_outage_while_the_next_one_is_due(
    store: Store, targets: tuple[ProbeTarget, ...]
) -> None:
    """They are probed every 60 s, so two minutes."""
    store.write([probe(NOW - 110 * SECOND, "timeout", target="a"), probe(NOW - 130 * SECOND, "timeout", target="b")])
    found = recent_performance(store, targets, NOW)
    assert (found["a"].had_outage, found["b"].had_outage) == (True, False)
    store.write([probe(NOW - 50 * SECOND, target="a")])
    assert not recent_performance(store, targets, NOW)["a"].had_outage


def test_the_cached_share_is_of_the_last_hours_traffic(store: Store, targets: tuple[ProbeTarget, ...]) -> None:
    store.write(
        [
            attempt(NOW - MINUTE, target="a", prompt_tokens=100, cached_tokens=80),
            attempt(NOW - 2 * MINUTE, target="a", prompt_tokens=100),
            attempt(NOW - 2 * HOUR, target="a", prompt_tokens=1_000),
            attempt(NOW - MINUTE, target="b", prompt_tokens=None),
        ]
    )
    assert recent_cached_shares(store, targets, NOW) == {"a": 0.4}


def test_what_is_reported_of_the_last_half_hour_is_of_traffic_by_minutes_else_of_probes(
    store: Store, targets: tuple[ProbeTarget, ...]
) -> None:
    store.write(
        [probe(NOW - n * MINUTE, "timeout" if n == 3 else "ok", target="a", ttft_ms=100.0) for n in range(1, 5)]
    )
    store.write([probe(NOW - 40 * MINUTE, "timeout", target="a")])
    # two minutes with enough attempts, one of which has fewer than 80% good ones; and one minute with too few
    for minute, count, failed in ((20, 10, 3), (10, 10, 2), (2, 9, 9)):
        store.write(
            [
                attempt(
                    NOW - minute * MINUTE + n, "server_error" if n < failed else "ok", target="b",
                    request_id=f"{minute}-{n}", ttft_ms=200.0, tokens_per_second=40.0,
                )
                for n in range(count)
            ]
        )  # fmt: skip
    found = recent_reports(store, targets, NOW)
    flat = {"p50": 100.0, "p75": 100.0, "p90": 100.0, "p99": 100.0}
    assert found["a"] == RecentReport(75.0, 75.0, 60.0, flat, dict.fromkeys(flat, 50.0))
    # of the day 15 of 29 attempts; of the last five minutes no minute counts, and no probe was made
    assert (found["b"].uptime_5m, found["b"].uptime_30m, found["b"].uptime_1d) == (None, 50.0, 51.7241)
    assert found["b"].latency is not None and found["b"].latency["p90"] == 200.0
    assert found["b"].throughput == dict.fromkeys(flat, 40.0)


def test_what_failed_or_was_measured_by_an_overloaded_machine_has_no_part_in_reported_times(
    store: Store, targets: tuple[ProbeTarget, ...]
) -> None:
    good = probe(NOW - 4 * MINUTE, target="a", ttft_ms=100.0, tokens_per_second=50.0)
    lagged = probe(NOW - 3 * MINUTE, target="a", ttft_ms=900.0, tokens_per_second=5.0, lag_ms=50.0)
    broken = probe(NOW - 2 * MINUTE, "stream_error", target="a", ttft_ms=900.0, tokens_per_second=5.0)
    cut = attempt(NOW - MINUTE, "stream_error", target="a", request_id="r", ttft_ms=900.0, tokens_per_second=5.0)
    store.write([good, lagged, broken, cut])
    found = recent_reports(store, targets, NOW)["a"]
    assert (found.latency, found.throughput) == tuple(dict.fromkeys(("p50", "p75", "p90", "p99"), v) for v in (100, 50))
