"""Roll-ups as ClickHouse has them, in SQLite's form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from store.batches import Values
from store.clickhouse_database import Database
from store.clickhouse_queries import packed_map, rollup_condition
from store.clickhouse_schema import ROLLUPS, SERIES
from store.protocol import Selection
from store.rollups import CELL_MS, SKETCHED, STEP_MS, Step, pack_cells, unpack_cells
from store.sketch import MOST_IN_PAIR, merge_sketch, pack_sketch, unpack_sketch

_PACKED = {name: packed_map(name) for name in (*SKETCHED, "cells")}
_PAIR = np.dtype([("place", "<u2"), ("count", "<u8")])
"""An entry of a map in ClickHouse's RowBinary. How many there are stands before them, in one byte or two."""


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
    converters: dict[str, Callable[[Sequence[bytes]], Sequence[bytes | None]]] = dict.fromkeys(binary, packed_sketches)
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


def packed_sketches(maps: Sequence[bytes]) -> list[bytes | None]:
    """Sketches as `store.sketch` packs them, all in one go."""
    pairs, ends = _pairs(maps)
    if (pairs["count"] > MOST_IN_PAIR).any():
        return [pack_sketch(dict(_pairs([row])[0].tolist())) for row in maps]
    packed = np.column_stack((pairs["place"], pairs["count"].astype("<u2"))).tobytes()
    return [packed[4 * start : 4 * end] or None for start, end in pairwise(ends)]


def _dense_cells(length: int, maps: Sequence[bytes]) -> list[bytes]:
    """Each row's cells with the empty ones; all in one go, since a loop over them took as long as the query."""
    pairs, ends = _pairs(maps)
    cells = np.zeros((len(maps), length), dtype="<u4")
    cells[np.repeat(np.arange(len(maps)), np.diff(ends)), pairs["place"]] = pairs["count"]
    dense = cells.tobytes()
    return [dense[start : start + 4 * length] for start in range(0, len(dense), 4 * length)]


def _pairs(maps: Sequence[bytes]) -> tuple[Any, list[int]]:
    """The entries of all maps, and where those of each begin and the last ones end."""
    pairs = np.frombuffer(b"".join([row[len(row) % _PAIR.itemsize :] for row in maps]), dtype=_PAIR)
    return pairs, [0, *accumulate(len(row) // _PAIR.itemsize for row in maps)]


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
