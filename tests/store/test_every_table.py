"""The contract over every table and every engine. A table that is added to `TABLES` is in here by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import apsw
import pytest

from store import Selection, Store, StoreError, migrations, open_store
from store import table as declaring
from store.formats import FORMATS, Format, write_rows
from store.import_files import read_rows
from store.repair import salvage
from store.schema import PROBES, TABLE_OF, TABLES, Column, Moment, Row, Table, Text
from store.sqlite import SqliteStore
from tests.factories import DAY, HOUR, MINUTE, NOON, probe
from tests.store.stores import STORES, opened

MIDNIGHT = NOON - NOON % DAY
WRITTEN = [table for table in TABLES.values() if not table.is_derived]
MADE = [table for table in TABLES.values() if table.is_derived]


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    yield from opened(request.param, tmp_path)


def value_of(column: Column, number: int, is_key: bool) -> Any:
    """A value that no other row has; of what may be null every second one is, and texts are hard on a file."""
    if column.nullable and number % 2:
        return None
    match column.kind:
        case "text":
            return f"{column.name}-{number}" if is_key else f'={column.name}, "{number}"\r\n☃\ttab'
        case "moment":
            return NOON + number * MINUTE + len(column.name)
        case "real":
            return number + 0.1
        case "flag":
            return number % 4 == 0
        case "integer":
            return 2**53 + number


def row_of(table: Table, number: int) -> Row:
    return table.row(**{c.name: value_of(c, number, c.name in table.key) for c in table.columns})


def rows_of(table: Table, count: int = 5) -> list[Row]:
    return [row_of(table, number) for number in range(count)]


def changed(table: Table, row: Row) -> Row:
    """The same key, and another value of the last column that is no part of it; a thing with a history changes later."""
    name = next(c.name for c in reversed(table.columns) if c.name not in table.key)
    column = next(c for c in table.columns if c.name == name)
    more = {name: value_of(column, 40, False)}
    if table.on_conflict == "version":
        more |= {"valid_from": NOON + DAY, "valid_to": None}
    return replace(row, **more)  # type: ignore[arg-type]


def by_key(table: Table, found: list[Row]) -> list[tuple[Any, ...]]:
    return sorted((table.values(row) for row in found), key=lambda values: key_of(table, values))


def key_of(table: Table, values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(values[table.names.index(name)] for name in table.key)


def some_probes() -> list[Row]:
    """Two days with an incident each of two targets."""
    outcomes = ("ok", "timeout", "server_error", "ok", "internal_error", "rate_limited", "ok")
    return [
        probe(MIDNIGHT + n * HOUR, outcomes[n % 7], target=name, ttft_ms=100.0 + n)
        for name in "ab"
        for n in range(0, 48, 3 if name == "b" else 1)
    ]


# -- what is written


@pytest.mark.parametrize("table", WRITTEN, ids=lambda table: table.name)
def test_what_is_written_is_read_counted_and_chosen_by_time_and_name(store: Store, table: Table) -> None:
    written = rows_of(table)
    assert store.write(written) == 5
    assert list(store.read(table)) == by_key(table, written)
    assert store.count(table) == 5
    moments = sorted(getattr(row, table.time) for row in written)
    middle = Selection(moments[1], moments[3])
    assert store.count(table, middle) == 2
    assert sorted(row[0] for row in store.read(table, middle, columns=(table.time,))) == moments[1:3]
    one = Selection(targets=(getattr(written[2], table.owner),))
    assert list(store.read(table, one)) == [table.values(written[2])]
    newest = store.read(table, newest_first=True, limit=2, columns=(table.time,))
    assert [row[0] for row in newest] == moments[:2:-1]


@pytest.mark.parametrize("table", WRITTEN, ids=lambda table: table.name)
def test_a_second_row_with_a_key_does_what_the_table_declares(store: Store, table: Table) -> None:
    written = rows_of(table)
    before, after = written[0], changed(table, written[0])
    store.write(written)
    store.write([after])
    found = {key_of(table, values): values for values in store.read(table)}
    match table.on_conflict:
        case "ignore":
            assert (len(found), found[key_of(table, table.values(before))]) == (5, table.values(before))
        case "replace" | "replace_partition":
            assert (len(found), found[key_of(table, table.values(before))]) == (5, table.values(after))
        case "version":
            assert (len(found), found[key_of(table, table.values(after))]) == (6, table.values(after))


@pytest.mark.parametrize("table", WRITTEN, ids=lambda table: table.name)
def test_an_import_leaves_what_is_there_alone_and_can_be_done_twice(store: Store, table: Table) -> None:
    written = rows_of(table)
    assert store.write(written[:3]) == 3
    assert store.write(written, on_conflict="ignore") == 2
    assert store.write(written, on_conflict="ignore") == 0
    assert list(store.read(table)) == by_key(table, written)


def test_of_rows_of_one_moment_the_newest_first_are_the_last_by_key(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write([probe(NOON, target=name, location=place) for name in "bca" for place in ("x", "y")])
    found = store.read(PROBES, newest_first=True, columns=("target", "location"), limit=3)
    assert list(found) == [("c", "y"), ("c", "x"), ("b", "y")]
    found = store.read(PROBES, Selection(targets=("a",)), newest_first=True, columns=("target", "location"))
    assert list(found) == [("a", "y"), ("a", "x")]
    monkeypatch.setattr("store.sqlite.BATCH_ROWS", 1)
    monkeypatch.setattr("store.clickhouse.BLOCK", 1)
    found = store.read(PROBES, columns=("target", "location"))
    assert list(found) == [(name, place) for name in "abc" for place in "xy"], "a batch that ends between the two"


# -- what is made


@pytest.mark.parametrize("table", MADE, ids=lambda table: table.name)
def test_what_is_made_of_the_probes_is_read_and_counted_and_cannot_be_written(store: Store, table: Table) -> None:
    store.write(some_probes())
    found = list(store.read(table))
    assert found and store.count(table) == len(found)
    assert [key_of(table, values) for values in found] == sorted(key_of(table, values) for values in found)
    place = table.names.index(table.time)
    assert store.count(table, Selection(MIDNIGHT + DAY, targets=("a",))) == sum(
        values[0] == "a" and values[place] >= MIDNIGHT + DAY for values in found
    )
    order = [table.names.index(name) for name in table.newest_first]
    newest = sorted(found, key=lambda values: [values[place] for place in order], reverse=True)
    assert list(store.read(table, newest_first=True, limit=3)) == newest[:3]
    with pytest.raises(StoreError, match="the store derives its rows from the probes"):
        store.write([table.row(*found[0])])


# -- out of one store and into another


def exported(table: Table, store: Store, path: Path, form: Format) -> bytes:
    with path.open("wb") as file:
        write_rows(table, store.read(table), file, form)
    return path.read_bytes()


@pytest.mark.thorough
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_every_table_goes_from_one_engine_to_the_other_and_back(
    store: Store, tmp_path: Path, table: Table, form: Format
) -> None:
    """`store` is where it comes from, and then where it goes to: SQLite is at the other end."""
    source = PROBES if table.is_derived else table
    written = some_probes() if table.is_derived else rows_of(table)
    sqlite = open_store(f"sqlite:///{tmp_path}/other.db")
    again = open_store(f"sqlite:///{tmp_path}/again.db")
    again.write(written)
    store.write(written)
    ours = exported(table, store, tmp_path / f"ours.{form}", form)
    exported(source, store, tmp_path / f"source.{form}", form)
    assert sqlite.write(read_rows(source, tmp_path / f"source.{form}"), on_conflict="ignore") == len(written)
    assert exported(table, sqlite, tmp_path / f"theirs.{form}", form) == ours
    assert exported(table, again, tmp_path / f"again.{form}", form) == ours
    assert store.write(read_rows(source, tmp_path / f"source.{form}"), on_conflict="ignore") == 0
    assert [table.values(row) for row in read_rows(table, tmp_path / f"theirs.{form}")] == list(store.read(table))
    sqlite.close()
    again.close()


# -- a table that comes later


@dataclass(frozen=True, slots=True)
class Note(Row):
    """What an operator wrote of a moment."""

    name: Text
    at: Moment
    text: Text | None = None


def m999_notes(connection: apsw.Connection) -> None:
    connection.execute(
        "CREATE TABLE notes (name TEXT NOT NULL, at INTEGER NOT NULL, text TEXT, PRIMARY KEY (name, at)) STRICT"
    )


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Table:
    """A table that comes later: one declared class and, for SQLite, a migration."""
    monkeypatch.setattr(declaring, "TABLES", TABLES.copy())
    monkeypatch.setattr(declaring, "TABLE_OF", declaring.TABLE_OF.copy())
    declaring.table("notes", key=("name", "at"), time="at", owner="name", on_conflict="replace")(Note)
    table = declaring.TABLES["notes"]
    monkeypatch.setitem(TABLES, "notes", table)
    monkeypatch.setitem(TABLE_OF, Note, table)
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, m999_notes))
    return table


def test_a_table_that_is_added_is_one_declared_class_and_a_migration(
    store: Store, notes: Table, tmp_path: Path
) -> None:
    store._prepare()  # type: ignore[attr-defined]  # as when the new version opens it
    try:
        test_what_is_written_is_read_counted_and_chosen_by_time_and_name(store, notes)
        test_a_second_row_with_a_key_does_what_the_table_declares(store, notes)
        for form in FORMATS:
            exported(notes, store, tmp_path / f"notes.{form}", form)
            assert list(read_rows(notes, tmp_path / f"notes.{form}")) == [Note(*row) for row in store.read(notes)]
            assert store.write(read_rows(notes, tmp_path / f"notes.{form}"), on_conflict="ignore") == 0
        if isinstance(store, SqliteStore):
            salvage(store.path, tmp_path / "repaired.db")
            with closing(open_store(f"sqlite:///{tmp_path}/repaired.db")) as repaired:
                assert list(repaired.read(notes)) == list(store.read(notes))
        assert store.remove_from(0, NOON) == store.count(notes) + 5
    finally:
        if not isinstance(store, SqliteStore):
            store._database.command("DROP TABLE uptoken.notes")  # type: ignore[attr-defined]


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_rows_come_in_batches_as_they_do_at_once(store: Store, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of three groups of three rows: they end within a key's first column, at its end, and with the table."""
    if table.is_derived:
        store.write(some_probes())
    else:
        first = table.key[0]
        for group in ("a", "b", "c"):
            made = (replace(row, **{first: group}) for row in rows_of(table, 3))  # type: ignore[arg-type]
            store.write([*made])
    at = table.names.index(table.owner)
    names = tuple(sorted({row[at] for row in store.read(table)}))
    some = [Selection(), Selection(targets=names[:1]), Selection(targets=names[::-2]), Selection(NOON, NOON + DAY)]
    some += [Selection(failed=True), Selection(failed=True, targets=names)] if table is PROBES else []
    asked = [*((selection, ()) for selection in some), *((selection, (table.names[-1],)) for selection in some[::2])]
    at_once = [list(store.read(table, selection, columns=columns)) for selection, columns in asked]
    assert len(at_once[0]) == store.count(table) > 0
    for size in (1, 3, 7):
        monkeypatch.setattr("store.sqlite.BATCH_ROWS", size)
        monkeypatch.setattr("store.clickhouse.BLOCK", size)
        in_batches = [list(store.read(table, selection, columns=columns)) for selection, columns in asked]
        assert in_batches == at_once, size


def test_a_reader_that_rests_holds_no_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.sqlite.BATCH_ROWS", 2)
    writer, reader = (open_store(f"sqlite:///{tmp_path}/a.db", read_only=mode) for mode in (False, True))
    writer.write(some_probes())
    for table in (PROBES, TABLES["hourly"]):
        rows_left = reader.read(table)
        next(rows_left)
        writer.write([probe(NOON + 9 * DAY, target=table.name)])
        with writer._connection() as connection:  # type: ignore[attr-defined]
            assert next(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")) == (0, 0, 0)
        assert sum(1 for _ in rows_left) >= 60
    writer.close()
    reader.close()
