"""Any range of any page's number against plain SQL over the raw probes: odd edges, hours' edges, both engines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pytest
import streamlit as st
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from pages.queries import overview_rows, target_history
from pages.queries.target_history import TargetHistory, target_histories
from pages.queries.time_range import TimeRange
from store import Store
from store.schema import INCIDENTS, PROBES, TARGETS, Incident, Probe, Target
from tests.factories import DAY, HOUR, MINUTE, probe, target
from tests.pages.odd import odd_history
from tests.pages.test_both_engines import NOW, url_of
from tests.store.stores import STORES, opened

LATEST = NOW + 5 * MINUTE
NUMBERS = """
    SELECT coalesce(sum(stands_for_s) FILTER (WHERE outcome = 'ok'), 0),
        coalesce(sum(stands_for_s) FILTER (WHERE outcome IN (SELECT value FROM json_each(?4))), 0),
        count(*) FILTER (WHERE stands_for_s > 0 AND outcome IN (SELECT 'ok' UNION SELECT value FROM json_each(?4)))
    FROM probes WHERE target = ?1 AND location = ?2 AND profile = ?3 AND started_at >= ?5 AND started_at < ?6
"""
OF_ALL = """
    SELECT count(*) FILTER (WHERE outcome = 'ok'),
        count(*) FILTER (WHERE outcome IN (SELECT value FROM json_each(?3))),
        count(*) FILTER (WHERE outcome <> 'paused'),  -- of a paused slot there is no request
        coalesce(sum(max(prompt_tokens, 0)), 0), coalesce(sum(max(completion_tokens, 0)), 0),
        coalesce(sum(cost_usd), 0)
    FROM probes WHERE target = ?1 AND location = ?2 AND started_at >= ?4 AND started_at < ?5
"""
SAMPLES = """
    SELECT {column} FROM probes WHERE target = ? AND location = ? AND profile = ? AND started_at >= ?
    AND started_at < ? AND outcome = 'ok' AND {column} IS NOT NULL AND coalesce(lag_ms, 0) <= 20
"""
DOWN = '["timeout", "connection_error", "server_error", "stream_error", "invalid_response", "empty"]'


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> apsw.Connection:
    """The raw probes alone."""
    connection = apsw.Connection(str(tmp_path_factory.mktemp("plain") / "plain.db"))
    connection.execute(f"CREATE TABLE probes ({', '.join(PROBES.names)})")
    rows = {
        PROBES.values(row)[:4]: PROBES.values(row) for row in reversed([*odd_history(NOW)]) if isinstance(row, Probe)
    }
    connection.execute("CREATE INDEX by_series ON probes (target, location, profile, started_at); BEGIN")
    connection.executemany(f"INSERT INTO probes VALUES ({', '.join('?' * len(PROBES.names))})", rows.values())
    connection.execute("COMMIT")
    return connection


@pytest.fixture(scope="module", params=STORES)
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    for store in opened(request.param, tmp_path_factory.mktemp("ranges")):
        store.write(odd_history(NOW))
        yield store


@pytest.fixture(scope="module")
def all_incidents(filled: Store) -> dict[tuple[str, ...], list[Incident]]:
    """By series, of all time: nothing is written while these tests ask for ranges."""
    found = defaultdict(list)
    for row in filled.read(INCIDENTS):
        found[row[:3]].append(Incident(*row))
    return found


def moments() -> some.SearchStrategy[int]:
    """Anywhere in the history and a little beyond it, and often on or beside an hour's edge."""
    hours = some.tuples(some.integers(-60, 2), some.sampled_from((-1, 0, 1))).map(
        lambda pair: NOW - NOW % HOUR + pair[0] * HOUR + pair[1]
    )
    return some.integers(NOW - 60 * HOUR, LATEST) | hours


def sample(connection: apsw.Connection, column: str, *where: Any) -> list[float]:
    return [value for (value,) in connection.execute(SAMPLES.format(column=column), where)]


def compare(history: TargetHistory, plain: apsw.Connection, since: int, until: int, *, is_raw: bool) -> None:
    target = history.target
    name, place, profile = target.name, target.location, target.profile
    up_s, down_s, deciding = next(plain.execute(NUMBERS, (name, place, profile, DOWN, since, until)))
    uptime = history.uptime()
    assert (round(uptime.up_s, 3), round(uptime.down_s, 3), uptime.probes) == (
        round(up_s, 3),
        round(down_s, 3),
        deciding,
    )
    assert uptime.window_s == max(0, until - max(since, history.first_at)) / 1_000
    ok, failed, count, prompt, completion, cost = next(plain.execute(OF_ALL, (name, place, DOWN, since, until)))
    assert astuple(history.success_rate()) == (ok, failed, count - ok - failed)
    used = history.tokens_per_day("UTC")
    assert sum(day.prompt_tokens for day in used) == prompt
    assert sum(day.completion_tokens for day in used) == completion
    assert sum(day.cost_usd or 0.0 for day in used) == pytest.approx(
        cost, abs=count * 0.5e-12 + 1e-12
    )  # kept in picodollars
    for of, column in ((profile, "ttft_ms"), (profile, "total_ms"), ("throughput", "tokens_per_second")):
        values = sample(plain, column, name, place, of, since, until)
        found = history.percentiles(of, column)
        assert found.count == len(values)
        if values:
            exact = np.quantile(values, (0.5, 0.95))
            is_exact = is_raw and len(values) <= 2_000
            near = [max(value, 0.001) for value in exact]  # a sketch's first bucket is a microsecond
            assert [found.p50, found.p95] == pytest.approx(
                near, rel=1e-9 if is_exact and min(exact) > 0.001 else 0.0101
            )
    assert sum(bar.up_s for bar in history.bars()) == pytest.approx(up_s, abs=0.01)
    lines = history.median_line(profile, "ttft_ms")
    assert any(value is not None for value in lines) == bool(
        sample(plain, "ttft_ms", name, place, profile, since, until)
    )


@pytest.mark.thorough
@pytest.mark.parametrize("is_raw", [True, False], ids=["raw", "rolled up"])
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moments(), moments(), some.booleans())
def test_any_range_of_any_target_is_what_plain_sql_says(
    filled: Store,
    all_incidents: dict[tuple[str, ...], list[Incident]],
    plain: apsw.Connection,
    monkeypatch: pytest.MonkeyPatch,
    is_raw: bool,
    one: int,
    other: int,
    coarse: bool,
) -> None:
    since, until = min(one, other), max(one, other) + 1
    monkeypatch.setattr(target_history, "RAW_AT_MOST", 10**9 if is_raw else 0)
    monkeypatch.setenv("UPTOKEN_STORE", url_of(filled))
    st.cache_resource.clear()
    st.cache_data.clear()
    monkeypatch.setattr("pages.queries.cache.store", lambda _url: filled)
    targets = [target for row in filled.read(TARGETS) if (target := Target(*row)).state == "active"]
    window = TimeRange(since, until, False, "")
    histories = target_histories(url_of(filled), targets, window, NOW, parts=3, coarse=coarse)
    assert len(histories) == len(targets) > 10
    for history in histories:
        compare(history, plain, since, until, is_raw=is_raw)
        series = (history.target.name, history.target.location, history.target.profile)
        within = [
            incident
            for incident in all_incidents[series]
            if incident.began_at < until and (incident.ended_at is None or incident.ended_at > since)
        ]
        assert [(i.began_at, i.ended_at) for i in history.incidents] == [(i.began_at, i.ended_at) for i in within]
    some_of_them = histories[::4]
    shown = overview_rows.rows(url_of(filled), [history.target for history in some_of_them], window, NOW)
    alone = {(row.target.name, row.target.location): row for row in shown}
    for history in some_of_them:
        row = alone[history.target.name, history.target.location]
        assert (row.uptime, row.ttft, row.state) == (
            history.uptime(), history.percentiles(history.target.profile, "ttft_ms"), history.state
        )  # fmt: skip


@pytest.mark.parametrize("is_raw", [True, False], ids=["raw", "rolled up"])
def test_an_outage_of_seventy_days_is_the_same_one_in_any_range_that_it_touches(
    new_store: Store, monkeypatch: pytest.MonkeyPatch, is_raw: bool
) -> None:
    began = NOW - 71 * DAY
    new_store.write([target("long", updated_at=NOW, every_s=3_600.0)])
    new_store.write(probe(began - n * HOUR, target="long", stands_for_s=3_600.0) for n in range(1, 24))
    new_store.write(probe(began + n * HOUR, "timeout", target="long", stands_for_s=3_600.0) for n in range(70 * 24))
    new_store.write(probe(NOW - n * HOUR, target="long", stands_for_s=3_600.0) for n in range(24))
    monkeypatch.setattr(target_history, "RAW_AT_MOST", 10**9 if is_raw else 0)
    monkeypatch.setattr("pages.queries.cache.store", lambda _url: new_store)
    for since, until in ((began - DAY, NOW), (NOW - 3 * DAY, NOW - 2 * DAY), (NOW - 40 * DAY, NOW), (began, began + 1)):
        st.cache_resource.clear()
        st.cache_data.clear()
        [history] = target_histories(
            url_of(new_store), [target("long", every_s=3_600.0)], TimeRange(since, until, False, ""), NOW, parts=3
        )
        [incident] = history.incidents
        assert (incident.began_at, incident.ended_at, incident.probes) == (began, NOW - 23 * HOUR, 70 * 24)
        assert (history.state.status, history.state.since) == ("up", NOW - 23 * HOUR)


@pytest.fixture(params=STORES)
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    yield from opened(request.param, tmp_path)
