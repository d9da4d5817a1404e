"""How SQLite takes rows in: by what each table does on a conflict, and with long texts kept once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apsw

from store.batches import Values
from store.clock import now_ms
from store.horizon import as_of, horizon
from store.run_rollup import skip_merged
from store.schema import OBSERVED, PROBES, RUNS, TABLE_OF, Row, Table
from store.sqlite_derived import insert_observed
from store.sqlite_queries import INTERNED
from store.sqlite_targets import exclude_late
from store.versioning import close_before, merge_version


def intern_texts(connection: apsw.Connection, table: Table, values: list[Values]) -> list[Values]:
    """The rows with the ids of their long texts in place of these."""
    places = [table.names.index(name) for name in INTERNED.get(table.name, ())]
    texts = {row[place] for row in values for place in places} - {None}
    connection.executemany("INSERT OR IGNORE INTO texts (text) VALUES (?)", [(text,) for text in sorted(texts)])
    ids = {text: connection.execute("SELECT id FROM texts WHERE text = ?", (text,)).get for text in texts}
    ids[None] = None
    return [
        tuple(ids[value] if place in places else value for place, value in enumerate(row)) if places else row
        for row in values
    ]


def group_by_table(rows: Iterable[Row], size: int = 5_000) -> Iterator[tuple[Table, list[Values]]]:
    """Runs of rows of one table, as tuples, at most `size` at a time: an endless import needs constant memory."""
    table: Table | None = None
    values: list[Values] = []
    for row in rows:
        if TABLE_OF[type(row)] is not table or len(values) >= size:
            if table is not None and values:
                yield table, values
            table, values = TABLE_OF[type(row)], []
        values.append(table.values(row))
    if table is not None and values:
        yield table, values


def _insert(connection: apsw.Connection, table: Table, values: list[Values], conflict: str) -> int:
    before = connection.total_changes()
    marks = ", ".join("?" * len(table.columns))
    names = ", ".join(table.names)
    connection.executemany(f"INSERT OR {conflict} INTO {table.name} ({names}) VALUES ({marks})", values)
    return connection.total_changes() - before


def _insert_new(connection: apsw.Connection, table: Table, values: list[Values]) -> int:
    if table in OBSERVED:
        wanted = exclude_late(connection, values) if table is PROBES else values
        return insert_observed(connection, table, wanted)
    return _insert(connection, table, values, "IGNORE")


def import_rows(connection: apsw.Connection, table: Table, values: list[Values]) -> int:
    """Add the rows that are not there yet, whatever their table does on a conflict; returns how many were new."""
    return _insert_new(connection, table, skip_merged(connection, values) if table is RUNS else values)


def _replace(connection: apsw.Connection, table: Table, values: list[Values]) -> int:
    return _insert(connection, table, values, "REPLACE")


def delete_partitions(connection: apsw.Connection, table: Table, values: list[Values], replaced: set[Values]) -> None:
    """Delete the rows of each partition that these rows replace; `replaced` are those of this transaction so far."""
    partitions = {(table.name, *row[:2]) for row in values} - replaced
    first, second = table.names[:2]
    connection.executemany(
        f"DELETE FROM {table.name} WHERE {first} = ? AND {second} = ?", [key[1:] for key in sorted(partitions)]
    )
    replaced |= partitions


def _write_versions(connection: apsw.Connection, table: Table, values: list[Values]) -> int:
    names, length = table.key[:-1], len(table.key)
    same = " AND ".join(f"{name} = ?" for name in names)
    select_sql = f"SELECT {', '.join(table.names)} FROM {table.name} WHERE {same} AND valid_from"
    newest_sql = f"{select_sql} < ? ORDER BY valid_from DESC LIMIT 1"
    later_sql = f"{select_sql} >= ? ORDER BY valid_from LIMIT 1"
    close_sql = f"UPDATE {table.name} SET valid_to = ? WHERE {same} AND valid_from = ?"
    future = horizon(now_ms())
    new = 0
    for row in values:
        key, until = row[: len(names)], future if row[length - 1] < future else 2**62
        newest = connection.execute(newest_sql, (*key, until)).fetchone()
        newest = as_of(newest, length, until) if newest is not None else None
        merge = merge_version(newest, row, length)
        if merge.closes_at is not None and newest is not None:
            connection.execute(close_sql, (merge.closes_at, *key, newest[length - 1]))
        if merge.adds:
            later = connection.execute(later_sql, (*key, until)).fetchone()
            new += _insert(connection, table, [close_before(row, later, length)], "IGNORE")
    return new


WRITERS = {"ignore": _insert_new, "replace": _replace, "version": _write_versions, "replace_partition": _replace}
