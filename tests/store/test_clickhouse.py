"""What is ClickHouse's own: its tables on a cluster, its errors, and that it comes to the same as SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

import pytest

from store import Selection, Store, StoreError, open_store
from store.clickhouse_schema import Layout, packed_sketch
from store.rollups import STEP_MS
from store.schema import BUDGETS, INCIDENTS, PROBES, RUNS, Budget, Probe, Run
from store.sketch import packed
from tests.factories import DAY, MINUTE, NOON, probe
from tests.stats.test_rollups import a_week
from tests.store.stores import needs_engine, opened

OLDER = Path(__file__).with_name("clickhouse_before_budgets.sql")


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[Store]:
    yield from opened("chdb", tmp_path)


def test_on_a_cluster_every_table_is_replicated_and_sharded() -> None:
    made = list(Layout("fleet", "main", 90).statements())
    assert all("ON CLUSTER 'main'" in statement for statement in made)
    [probes] = [s for s in made if s.startswith("CREATE TABLE IF NOT EXISTS fleet.probes_local")]
    assert "ReplicatedMergeTree('/clickhouse/tables/{shard}/fleet/probes', '{replica}')" in probes
    assert "PARTITION BY toYYYYMM" in probes and "INTERVAL 90 DAY" in probes
    assert " ORDER BY (target, location, profile, started_at) PARTITION" in probes
    [spread] = [s for s in made if s.startswith("CREATE TABLE IF NOT EXISTS fleet.probes ON")]
    assert "Distributed('main', 'fleet', 'probes_local', cityHash64(target, location, profile))" in spread
    [models] = [s for s in made if "fleet.models_local" in s and "CREATE TABLE" in s and "Distributed" not in s]
    assert "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/fleet/models', '{replica}', version)" in models
    views = [s for s in made if "MATERIALIZED VIEW" in s]
    assert sum("FROM fleet.probes_local" in view for view in views) == len(STEP_MS) + 2
    assert sum("FROM fleet.requests_local" in view for view in views) == len(STEP_MS) == len(views) - 5


def test_on_one_server_they_are_plain() -> None:
    made = list(Layout("uptoken").statements())
    assert not any(word in statement for statement in made for word in ("CLUSTER", "Replicated", "Distributed", "TTL"))


def test_a_server_that_is_not_there_is_said_without_the_password() -> None:
    pytest.importorskip("clickhouse_connect")
    with pytest.raises(StoreError) as caught:
        open_store("clickhouse://me:secret@127.0.0.1:9/uptoken")
    assert "could not open the store at clickhouse://me:…@127.0.0.1:9/uptoken" in str(caught.value)
    assert "secret" not in str(caught.value)


@needs_engine
def test_both_engines_come_to_the_same(clickhouse: Store, tmp_path: Path) -> None:
    sqlite = open_store(f"sqlite:///{tmp_path}/same.db")
    probes = a_week()
    for store in (sqlite, clickhouse):
        assert store.write(probes) == len(probes)
    for step in STEP_MS:
        assert list(clickhouse.rollups(step)) == list(sqlite.rollups(step))
    assert list(clickhouse.read(INCIDENTS)) == list(sqlite.read(INCIDENTS))
    assert list(clickhouse.read(PROBES, Selection(failed=True))) == list(sqlite.read(PROBES, Selection(failed=True)))
    assert clickhouse.series() == sqlite.series()
    assert clickhouse.rebuild() == len(probes)
    for step in STEP_MS:
        assert list(clickhouse.rollups(step)) == list(sqlite.rollups(step))
    sqlite.close()


@needs_engine
def test_a_batch_that_is_sent_again_counts_once(clickhouse: Store) -> None:
    batch = [probe(NOON + n * MINUTE) for n in range(100)]
    assert (clickhouse.write(batch), clickhouse.write(batch), clickhouse.write(batch[50:])) == (100, 0, 0)
    assert sum(row[-1] for row in clickhouse.rollups("day", columns=("ok",))) == 100


@needs_engine
def test_large_counts_are_packed_as_sqlite_packs_them(clickhouse: Store) -> None:
    for counts in ({5: 1}, {5: 65_535}, {5: 65_536, 700: 3}, {5: 131_070, 6: 200_001}):
        kept = f"CAST(map({', '.join(f'{k}, {v}' for k, v in counts.items())}), 'Map(UInt16, UInt64)')"
        query = f"SELECT {packed_sketch('ttft_ms')} FROM (SELECT {kept} AS ttft_ms)"
        assert list(clickhouse._rows(query, binary=("packed_ttft_ms",))) == [(packed(counts),)]  # type: ignore[attr-defined]


@needs_engine
def test_hours_of_many_small_inserts_are_one_row_each_before_the_engine_merged_them(clickhouse: Store) -> None:
    for n in range(30):
        clickhouse.write([probe(NOON + n * MINUTE, "ok" if n % 3 else "timeout", ttft_ms=100.0 + n)])
    [(*_, ok, _, cells)] = clickhouse.rollups("hour", columns=("ok", None, "cells"))  # type: ignore[misc]
    assert (ok, int.from_bytes(cells[:4], "little"), int.from_bytes(cells[4:8], "little")) == (20, 180_000, 120_000)


@needs_engine
def test_a_database_with_the_tables_of_an_older_uptoken_is_refused_with_the_way_out(clickhouse: Store) -> None:
    for what in ("VIEW uptoken.newest_of_probes", "TABLE uptoken.newest"):
        clickhouse._command(f"DROP {what}")  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match="made by an older Uptoken.*into a new database"):
        clickhouse._prepare()  # type: ignore[attr-defined]
    for statement in Layout("uptoken").statements():
        clickhouse._command(statement)  # type: ignore[attr-defined]


@pytest.fixture
def older(clickhouse: Store) -> Iterator[Store]:
    """The database as the first Uptoken with `newest` made it: without `budgets`, and without a count of its own errors."""
    clickhouse._command("DROP DATABASE uptoken")  # type: ignore[attr-defined]
    for statement in OLDER.read_text().splitlines():
        clickhouse._command(statement)  # type: ignore[attr-defined]
    yield clickhouse
    clickhouse._command("DROP DATABASE IF EXISTS uptoken")  # type: ignore[attr-defined]
    clickhouse._prepare()  # type: ignore[attr-defined]


def _schema(store: Store) -> dict[str, list[tuple[str, str]]]:
    sql = "SELECT table, name, type FROM system.columns WHERE database = 'uptoken' ORDER BY table, position"
    found: dict[str, list[tuple[str, str]]] = {}
    for table, *column in store._rows(sql):  # type: ignore[attr-defined]
        if not table.endswith(("_of_probes", "_of_requests")):
            found.setdefault(table, []).append(tuple(column))
    return found


@needs_engine
def test_a_database_of_an_older_uptoken_is_brought_up_to_date_and_keeps_every_row(older: Store, tmp_path: Path) -> None:
    sqlite = open_store(f"sqlite:///{tmp_path}/same.db")
    probes = [each for each in a_week() if each.outcome != "internal_error"]  # which nobody wrote then
    sqlite.write(probes)
    _write_as_then(older, probes)
    with pytest.raises(StoreError, match="made by an older Uptoken: the next `python -m collectors run` brings them"):
        open_store(older.url, read_only=True)  # type: ignore[attr-defined]
    before = _schema(older)
    assert "budgets" not in before and "internal_error" not in dict(before["hourly"])

    writer = open_store(older.url)  # type: ignore[attr-defined]
    upgraded = _schema(writer)
    for store in (sqlite, writer):
        store.write([Budget("here", NOON - NOON % DAY, 0.01, 0.25, 3, 48, NOON)])
        store.write([probe(NOON + n * MINUTE, "internal_error" if n % 2 else "ok") for n in range(9)])
    assert list(writer.read(BUDGETS)) == list(sqlite.read(BUDGETS))
    assert [row[-1] for row in writer.rollups("day", Selection(NOON - DAY), ("internal_error",))] == [4]
    for _ in ("as it came", "made anew"):
        for step in STEP_MS:
            assert list(writer.rollups(step)) == list(sqlite.rollups(step))
        assert list(writer.read(INCIDENTS)) == list(sqlite.read(INCIDENTS))
        assert writer.series() == sqlite.series()
        writer.rebuild()
    changed = list(writer._layout.missing(_known(writer)))  # type: ignore[attr-defined]
    assert changed == []
    open_store(older.url, read_only=True).close()  # type: ignore[attr-defined]

    writer._command("DROP DATABASE uptoken")  # type: ignore[attr-defined]
    writer._prepare()  # type: ignore[attr-defined]
    assert _schema(writer) == upgraded, "a new database and an upgraded one are the same, to the order of columns"
    writer.close()
    sqlite.close()


def _write_as_then(store: Store, probes: list[Probe]) -> None:
    """Insert what the columns of that time hold."""
    names = [name for name in PROBES.names if name not in PROBES.added]
    with store._client() as client:  # type: ignore[attr-defined]
        client.insert("uptoken.probes", [attrgetter(*names)(row) for row in probes], column_names=names)


def _known(store: Store) -> dict[str, set[str]]:
    return {table: {name for name, _ in columns} for table, columns in _schema(store).items()}


@needs_engine
def test_a_database_that_is_up_to_date_is_not_changed(clickhouse: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    command = clickhouse._command  # type: ignore[attr-defined]

    def noted(sql: str, **parameters: object) -> object:
        sent.append(sql)
        return command(sql, **parameters)

    monkeypatch.setattr(clickhouse, "_command", noted)
    clickhouse._prepare()  # type: ignore[attr-defined]
    assert sent and all(" IF NOT EXISTS " in statement for statement in sent)


def test_on_a_cluster_what_is_missing_is_added_on_every_server_where_the_rows_lie_and_where_they_are_asked_for() -> (
    None
):
    layout = Layout("fleet", "main")
    tables = {table.name: set(table.columns) for table in layout.tables()}
    known = {name: columns - {"internal_error"} for name, columns in tables.items()}
    known |= {f"{name}_local": columns for name, columns in known.items()}
    added = (
        "ON CLUSTER 'main' ADD COLUMN IF NOT EXISTS internal_error SimpleAggregateFunction(sum, Int64) AFTER offline"
    )
    assert list(layout.missing(known)) == [
        f"ALTER TABLE fleet.{name}{where} {added}" for name in ("hourly", "daily", "blocks") for where in ("_local", "")
    ]
    assert layout.change_view("hourly_of_probes").startswith(
        "ALTER TABLE fleet.hourly_of_probes ON CLUSTER 'main' MODIFY QUERY SELECT target, location, profile, at, ok,"
    )


@needs_engine
def test_an_incident_that_began_before_the_selection_is_not_taken_for_a_new_one(clickhouse: Store) -> None:
    clickhouse.write([probe(NOON - DAY + n * MINUTE, "timeout") for n in range(-5, 5)])
    assert list(clickhouse.read(INCIDENTS, Selection(since=NOON - DAY))) == []
    assert clickhouse.count(INCIDENTS) == 1


@needs_engine
def test_a_store_that_was_opened_for_reading_is_not_written(clickhouse: Store) -> None:
    reader = open_store(clickhouse.url, read_only=True)  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match="opened for reading"):
        reader.write([Run("probe", NOON, "here", NOON, 0)])
    assert reader.count(RUNS) == 0
    reader.close()
