"""What is SQLite's own: versions, rights, transactions, migrations, readers beside a writer."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from store import Selection, StoreError, backup, migrations, open_store
from store.batches import KeyRange
from store.identity_tables import IDENTITY_CHECKS
from store.rollups import COLUMNS, EXPORTED, STEP_MS
from store.schema import ENDPOINTS, INCIDENTS, MODELS, PROBES, REQUESTS, TABLES, TARGETS, Budget, Endpoint, Model
from store.sqlite import SqliteStore
from store.sqlite_queries import INTERNED, stored_rows_sql
from store.table import Table
from tests.factories import DAY, HOUR, MINUTE, NOON, model, probe


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "uptoken.db"


def test_a_new_store_is_readable_by_its_owner_only(path: Path) -> None:
    open_store(f"sqlite:///{path}").close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_file_is_wal_and_synchronous_and_its_tables_are_strict(path: Path) -> None:
    store = open_store(f"sqlite:///{path}")
    store.write([probe()])
    with store._connection() as connection:  # type: ignore[attr-defined]
        assert connection.execute("PRAGMA journal_mode").get == "wal"
        assert connection.execute("PRAGMA synchronous").get == 2
        assert connection.execute("PRAGMA mmap_size").get in (None, 0)
        strict = dict(connection.execute("SELECT name, strict FROM pragma_table_list WHERE schema='main'"))
    assert all(strict[name] for name in TABLES)
    store.close()


def test_the_schema_and_the_row_types_are_the_same(path: Path) -> None:
    open_store(f"sqlite:///{path}").close()
    connection = apsw.Connection(str(path))
    sql_type = {"text": "TEXT", "integer": "INTEGER", "moment": "INTEGER", "flag": "INTEGER", "real": "REAL"}
    for table in TABLES.values():
        if table in EXPORTED:
            continue  # kept in another shape than it is told in
        real = [
            (name, "TEXT" if name in INTERNED.get(table.name, ()) else kind, not notnull)
            for _, name, kind, notnull, _, _ in connection.execute(f"PRAGMA table_info({table.name})")
        ]
        assert real == [(column.name, sql_type[column.kind], column.nullable) for column in table.columns]


def test_the_roll_ups_tables_have_their_columns_and_no_others(path: Path) -> None:
    open_store(f"sqlite:///{path}").close()
    connection = apsw.Connection(str(path))
    for table in ("hourly", "daily", "blocks"):
        # in the order in which they came to be: whatever writes them names them
        names = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
        assert sorted(names) == sorted(["id", *COLUMNS])


def test_a_long_text_is_kept_once_whatever_changes_beside_it(path: Path) -> None:
    store = open_store(f"sqlite:///{path}")
    for day in range(50):
        store.write([model(NOON + day, description="Long. " * 500, usd_per_million_input=str(day))])
    assert {row[0] for row in store.read(MODELS, columns=("description",))} == {"Long. " * 500}
    with store._connection() as connection:  # type: ignore[attr-defined]
        assert connection.execute("SELECT count(*) FROM texts").get == 1
        assert connection.execute("SELECT count(*) FROM models").get == 50
    store.close()


def test_an_older_sqlite_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.51.2")
    with pytest.raises(StoreError, match="SQLite 3.51.2, which can corrupt"):
        open_store(f"sqlite:///{path}")


def test_a_store_of_a_newer_version_is_refused_in_one_sentence(path: Path) -> None:
    open_store(f"sqlite:///{path}").close()
    connection = apsw.Connection(str(path))
    connection.execute("INSERT INTO migrations VALUES (999, 'from_the_future', 0)")
    connection.close()
    for read_only in (False, True):
        with pytest.raises(StoreError, match=r"written by a newer Uptoken \(schema 999, this one knows 16\)"):
            open_store(f"sqlite:///{path}", read_only=read_only)


def test_a_store_of_an_older_version_is_brought_up_to_date_and_keeps_its_rows(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:2])
        open_store(f"sqlite:///{path}").close()
    connection = apsw.Connection(str(path))
    connection.execute(
        "INSERT INTO endpoints(source, model, tag, valid_from, provider, supported_parameters)"
        " VALUES ('s', 'm', 't', 5, 'P', 'seed,tools'), ('s', 'm', 'u', 5, 'Q', NULL);"
        "INSERT INTO models(source, model, valid_from, description, supported_parameters)"
        " VALUES ('s', 'm', 5, 'A model.', 'seed,tools')"
    )
    connection.close()
    with pytest.raises(StoreError, match=r"older Uptoken \(schema 2, this one reads 16\): the next `python -m coll"):
        open_store(f"sqlite:///{path}", read_only=True)
    open_store(f"sqlite:///{path}").close()
    store = open_store(f"sqlite:///{path}", read_only=True)
    assert [Endpoint(*row) for row in store.read(ENDPOINTS)] == [
        Endpoint("s", "m", "t", 5, provider="P", supported_parameters="seed,tools"),
        Endpoint("s", "m", "u", 5, provider="Q"),
    ]
    assert [Model(*row) for row in store.read(MODELS)] == [
        Model("s", "m", 5, description="A model.", supported_parameters="seed,tools")
    ]
    store.close()


def test_a_store_without_blocks_gets_them_from_its_days_also_where_the_probes_are_forgotten(path: Path) -> None:
    store = open_store(f"sqlite:///{path}")
    store.write([probe(NOON + n * HOUR, "ok" if n % 5 else "timeout") for n in range(-600, 30)])
    while store.prune(NOON - DAY):
        pass
    before = list(store.rollups("block"))
    assert len(before) >= 2
    connection = apsw.Connection(str(path))
    connection.execute(
        "DROP TABLE blocks; DROP TABLE budgets; DROP TABLE requests; DROP TABLE alerts; DROP TABLE silences; "
        "DELETE FROM migrations WHERE version >= 6"
    )
    for column in ("internal_error", "paused", "excluded"):
        connection.execute(f"ALTER TABLE hourly DROP COLUMN {column}; ALTER TABLE daily DROP COLUMN {column}")
    connection.execute("DROP TABLE pauses; DROP TABLE exclusions; DROP TABLE certificates")
    connection.execute(
        "DROP TABLE identity_checks; DROP TABLE identity_epochs; DROP TABLE capabilities; DROP TABLE workloads"
    )
    connection.execute(
        "ALTER TABLE runs DROP COLUMN runs; ALTER TABLE runs DROP COLUMN queued; ALTER TABLE models DROP COLUMN expires_at; DROP TABLE rate_limits"
    )
    for table in (PROBES, TARGETS):
        for column in table.added:
            connection.execute(f"ALTER TABLE {table.name} DROP COLUMN {column}")
    connection.close()
    open_store(f"sqlite:///{path}").close()
    assert list(store.rollups("block")) == before
    store.close()


def _schema(path: Path) -> dict[str, set[tuple[object, ...]]]:
    """The columns of each table, whatever their order."""
    connection = apsw.Connection(str(path))
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return {name: {row[1:4] for row in connection.execute(f"PRAGMA table_info({name})")} for name in tables}


def _copy_rows(source: Path, target: Path) -> None:
    """Everything about probes, as far as an older schema has a place for it."""
    connection = apsw.Connection(str(target))
    connection.execute("ATTACH ? AS source", (str(source),))
    there = _schema(target)
    for table in {"probes", "series", "hourly", "daily", "blocks", "incidents", "upkeep"} & there.keys():
        names = ", ".join(str(name) for name, *_ in there[table])
        connection.execute(
            f"DELETE FROM main.{table}; INSERT INTO main.{table} ({names}) SELECT {names} FROM source.{table}"
        )
    connection.close()


@pytest.mark.parametrize("version", range(1, len(migrations.MIGRATIONS)))
def test_a_store_of_any_older_schema_becomes_the_same_as_a_new_one(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    new = open_store(f"sqlite:///{tmp_path}/new.db")
    outcomes = ("ok", "ok", "ok", "timeout", "timeout", "rate_limited")
    new.write([probe(NOON + n * HOUR, outcomes[n % 6], ttft_ms=100.0 + n) for n in range(-600, 30)])
    while version >= 5 and new.prune(NOON - DAY):  # before, there were no roll-ups that could outlive their probes
        pass
    with monkeypatch.context() as older:
        older.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:version])
        open_store(f"sqlite:///{path}").close()
    _copy_rows(tmp_path / "new.db", path)
    store = open_store(f"sqlite:///{path}")
    assert _schema(path) == _schema(tmp_path / "new.db")
    for each in (new, store):  # and it goes on from there
        each.write([probe(NOON + 31 * HOUR, "internal_error"), probe(NOON + 32 * HOUR, "timeout")])
    assert list(store.read(PROBES)) == list(new.read(PROBES))
    assert list(store.read(INCIDENTS)) == list(new.read(INCIDENTS))
    for step in STEP_MS:
        assert list(store.rollups(step)) == list(new.rollups(step))
    assert store.series() == new.series()
    store.close()
    new.close()


def test_a_store_is_copied_before_each_migration_and_the_newest_two_copies_are_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = range(len(migrations.MIGRATIONS) - 3, len(migrations.MIGRATIONS) + 1)
    every = migrations.MIGRATIONS
    for version in versions:
        monkeypatch.setattr(migrations, "MIGRATIONS", every[:version])
        store = open_store(f"sqlite:///{path}")
        if version == versions[0]:
            store.write([Budget("before", NOON, 0.0, 0.25, 0, 48, NOON)])
        store.close()
    copies = sorted(path.parent.glob("*.schema-*"), key=lambda copy: int(copy.name.split("-")[1]))
    assert [re.sub(r"\d{8}T[\d.]+$", "", copy.name) for copy in copies] == [
        f"{path.name}.schema-{version}-" for version in versions[1:-1]
    ]
    assert all(copy.stat().st_mode & 0o777 == 0o600 for copy in copies)
    old = apsw.Connection(str(copies[0]))
    assert (migrations.version_of(old), old.execute("SELECT location FROM budgets").get) == (versions[1], "before")


def test_a_store_that_cannot_be_copied_is_not_migrated(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    every = migrations.MIGRATIONS
    monkeypatch.setattr(migrations, "MIGRATIONS", every[:-1])
    open_store(f"sqlite:///{path}").close()
    monkeypatch.setattr(migrations, "MIGRATIONS", every)

    def full(*_: object) -> None:
        raise apsw.FullError("database or disk is full")

    monkeypatch.setattr(backup, "_copy", full)
    with pytest.raises(StoreError, match=r"disk is full. The store was written by an older Uptoken, .* make room"):
        open_store(f"sqlite:///{path}")
    assert migrations.version_of(apsw.Connection(str(path))) == len(every) - 1
    assert not list(path.parent.glob("*.schema-*")) and not list(path.parent.glob("*.part"))


def test_a_migration_that_fails_leaves_nothing_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def m999_breaks(connection: apsw.Connection) -> None:
        connection.execute("CREATE TABLE half (a)")
        connection.execute("this is no SQL")

    open_store(f"sqlite:///{path}").close()
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, m999_breaks))
    with pytest.raises(StoreError):
        open_store(f"sqlite:///{path}")
    connection = apsw.Connection(str(path))
    assert connection.execute("SELECT max(version) FROM migrations").get == 16
    assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name='half'").get == 0


def test_a_missing_store_is_said_with_the_way_out(path: Path) -> None:
    with pytest.raises(StoreError, match="no store at .* yet: the first `python -m collectors run` creates it"):
        open_store(f"sqlite:///{path}", read_only=True)


def test_a_store_that_is_just_being_made_is_not_there_yet(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with pytest.raises(StoreError, match="no store at .* yet"):
        open_store(f"sqlite:///{path}", read_only=True)
    maker = apsw.Connection(str(path))
    maker.execute("PRAGMA journal_mode=WAL; BEGIN IMMEDIATE; CREATE TABLE migrations (version INTEGER)")
    with pytest.raises(StoreError, match="no store at .* yet"):
        open_store(f"sqlite:///{path}", read_only=True)


def test_an_unknown_url_is_said_with_the_right_form() -> None:
    with pytest.raises(StoreError, match="write sqlite:///relative/path.db"):
        open_store("mysql://root@db/x")


def test_a_damaged_file_is_refused_and_not_overwritten(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this was never a database" * 400)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="damaged or is not a database"):
        open_store(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_a_reader_cannot_write(path: Path) -> None:
    open_store(f"sqlite:///{path}").close()
    reader = open_store(f"sqlite:///{path}", read_only=True)
    with pytest.raises(StoreError, match="cannot be written"):
        reader.write([probe()])


def test_a_reader_sees_what_the_writer_commits_later(path: Path) -> None:
    writer = open_store(f"sqlite:///{path}")
    reader = open_store(f"sqlite:///{path}", read_only=True)
    assert reader.count(PROBES) == 0
    writer.write([probe(NOON), probe(NOON + 1)])
    assert reader.count(PROBES) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to read as somebody else")
def test_a_reader_without_writer_in_a_folder_it_may_not_write_still_reads(path: Path) -> None:
    store = open_store(f"sqlite:///{path}")
    store.write([probe()])
    store.close()
    for folder in path.parents:
        if "pytest-of-" in str(folder):
            folder.chmod(0o755)
    path.chmod(0o644)
    script = (
        "import os,sys; sys.path.insert(0, os.getcwd()); from store import open_store; from store.schema import PROBES;"
        "import store.sqlite; os.setuid(65534);"
        f"print(open_store('sqlite:///{path}', read_only=True).count(PROBES))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("1", "")


@pytest.mark.parametrize("table", [PROBES, REQUESTS, IDENTITY_CHECKS])
@pytest.mark.parametrize("selection", [Selection(since=NOON), Selection(until=NOON), Selection(NOON, NOON + MINUTE)])
def test_a_range_of_all_targets_is_sought_in_each_and_older_rows_are_not_looked_through(
    tmp_path: Path, table: Table, selection: Selection
) -> None:
    store = SqliteStore(tmp_path / "a.db")
    sql, bindings, _ = stored_rows_sql(table, selection, table.names, KeyRange(), False, None)
    with store._rows(f"EXPLAIN QUERY PLAN {sql}", bindings) as rows:
        steps = [row[3] for row in rows]
    store.close()
    assert any(step.startswith(f"SEARCH {table.name} USING PRIMARY KEY (target=? AND started_at") for step in steps)
    assert not any(step.startswith(f"SCAN {table.name}") for step in steps)
