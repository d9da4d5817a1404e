"""Incidents of any length, asked for in any range: from beginning to end the same, on every engine, at any age."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from store import Selection, Store
from store.incidents import Event, find_incidents
from store.schema import INCIDENTS, Probe
from tests.factories import DAY, HOUR, MINUTE, NOON, probe
from tests.store.stores import STORES, opened

NAMES = count()
BEGAN = NOON - 200 * DAY
OUTCOMES = ("ok", "ok", "timeout", "timeout", "server_error", "rate_limited", "flapping")


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    yield from opened(request.param, tmp_path)


def told(name: str, parts: list[tuple[str, int, int]]) -> list[Probe]:
    """A probe each 3 hours and a bit, after gaps of days; a part is what they were, how many days, and the gap."""
    rows, at = [], BEGAN
    for what, days, gap_days in parts:
        at += gap_days * DAY
        for n in range(days * 8):
            outcome = ("timeout" if n % 3 else "ok") if what == "flapping" else what
            error = f"{outcome} number {len(rows)}" if outcome not in ("ok", "timeout") or n % 5 else None
            rows.append(probe(at, outcome, target=name, error=error, stands_for_s=3_600.0))
            at += 3 * HOUR + 7 * MINUTE if n % 4 else 11 * MINUTE
    return rows


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    some.lists(
        some.tuples(some.sampled_from(OUTCOMES), some.integers(1, 45), some.sampled_from((0, 0, 0, 3, 35, 70))),
        min_size=1, max_size=5,
    ),
    some.lists(some.tuples(some.integers(-10, 260 * 24), some.integers(1, 90 * 24)), min_size=1, max_size=2),
)  # fmt: skip
def test_any_range_has_each_incident_from_its_beginning_to_its_end(
    store: Store, parts: list[tuple[str, int, int]], ranges: list[tuple[int, int]]
) -> None:
    name = f"n{next(NAMES)}"
    probes = told(name, parts)
    store.write(probes)
    whole = [
        INCIDENTS.values(incident)
        for incident in find_incidents(
            (name, "here", "ping"), [Event(p.started_at, p.outcome, p.error) for p in probes]
        )
    ]
    assert list(store.read(INCIDENTS, Selection(targets=(name,)))) == whole
    for first, length in ranges:
        since, until = BEGAN + first * HOUR, BEGAN + (first + length) * HOUR
        inside = [row for row in whole if row[3] < until and (row[4] is None or row[4] > since)]
        assert sorted(store.incidents_within(since, until, (name,))) == inside
        began = [row for row in whole if since <= row[3] < until]
        assert list(store.read(INCIDENTS, Selection(since, until, (name,)))) == began
        last = [row for row in whole if row[3] < until][-1:]
        found = store.last_incidents(until, (name,))
        assert found == last or (not found and last[0][4] < until - 30 * DAY)


@pytest.mark.parametrize("store", STORES[1:], indirect=True)
def test_more_hours_than_fit_into_one_query_come_to_the_same(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a query ends with a failure, a success or between two series."""
    outcomes = "XX.X..XX...XXXX.XX.XXXXXXXXXXXX.X.XX"
    for name in ("first", "other"):
        rows = [(BEGAN + n * 11 * HOUR, "timeout" if what == "X" else "ok") for n, what in enumerate(outcomes)]
        store.write([probe(at, outcome, target=name) for at, outcome in rows])
    incidents = list(store.read(INCIDENTS))
    assert len(incidents) == 2 * 6
    for size in (1, 80, 120, 190):
        monkeypatch.setattr("store.clickhouse_queries.FIELD_BYTES", size)
        assert list(store.read(INCIDENTS)) == incidents, size


def test_an_outage_whose_beginning_is_pruned_goes_on_as_one(store: Store) -> None:
    """In SQLite it keeps its first millisecond; in ClickHouse it began with its hour."""
    began = BEGAN + 7 * MINUTE
    store.write(probe(BEGAN - n * HOUR, target="pruned") for n in range(1, 30))
    store.write(probe(began + n * HOUR, "timeout", target="pruned", error=f"no {n}") for n in range(60 * 24))
    store.write([probe(began + 60 * DAY, target="pruned")])

    def of(since: int, until: int) -> list[tuple[Any, ...]]:
        return [(*row[3:7], row[7]) for row in store.incidents_within(since, until)]

    before = of(BEGAN, BEGAN + 90 * DAY)
    assert before == [(began, began + 60 * DAY, "timeout", 60 * 24, f"no {60 * 24 - 1}")]
    while store.prune(BEGAN + 40 * DAY):
        pass
    for since, until in ((BEGAN, BEGAN + 90 * DAY), (BEGAN + 5 * DAY, BEGAN + 6 * DAY), (BEGAN + 59 * DAY, NOON)):
        [after] = of(since, until)
        assert after[0] in (began, began - began % HOUR)
        assert after[1:] == before[0][1:]
    assert of(BEGAN + 61 * DAY, NOON) == []
