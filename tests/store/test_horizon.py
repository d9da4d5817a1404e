"""Rows from the future, which a clock that was ahead left: left aside where it matters, and removed without a trace."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from store import Selection, Store
from store.horizon import MARGIN_MS, horizon, late_probes, late_rows
from store.rollups import STEP_MS
from store.schema import (
    ADAPTATIONS,
    BUDGETS,
    ENDPOINT_STATS,
    INCIDENTS,
    MODELS,
    PROBES,
    RUNS,
    TARGETS,
    Adaptation,
    Budget,
    EndpointStats,
    Model,
    Run,
    Target,
)
from tests.factories import DAY, HOUR, MINUTE, model, probe, target
from tests.store.stores import STORES, opened

NOW = time.time_ns() // 1_000_000 // MINUTE * MINUTE
LATER = NOW + 500 * DAY
MIDNIGHT = NOW - NOW % DAY


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    yield from opened(request.param, tmp_path)


def _all(store: Store) -> list[Any]:
    """Everything that pages read, but for the order of roll-ups, which ids have in one engine."""
    tables = (PROBES, INCIDENTS, MODELS, RUNS, BUDGETS, ENDPOINT_STATS, TARGETS, ADAPTATIONS)
    made = [sorted(store.rollups(step), key=lambda row: row[:4]) for step in STEP_MS]
    return [[list(store.read(table)) for table in tables], made, store.series()]


def _present() -> list[Any]:
    """Two series, one of them failing, and a row of each other kind; up to a minute ago."""
    ups = [probe(NOW - n * HOUR - MINUTE) for n in range(60)]
    downs = [probe(NOW - n * HOUR - MINUTE, "timeout", target="b", error="slow") for n in range(3)]
    return [
        *ups,
        *downs,
        probe(NOW - 5 * HOUR, target="b"),
        Run("probe", NOW - MINUTE, "here", NOW - MINUTE + 5, 1),
        Budget("here", MIDNIGHT, 0.5, 1.0, 0, 50, NOW - MINUTE),
        EndpointStats("openrouter", "m", "tag", NOW - HOUR),
        model(NOW - DAY, usd_per_million_input="1"),
        target("a", updated_at=NOW),
        Adaptation("a", "http://x", "m", "seed", None, NOW),
    ]


def _future() -> list[Any]:
    return [
        *(probe(LATER + n * MINUTE, target=name) for n in range(3) for name in ("a", "b", "only-then")),
        *(probe(NOW + MARGIN_MS + n * MINUTE) for n in range(1, 90)),  # into the hour and the day that now lies in
        Run("probe", LATER, "here", LATER + 5, 1),
        Budget("here", LATER - LATER % DAY, 0.5, 1.0, 0, 50, LATER),
        EndpointStats("openrouter", "m", "tag", LATER),
        model(LATER, usd_per_million_input="2"),
        target("a", updated_at=LATER),
        Adaptation("a", "http://x", "m", "seed", None, LATER),
    ]


def test_what_a_clock_that_was_ahead_left_is_counted_and_removed_without_a_trace(store: Store) -> None:
    store.write(_present())
    before = _all(store)
    assert late_probes(store, NOW) == 0
    assert late_rows(store, NOW) == {}
    store.write(_future())
    assert late_probes(store, NOW) == 9 + 89
    assert {table.name: count for table, count in late_rows(store, NOW).items()} == {
        "probes": 98,
        "runs": 1,
        "budgets": 1,
        "endpoint_stats": 1,
        "models": 1,
    }
    assert store.remove_from(horizon(NOW), NOW) == 102
    assert _all(store) == before
    assert late_rows(store, NOW) == {}
    store.rebuild()
    assert _all(store) == before


def test_the_newest_probe_of_a_series_is_the_newest_one_that_is_not_from_the_future(store: Store) -> None:
    store.write([*_present(), *_future()])
    found = {series.newest.target: series.newest.started_at for series in store.series(horizon(NOW))}
    assert found["b"] == NOW - MINUTE
    assert found.keys() == {probe().target, "b"} | ({"a"} & found.keys())
    assert {series.newest.started_at for series in store.series()} >= {LATER + 2 * MINUTE}


def test_a_price_that_changes_is_recorded_though_a_later_one_is_there(store: Store) -> None:
    for at, price in ((NOW - DAY, "1"), (LATER, "2"), (NOW - HOUR, "1"), (NOW - MINUTE, "3"), (NOW, "3")):
        store.write([model(at, usd_per_million_input=price)])
    rows = [Model(*row) for row in store.read(MODELS)]
    assert [(r.valid_from, r.valid_to, r.usd_per_million_input) for r in rows] == [
        (NOW - DAY, NOW - MINUTE, "1"),
        (NOW - MINUTE, LATER, "3"),
        (LATER, None, "2"),
    ]
    store.remove_from(horizon(NOW), NOW)
    rows = [Model(*row) for row in store.read(MODELS)]
    assert [(r.valid_from, r.valid_to) for r in rows] == [(NOW - DAY, NOW - MINUTE), (NOW - MINUTE, None)]


def test_what_replaces_a_row_does_so_after_a_clock_that_was_ahead(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 500 * DAY * 1_000_000)
    store.write([target("a", every_s=60.0)])
    monkeypatch.setattr(time, "time_ns", real)
    store.write([target("a", every_s=30.0)])
    assert [Target(*row).every_s for row in store.read(TARGETS)] == [30.0]


def test_what_a_clock_that_was_ahead_pruned_leaves_its_roll_ups_and_is_recorded_again_from_today_on(
    store: Store,
) -> None:
    days = [probe(NOW - n * DAY - DAY) for n in range(9)]
    store.write([*days, probe(LATER)])
    rollups = [row for row in store.rollups("day") if row[3] < NOW]
    while store.prune(LATER - 2 * DAY):
        pass
    assert store.kept_since() == LATER - LATER % DAY - 2 * DAY
    assert store.write([probe(NOW)]) == 0
    store.remove_from(horizon(NOW), NOW)
    assert store.kept_since() == MIDNIGHT
    assert store.write([probe(NOW)]) == 1
    assert store.count(PROBES, Selection(since=MIDNIGHT)) == 1
    assert [row for row in store.rollups("day") if row[3] < MIDNIGHT] == [r for r in rollups if r[3] < MIDNIGHT]
    store.rebuild()
    assert [row for row in store.rollups("day") if row[3] < MIDNIGHT] == [r for r in rollups if r[3] < MIDNIGHT]
    assert replace(store.series()[0].newest, started_at=0) == replace(probe(), started_at=0)
