"""Roll-ups as ClickHouse has them, in SQLite's form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from store.batches import Values
from store.clickhouse_database import Database
from store.clickhouse_queries import packed_cells, packed_sketch, rollup_condition
from store.clickhouse_schema import ROLLUPS, SERIES
from store.protocol import Selection
from store.rollups import CELL_MS, SKETCHED, STEP_MS, Step, pack_cells, unpack_cells
from store.sketch import merge_sketch, unpack_sketch

_PACKED = {name: packed_sketch(name) for name in SKETCHED} | {"cells": packed_cells()}


def read_rollups(
    database: Database, step: Step, selection: Selection, columns: tuple[str | None, ...]
) -> Iterator[Values]:
    """The engine adds up the parts of an hour when it merges; those that it did not merge yet are
    added up here, which is three times faster than to let it add up all in the query.
    """
    condition, parameters = rollup_condition(selection)
    key = ", ".join((*SERIES, "at"))
    wanted = "".join(f", {_PACKED.get(name, name) if name else 'NULL'}" for name in columns)
    sql = f"SELECT {key}{wanted} FROM {database.name(ROLLUPS[step])} WHERE {condition} ORDER BY {key}"
    binary = tuple(f"packed_{name}" for name in columns if name in _PACKED)
    held: Values | None = None
    for row in _stored_rows(database, sql, binary, step, parameters):
        if held is None:
            held = row
        elif row[:4] == held[:4]:
            held = _add_rows(held, row, columns)
        else:
            yield held
            held = row
    if held is not None:
        yield held


def _stored_rows(
    database: Database, sql: str, binary: tuple[str, ...], step: Step, parameters: dict[str, Any]
) -> Iterator[Values]:
    """Rows as the engine has them, an hour in one or several."""
    converters: dict[str, Callable[[Sequence[bytes]], Sequence[bytes | None]]] = dict.fromkeys(binary, _empty_to_null)
    converters["packed_cells"] = partial(_dense_cells, 3 * STEP_MS[step] // CELL_MS[step])
    with (
        database.errors("read"),
        database.client() as client,
        client.query_column_block_stream(
            sql, parameters=parameters, column_formats=dict.fromkeys(binary, "bytes")
        ) as stream,
    ):
        for block in stream:
            columns = (
                converters[name](column) if name in converters else column
                for name, column in zip(stream.source.column_names, block, strict=True)
            )
            yield from zip(*columns, strict=True)


def _empty_to_null(sketches: Sequence[bytes]) -> list[bytes | None]:
    return [sketch or None for sketch in sketches]


def _dense_cells(length: int, sparse: Sequence[bytes]) -> list[bytes]:
    """Each row's cells with the empty ones; all in one go, since a loop over them took as long as the query."""
    pairs = np.frombuffer(b"".join(sparse), dtype="<u4").reshape(-1, 2)
    cells = np.zeros((len(sparse), length), dtype="<u4")
    cells[np.repeat(np.arange(len(sparse)), [len(row) // 8 for row in sparse]), pairs[:, 0]] = pairs[:, 1]
    dense = cells.tobytes()
    return [dense[start : start + 4 * length] for start in range(0, len(dense), 4 * length)]


def _add_rows(one: Values, other: Values, columns: tuple[str | None, ...]) -> Values:
    """Two rows of one hour, in SQLite's form, added up."""
    values: list[Any] = []
    for name, a, b in zip(columns, one[4:], other[4:], strict=True):
        if name == "cells":
            values.append(pack_cells(a, unpack_cells(b), len(a) // 12))
        elif name in SKETCHED:
            values.append(merge_sketch(a, unpack_sketch(b)))
        else:
            values.append(a + b if name else None)
    return (*one[:4], *values)
