"""The relay's attempts in the store: roll-ups of their own, usage by day, and what pruning and repairing do to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from store import Selection, Store, open_store
from store.protocol import upkeep_of
from store.repair import salvage
from store.rollup_plan import Range, days, rollups_of
from store.rollups import SPENDING_COLUMNS, STEP_MS, spending_of
from store.schema import HOURLY, INCIDENTS, REQUESTS, USAGE, Hour, Usage
from store.sqlite import SqliteStore
from store.traffic import TrafficDay, TrafficMinute, refresh_usage, traffic_of
from tests.factories import DAY, HOUR, MINUTE, NOON, attempt, probe
from tests.store.stores import STORES, opened

MIDNIGHT = NOON - NOON % DAY


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    yield from opened(request.param, tmp_path)


def rollups(store: Store) -> dict[str, list[tuple[object, ...]]]:
    return {step: list(store.rollups(step)) for step in STEP_MS}


def some_attempts() -> list[object]:
    """A day and a half, of two targets, with failures."""
    outcomes = ("ok", "ok", "server_error", "rate_limited", "ok", "timeout", "caller_error")
    return [
        attempt(MIDNIGHT + n * 40 * MINUTE, outcomes[n % 7], target=name, ttft_ms=100.0 + n)
        for name in "ab"
        for n in range(54)
    ]


# -- roll-ups


def test_attempts_are_a_series_of_their_own_that_decides_no_uptime(store: Store) -> None:
    store.write([probe(NOON, ttft_ms=100.0), probe(NOON + MINUTE, "timeout")])
    store.write(
        [
            attempt(NOON, ttft_ms=400.0, cost_usd=0.25, prompt_tokens=7, completion_tokens=3),
            attempt(NOON + 1, "server_error"),
            attempt(NOON + 2, "rate_limited"),
            attempt(NOON + HOUR),
        ]
    )
    by_profile = {(hour.profile, hour.hour): hour for hour in (Hour(*row) for row in store.read(HOURLY))}
    assert list(by_profile) == [("ping", NOON), ("traffic", NOON), ("traffic", NOON + HOUR)]
    traffic = by_profile["traffic", NOON]
    assert (traffic.ok, traffic.failed, traffic.not_counted) == (1, 1, 1)
    assert (traffic.up_s, traffic.down_s, traffic.not_counted_s) == (0, 0, 0)
    assert traffic.ttft_p50_ms == pytest.approx(400, rel=0.01)
    assert (traffic.prompt_tokens, traffic.completion_tokens, traffic.cost_usd) == (7, 3, 0.25)
    assert by_profile["ping", NOON].ok == 1
    assert list(store.read(INCIDENTS)) == []
    assert [series.newest.profile for series in store.series()] == ["ping"]


def test_a_window_is_of_probes_unless_traffic_is_asked_for_and_exact_at_its_ends(store: Store) -> None:
    store.write([probe(NOON + n * 20 * MINUTE) for n in range(12)])
    store.write([attempt(NOON + n * 10 * MINUTE) for n in range(24)])
    window = Range(NOON + 15 * MINUTE, NOON + 3 * HOUR + 1)
    probes = rollups_of(store, ("Gemma",), window)
    traffic = rollups_of(store, ("Gemma",), window, traffic=True)
    # probes at 20, 40, ..., 180 minutes; attempts at 20, 30, ..., 180
    assert (sum(r.requests for r in probes), {r.profile for r in probes}) == (9, {"ping"})
    assert (sum(r.requests for r in traffic), {r.profile for r in traffic}) == (17, {"traffic"})
    assert sum(r["ok"] for r in days(store, ("ok",), MIDNIGHT)) == 12


def test_what_passed_is_none_of_the_collectors_spending(store: Store) -> None:
    store.write([probe(NOON, cost_usd=0.5), attempt(NOON, cost_usd=7.0), attempt(NOON + 1, cost_usd=None)])
    [spent] = spending_of(store.rollups("day", columns=SPENDING_COLUMNS))
    assert (spent.profile, spent.requests, spent.cost_usd, spent.unpriced_requests) == ("ping", 1, 0.5, 0)


def test_an_attempt_that_comes_twice_counts_once_and_a_second_attempt_of_a_request_twice(store: Store) -> None:
    first = attempt(NOON, "timeout", request_id="gen-1")
    second = attempt(NOON, request_id="gen-1", attempt=2, fallback_for="Gemma")
    assert store.write([first, second, first]) == 2
    assert store.write([first, second]) == 0
    [hour] = (Hour(*row) for row in store.read(HOURLY))
    assert (hour.ok, hour.failed) == (1, 1)


def test_rebuilding_makes_the_same_of_probes_and_attempts(store: Store) -> None:
    written = [*some_attempts(), *(probe(MIDNIGHT + n * HOUR, target="a") for n in range(30))]
    store.write(written)  # type: ignore[arg-type]
    before = rollups(store)
    assert len(before["day"]) == 6
    assert store.rebuild() == len(written)
    assert rollups(store) == before


def test_pruning_forgets_old_attempts_keeps_their_roll_ups_and_refuses_them_when_they_come_again(store: Store) -> None:
    written = some_attempts()
    store.write(written)  # type: ignore[arg-type]
    before = rollups(store)
    while store.tidy(MIDNIGHT + DAY):
        pass
    assert store.count(REQUESTS) == 2 * (54 - 36)
    assert rollups(store) == before
    assert store.write(written) == 0  # type: ignore[arg-type]
    store.rebuild()
    assert rollups(store) == before


def test_removing_the_future_removes_its_attempts_from_every_roll_up(store: Store, tmp_path: Path) -> None:
    until = MIDNIGHT + DAY + 3 * HOUR + 10 * MINUTE
    written = some_attempts()
    store.write(written)  # type: ignore[arg-type]
    upkeep_of(store).remove_from(until, until)
    kept = [row for row in written if row.started_at < until]  # type: ignore[attr-defined]
    assert store.count(REQUESTS) == len(kept) < len(written)
    with closing(open_store(f"sqlite:///{tmp_path}/only.db")) as only:
        only.write(kept)  # type: ignore[arg-type]
        assert rollups(store) == rollups(only)


def test_repair_brings_attempts_and_their_roll_ups_over(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/a.db")
    assert isinstance(store, SqliteStore)
    store.write(some_attempts())  # type: ignore[arg-type]
    while store.tidy(MIDNIGHT + DAY):
        pass
    salvage(store.path, tmp_path / "b.db")
    with closing(open_store(f"sqlite:///{tmp_path}/b.db")) as repaired:
        assert list(repaired.read(REQUESTS)) == list(store.read(REQUESTS))
        assert rollups(repaired) == rollups(store)
    store.close()


# -- minutes and days


def test_a_minute_counts_attempts_that_say_something_about_their_target(store: Store) -> None:
    store.write(
        [
            attempt(NOON),
            attempt(NOON + 59_999, "timeout"),
            attempt(NOON + 30_000, "rate_limited"),
            attempt(NOON + MINUTE, location="there"),
            attempt(NOON + MINUTE + 1, target="other"),
            probe(NOON),
        ]
    )
    assert list(traffic_of(store).traffic_by_minute(Selection(NOON, NOON + HOUR))) == [
        TrafficMinute("Gemma", NOON, 1, 1),
        TrafficMinute("Gemma", NOON + MINUTE, 1, 0),
        TrafficMinute("other", NOON + MINUTE, 1, 0),
    ]
    assert len(list(traffic_of(store).traffic_by_minute(Selection(targets=("other",))))) == 1


def test_a_day_is_by_version_app_and_provider_and_what_nobody_told_is_null(store: Store) -> None:
    app = "https://a.example"
    store.write(
        [
            attempt(NOON, app=app, provider="P", served_model="v1", cost_usd=0.25, cached_tokens=5),
            attempt(NOON + 1, app=app, provider="P", served_model="v1", cost_usd=0.5),
            attempt(NOON + 2, "server_error", app=app, provider="P", served_model="v1"),
            attempt(NOON + 3, prompt_tokens=None, completion_tokens=None),
            attempt(NOON + 4, "timeout", target="never served"),
        ]
    )
    assert list(traffic_of(store).traffic_by_day()) == [
        TrafficDay(
            MIDNIGHT, "Gemma", "gemma-3-270m", "gemma-3-270m", "unknown", "Gemma", 1, None, None, None, None, None, None
        ),
        TrafficDay(MIDNIGHT, "Gemma", "gemma-3-270m", "v1", app, "P", 2, 92, 60, 32, None, 5, 0.75),
    ]


def usage(store: Store) -> list[Usage]:
    return [Usage(*row) for row in store.read(USAGE)]


def test_usage_of_a_day_is_the_sum_over_all_targets_and_locations_however_often_it_is_made(store: Store) -> None:
    public = Usage("openrouter_models", MIDNIGHT, "gemma", tokens=1_000)
    store.write([public])
    store.write([attempt(NOON, provider="P"), attempt(NOON + 1, target="b", provider="P", location="there")])
    for _ in range(2):
        refresh_usage(store, [NOON])
    row = Usage(
        "relay", MIDNIGHT, "gemma-3-270m", "gemma-3-270m", "unknown", "P",
        tokens=92, prompt_tokens=60, completion_tokens=32, requests=2,
    )  # fmt: skip
    assert usage(store) == [public, row]
    store.write([attempt(NOON + 2, provider="P", location="there")])  # a second relay goes on
    refresh_usage(store, [NOON])
    assert [(row.tokens, row.requests) for row in usage(store)] == [(1_000, None), (138, 3)]


def test_usage_of_a_day_whose_attempts_are_pruned_stays(store: Store) -> None:
    store.write([attempt(NOON), attempt(NOON + DAY)])
    refresh_usage(store, [NOON, NOON + DAY])
    while store.tidy(MIDNIGHT + DAY):
        pass
    before = usage(store)
    assert refresh_usage(store, [NOON, NOON + DAY]) == 1
    assert usage(store) == before and len(before) == 2
