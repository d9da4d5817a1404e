"""The statements that read rows from SQLite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from store.batches import KeyRange, Values
from store.outcomes import PAUSED
from store.protocol import Selection
from store.rollups import COLUMNS, EXPORTED, STEP_MS, exported_row
from store.schema import PROBES, Table
from store.sqlite_derived import rollups_sql

INTERNED = {"models": ("description", "supported_parameters"), "endpoints": ("supported_parameters",)}
"""Columns whose texts are kept once, in the table `texts`, and referred to by its `id`: they seldom change when another
fact of the row does, and are most of its size.
"""
Query = tuple[str, list[Any], Callable[[Values], Values] | None]
"""A statement, its bindings, and what makes of each row the one that is read (null: it is that)."""


def stored_rows_sql(
    table: Table, selection: Selection, names: tuple[str, ...], part: KeyRange, newest_first: bool, limit: int | None
) -> Query:
    """The rows of a table as they are kept."""
    where, bindings = where_sql(table, selection)
    clauses, values = _range_clauses(part, table.key)
    if clauses:
        where = f"{where} AND {clauses}" if where else f" WHERE {clauses}"
    order = ", ".join((f"{name} DESC" for name in table.newest_first) if newest_first else table.key)
    source = "probes INDEXED BY failures" if selection.failed and table is PROBES else table.name
    sql = f"SELECT {', '.join(_column(table, name) for name in names)} FROM {source}{where} ORDER BY {order} LIMIT ?"
    return sql, [*bindings, *values, -1 if limit is None else limit], None


def exported_rows_sql(
    table: Table, selection: Selection, names: tuple[str, ...], part: KeyRange, newest_first: bool, limit: int | None
) -> Query:
    """The rows of `hourly` or `daily`."""
    step = EXPORTED[table]
    if part.equal:
        (at,) = part.beyond
        selection = replace(selection, since=at + STEP_MS[step])
        part = KeyRange(part.equal)
    clauses, values = _range_clauses(part, table.key)
    sql, bindings = rollups_sql(step, selection, COLUMNS, newest_first=newest_first, clauses=clauses)
    places = [table.names.index(name) for name in names]

    def convert(row: Values) -> Values:
        values = exported_row(step, row)
        return tuple(values[place] for place in places)

    return f"{sql} LIMIT ?", [*bindings, *values, -1 if limit is None else limit], convert


def _range_clauses(part: KeyRange, key: tuple[str, ...]) -> tuple[str, Values]:
    equal, beyond = part.columns(key)
    clauses = [f"{name} = ?" for name in equal]
    if beyond:
        clauses.append(f"({', '.join(beyond)}) > ({', '.join('?' * len(beyond))})")
    return " AND ".join(clauses), (*part.equal, *part.beyond)


def where_sql(table: Table, selection: Selection) -> tuple[str, list[Any]]:
    """The condition on the rows of a table, empty for all of them, and its bindings."""
    clauses: list[str] = []
    bindings: list[Any] = []
    if selection.targets:
        clauses.append(f"{table.owner} IN ({', '.join('?' * len(selection.targets))})")
        bindings.extend(selection.targets)
    elif table.key[:2] == (table.owner, table.time) and (selection.since, selection.until) != (None, None):
        clauses.append(f"{table.owner} IN ({_owners_sql(table)})")
    if selection.since is not None:
        clauses.append(f"{table.time} >= ?")
        bindings.append(selection.since)
    if selection.until is not None:
        clauses.append(f"{table.time} < ?")
        bindings.append(selection.until)
    if selection.failed:
        clauses.append(f"outcome <> 'ok' AND outcome <> '{PAUSED}'")
    return (" WHERE " + " AND ".join(clauses) if clauses else ""), bindings


def _owners_sql(table: Table) -> str:
    """All owners in a table whose rows lie by owner and time, one step of its key each: a range of all owners becomes
    one of each, where without their names all rows of all times would be looked through.
    """
    least = f"SELECT min({table.owner}) FROM {table.name}"
    return (
        f"WITH RECURSIVE owners(owner) AS ({least} UNION ALL"
        f" SELECT ({least} WHERE {table.owner} > owner) FROM owners WHERE owner IS NOT NULL)"
        " SELECT owner FROM owners WHERE owner IS NOT NULL"
    )


def _column(table: Table, name: str) -> str:
    if name not in INTERNED.get(table.name, ()):
        return name
    return f"(SELECT text FROM texts WHERE id = {name}) AS {name}"
