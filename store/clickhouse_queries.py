"""How ClickHouse is asked for rows, roll-ups and incidents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from store.batches import KeyRange, Values
from store.outcomes import PAUSED
from store.protocol import Selection
from store.schema import Table

FIELD_BYTES = 100_000
Query = tuple[str, dict[str, Any]]
"""A statement, or a part of one, and its parameters."""


def select(
    table: Table,
    source: str,
    selection: Selection,
    names: tuple[str, ...],
    part: KeyRange,
    order: str,
    limit: int | None,
) -> Query:
    """These columns of the rows of a table that lies in `source`, from a part of its keys on."""
    clauses, parameters = _clauses(table, selection)
    for column, value in zip(table.key, (*part.equal, *part.beyond), strict=False):
        parameters[f"key_{column}"] = value
    marks = {name: f"{{key_{name}:{kind}}}" for name, kind in key_types(table).items()}
    equal, beyond = part.columns(table.key)
    clauses += [f"{name} = {marks[name]}" for name in equal]
    if beyond:
        clauses.append(f"{beyond[0]} >= {marks[beyond[0]]}")  # which the index understands
        clauses.append(f"({', '.join(beyond)}) > ({', '.join(marks[name] for name in beyond)})")
    sql = f"SELECT {', '.join(names)} FROM {source}{_final(table)}{_where(clauses)} ORDER BY {order}"
    return sql + (f" LIMIT {int(limit)}" if limit is not None else ""), parameters


def count(table: Table, source: str, selection: Selection) -> Query:
    """How many rows there are."""
    clauses, parameters = _clauses(table, selection)
    return f"SELECT count() FROM {source}{_final(table)}{_where(clauses)}", parameters


def condition(table: Table, selection: Selection) -> Query:
    """The condition on the rows of a table, empty for all of them."""
    clauses, parameters = _clauses(table, selection)
    return _where(clauses), parameters


def rollup_condition(selection: Selection) -> Query:
    """The condition on roll-ups."""
    clauses, parameters = _selection_clauses("target", "at", selection)
    return " AND ".join(clauses) or "1", parameters


def key_types(table: Table) -> dict[str, str]:
    """The engine's type of each column of the key, in its order."""
    kinds = {column.name: "String" if column.kind == "text" else "Int64" for column in table.columns}
    return {name: kinds[name] for name in table.key}


def _final(table: Table) -> str:
    """Of rows with one key that were not merged yet the newest alone."""
    return " FINAL" if table.on_conflict != "ignore" else ""


def _where(clauses: list[str]) -> str:
    return " WHERE " + " AND ".join(clauses) if clauses else ""


def _clauses(table: Table, selection: Selection) -> tuple[list[str], dict[str, Any]]:
    clauses, parameters = _selection_clauses(table.owner, table.time, selection)
    return clauses + ([f"outcome NOT IN ('ok', '{PAUSED}')"] if selection.failed else []), parameters


def _selection_clauses(owner: str, moment: str, selection: Selection) -> tuple[list[str], dict[str, Any]]:
    clauses: list[str] = []
    parameters: dict[str, Any] = {}
    if selection.targets:
        clauses.append(f"{owner} IN {{targets:Array(String)}}")
        parameters["targets"] = list(selection.targets)
    if selection.since is not None:
        clauses.append(f"{moment} >= {{since:Int64}}")
        parameters["since"] = selection.since
    if selection.until is not None:
        clauses.append(f"{moment} < {{until:Int64}}")
        parameters["until"] = selection.until
    return clauses, parameters


def keys_at_once(keys: Sequence[Values]) -> int:
    """How many of these keys fit into one parameter: a server refuses a field of more than 128 KiB."""
    return max(1, FIELD_BYTES // max((len(repr(key).encode()) for key in keys), default=1))


def packed_map(name: str) -> str:
    """A sketch or the cells as bytes, which `store.clickhouse_rollups` brings into SQLite's form: to make that here,
    number by number, took the engine longer to plan than to read the rows.
    """
    return f"formatRow('RowBinary', {name}) AS packed_{name}"
