"""What is ClickHouse's own: its tables on a cluster, its errors, and that it comes to the same as SQLite."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from operator import attrgetter
from pathlib import Path

import pytest

from store import Selection, Store, StoreError, open_store
from store.clickhouse_backup import back_up_before_migration, unreplicated
from store.clickhouse_queries import packed_map
from store.clickhouse_rollups import packed_sketches
from store.clickhouse_schema import Layout
from store.rollups import STEP_MS
from store.schema import BUDGETS, INCIDENTS, PROBES, RUNS, Budget, Probe, Run
from store.sketch import pack_sketch
from tests.factories import DAY, MINUTE, NOON, probe
from tests.stats.test_rollups import a_week
from tests.store.stores import needs_engine, opened

OLDER = Path(__file__).with_name("clickhouse_before_budgets.sql")


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[Store]:
    yield from opened("chdb", tmp_path)


def statements(layout: Layout, known: Collection[str] = ()) -> list[str]:
    """What creates a database, where these tables and views are there already."""
    return [*layout.create_tables(known), *layout.create_views(known)]


def test_on_a_cluster_every_table_is_replicated_and_sharded() -> None:
    made = statements(Layout("fleet", "main", 90))
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
    known = [table.name for table in Layout("fleet").tables()] + [*Layout("fleet").views()]
    assert statements(Layout("fleet", "main"), known) == statements(Layout("fleet", "main")), (
        "another server may lack it"
    )
    assert statements(Layout("fleet"), known) == []


def test_on_one_server_they_are_plain() -> None:
    made = statements(Layout("uptoken"))
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
    many = dict.fromkeys(range(1_536), 7)  # so many that their number takes two bytes
    for counts in ({}, {5: 1}, {5: 65_535}, {5: 65_536, 700: 3}, {5: 131_070, 6: 200_001}, many, many | {9: 70_000}):
        kept = f"CAST(map({', '.join(f'{k}, {v}' for k, v in counts.items())}), 'Map(UInt16, UInt64)')"
        query = f"SELECT {packed_map('ttft_ms')} FROM (SELECT {kept} AS ttft_ms)"
        [(packed,)] = clickhouse._database.rows(query, binary=("packed_ttft_ms",))  # type: ignore[attr-defined]
        assert packed_sketches([packed]) == [pack_sketch(counts)]


@needs_engine
def test_hours_of_many_small_inserts_are_one_row_each_before_the_engine_merged_them(clickhouse: Store) -> None:
    for n in range(10):
        clickhouse.write([probe(NOON + n * 30_000, "ok" if n % 3 else "timeout", ttft_ms=100.0 + n)])
    [(*_, ok, _, cells)] = clickhouse.rollups("hour", columns=("ok", None, "cells"))  # type: ignore[misc]
    assert (ok, int.from_bytes(cells[:4], "little"), int.from_bytes(cells[4:8], "little")) == (6, 360_000, 240_000)


@needs_engine
def test_a_database_with_the_tables_of_an_older_uptoken_is_refused_with_the_way_out(clickhouse: Store) -> None:
    for what in ("VIEW uptoken.newest_of_probes", "TABLE uptoken.newest"):
        clickhouse._database.command(f"DROP {what}")  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match="made by an older Uptoken.*into a new database"):
        clickhouse._prepare()  # type: ignore[attr-defined]
    for statement in statements(Layout("uptoken")):
        clickhouse._database.command(statement)  # type: ignore[attr-defined]


@pytest.fixture
def older(clickhouse: Store) -> Iterator[Store]:
    """The database as the first Uptoken with `newest` made it: without `budgets`, and without a count of its own errors."""
    clickhouse._database.command("DROP DATABASE uptoken")  # type: ignore[attr-defined]
    for statement in OLDER.read_text().splitlines():
        clickhouse._database.command(statement)  # type: ignore[attr-defined]
    yield clickhouse
    clickhouse._database.command("DROP DATABASE IF EXISTS uptoken")  # type: ignore[attr-defined]
    clickhouse._prepare()  # type: ignore[attr-defined]


def _schema(store: Store) -> dict[str, list[tuple[str, str]]]:
    sql = "SELECT table, name, type FROM system.columns WHERE database = 'uptoken' ORDER BY table, position"
    found: dict[str, list[tuple[str, str]]] = {}
    for table, *column in store._database.rows(sql):  # type: ignore[attr-defined]
        if not table.endswith(("_of_probes", "_of_requests")) and "_before_schema_" not in table:
            found.setdefault(table, []).append(tuple(column))
    return found


@needs_engine
def test_a_database_of_an_older_uptoken_is_brought_up_to_date_and_keeps_every_row(older: Store, tmp_path: Path) -> None:
    sqlite = open_store(f"sqlite:///{tmp_path}/same.db")
    probes = [each for each in a_week() if each.outcome != "internal_error"]  # which nobody wrote then
    sqlite.write(probes)
    _write_as_then(older, probes)
    with pytest.raises(StoreError, match="made by an older Uptoken: the next `python -m collectors run` brings them"):
        open_store(older.url.text, read_only=True)  # type: ignore[attr-defined]
    before = _schema(older)
    assert "budgets" not in before and "internal_error" not in dict(before["hourly"])

    writer = open_store(older.url.text)  # type: ignore[attr-defined]
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
    changed = list(writer._database.layout.missing(_known(writer)))  # type: ignore[attr-defined]
    assert changed == []
    open_store(older.url.text, read_only=True).close()  # type: ignore[attr-defined]

    writer._database.command("DROP DATABASE uptoken")  # type: ignore[attr-defined]
    writer._prepare()  # type: ignore[attr-defined]
    assert _schema(writer) == upgraded, "a new database and an upgraded one are the same, to the order of columns"
    writer.close()
    sqlite.close()


def _copies(store: Store) -> dict[str, int]:
    """How many rows each copy has that was made before a migration."""
    sql = "SELECT name FROM system.tables WHERE database = 'uptoken' AND name LIKE '%before_schema%' ORDER BY name"
    names = [name for (name,) in store._database.rows(sql)]  # type: ignore[attr-defined]
    return {name: next(store._database.rows(f"SELECT count() FROM uptoken.{name}"))[0] for name in names}  # type: ignore[attr-defined]


@needs_engine
def test_tables_are_copied_before_their_columns_change_and_the_copies_lead_back(older: Store) -> None:
    """By the statements of docs/fleet.md."""
    probes = [each for each in a_week() if each.outcome != "internal_error"]
    _write_as_then(older, probes)
    before = _schema(older)
    hours = list(older._database.rows("SELECT * FROM uptoken.hourly ORDER BY target, location, profile, at"))  # type: ignore[attr-defined]
    writer = open_store(older.url.text)  # type: ignore[attr-defined]
    copies = _copies(writer)
    tables = {name.partition("_before_schema_")[0] for name in copies}
    assert {"probes", "hourly", "daily", "blocks", "newest", "targets", "models", "runs"} == tables
    assert len({name.partition("_before_schema_")[2] for name in copies}) == 1
    [number] = {name.partition("_before_schema_")[2] for name in copies}
    assert copies[f"probes_before_schema_{number}"] == len(probes)
    writer.write([probe(NOON + n * MINUTE) for n in range(5)])
    assert _copies(writer) == copies, "what is written later is not in them"
    writer.close()
    guide = (Path(__file__).parents[2] / "docs" / "fleet.md").read_text()
    back = "DROP VIEW" + guide.partition("\nDROP VIEW")[2].partition("```")[0]
    for name in sorted(tables):
        for statement in (
            back.replace("uptoken.NAME", f"uptoken.{name}").replace("schema_N", f"schema_{number}").split(";")
        ):
            if statement.strip():
                older._database.command(statement)  # type: ignore[attr-defined]
    for statement in OLDER.read_text().splitlines():  # the older Uptoken opens it
        older._database.command(statement)  # type: ignore[attr-defined]
    assert {name: columns for name, columns in _schema(older).items() if name in before} == before
    assert list(older._database.rows("SELECT * FROM uptoken.hourly ORDER BY target, location, profile, at")) == hours  # type: ignore[attr-defined]
    late = [probe(NOON + DAY + n * MINUTE, target="late") for n in range(30)]
    _write_as_then(older, late)
    [(count,)] = older._database.rows("SELECT sum(ok) FROM uptoken.hourly WHERE target = 'late'")  # type: ignore[attr-defined]
    assert count == 30


@needs_engine
def test_the_copies_of_the_newest_two_migrations_are_kept(older: Store) -> None:
    _write_as_then(older, [probe(NOON)])
    seen = []
    for column in (None, "error", "route"):  # as if it was new
        if column:
            older._database.command(
                f"ALTER TABLE uptoken.endpoint_stats DROP COLUMN {('status', 'uptime_5m')[column == 'route']}"
            )  # type: ignore[attr-defined]
            older._database.command(f"ALTER TABLE uptoken.runs ADD COLUMN more_{column} Int64")  # type: ignore[attr-defined]
            older._database.command(f"ALTER TABLE uptoken.runs ADD COLUMN other_{column} Int64")  # type: ignore[attr-defined]
        open_store(older.url.text).close()  # type: ignore[attr-defined]
        seen.append({int(name.rpartition("_")[2]) for name in _copies(older)})
    first, second, third = seen
    assert len(first) == 1
    assert len(second) == 2 and first < second
    assert len(third) == 2 and not first & third
    assert not [name for name in _copies(older) if "_part_" in name]


@needs_engine
def test_where_a_table_cannot_be_copied_no_table_is_changed(older: Store) -> None:
    older._database.command("DROP TABLE uptoken.models")  # type: ignore[attr-defined]
    older._database.command(
        "CREATE TABLE uptoken.models (source String, model String, valid_from Int64) ENGINE = Memory"
    )  # type: ignore[attr-defined]
    before = _schema(older)
    with pytest.raises(StoreError, match="copied before their columns change, which failed: .*No table was changed"):
        open_store(older.url.text)  # type: ignore[attr-defined]
    assert {name: columns for name, columns in _schema(older).items() if name in before} == before


def test_on_a_cluster_a_copy_is_each_servers_own() -> None:
    replicated = (
        "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/fleet/models', '{replica}', version) ORDER BY (model)"
    )
    assert unreplicated(replicated) == "ReplacingMergeTree(version) ORDER BY (model)"
    plain = "ReplicatedMergeTree('/clickhouse/tables/{shard}/fleet/probes', '{replica}') ORDER BY (target)"
    assert unreplicated(plain) == "MergeTree ORDER BY (target)"
    assert unreplicated("MergeTree ORDER BY (target) SETTINGS a = 1") == "MergeTree ORDER BY (target) SETTINGS a = 1"
    layout = Layout("fleet", "main")
    known = {f"{table.name}_local": set(table.columns) for table in layout.tables()}
    known["hourly_local"] -= {"internal_error"}
    sent: list[str] = []

    def ask(sql: str, **_names: str) -> list[tuple[object, ...]]:
        sent.append(sql)
        return [(replicated,)] if "engine_full" in sql else []

    back_up_before_migration(layout, known, ask)
    made = [sql for sql in sent if not sql.startswith("SELECT")]
    assert all(" ON CLUSTER 'main'" in sql for sql in made)
    assert [sql.split()[0] for sql in made] == ["CREATE", "ALTER", "DROP", "RENAME", "DROP"]
    assert "AS fleet.hourly_local ENGINE = ReplacingMergeTree(version)" in made[0]


def _write_as_then(store: Store, probes: list[Probe]) -> None:
    """Insert what the columns of that time hold."""
    names = [name for name in PROBES.names if name not in PROBES.added]
    with store._database.client() as client:  # type: ignore[attr-defined]
        client.insert("uptoken.probes", [attrgetter(*names)(row) for row in probes], column_names=names)


def _known(store: Store) -> dict[str, set[str]]:
    return {table: {name for name, _ in columns} for table, columns in _schema(store).items()}


@needs_engine
def test_only_what_a_database_lacks_is_changed_in_it(clickhouse: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    command = clickhouse._database.command  # type: ignore[attr-defined]

    def noted(sql: str, **parameters: object) -> object:
        sent.append(sql)
        return command(sql, **parameters)

    monkeypatch.setattr(clickhouse._database, "command", noted)  # type: ignore[attr-defined]
    clickhouse._prepare()  # type: ignore[attr-defined]
    assert sent == []
    layout = Layout("uptoken")
    command("DROP TABLE uptoken.silences")
    command("DROP VIEW uptoken.daily_of_requests")
    older = layout.views()["hourly_of_probes"].query.replace("outcome = 'not_found'", "outcome = 'other'")
    command(f"ALTER TABLE uptoken.hourly_of_probes MODIFY QUERY {older}")
    clickhouse._prepare()  # type: ignore[attr-defined]
    assert [sent[0].partition(" (")[0], sent[1].partition(" TO ")[0], *sent[2:]] == [
        "CREATE TABLE IF NOT EXISTS uptoken.silences",
        "CREATE MATERIALIZED VIEW IF NOT EXISTS uptoken.daily_of_requests",
        layout.change_view("hourly_of_probes"),
    ]


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
        "ALTER TABLE fleet.hourly_of_probes ON CLUSTER 'main' MODIFY QUERY SELECT target, location, profile, at, countIf("
    )


@needs_engine
def test_an_incident_that_began_before_the_selection_is_not_taken_for_a_new_one(clickhouse: Store) -> None:
    clickhouse.write([probe(NOON - DAY + n * MINUTE, "timeout") for n in range(-5, 5)])
    assert list(clickhouse.read(INCIDENTS, Selection(since=NOON - DAY))) == []
    assert clickhouse.count(INCIDENTS) == 1


@needs_engine
def test_a_store_that_was_opened_for_reading_is_not_written(clickhouse: Store) -> None:
    reader = open_store(clickhouse.url.text, read_only=True)  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match="opened read-only"):
        reader.write([Run("probe", NOON, "here", NOON, 0)])
    assert reader.count(RUNS) == 0
    reader.close()
