"""Rows of the store as a table that statistics are made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from store.rows import Column, Table

_DTYPES = {"text": "str", "integer": "Int64", "real": "float64", "flag": "boolean", "moment": "Int64"}


def frame(table: Table, rows: Iterable[tuple[Any, ...]], columns: tuple[str, ...] = ()) -> pd.DataFrame:
    """A frame of rows as `Store.read` gives them: one column each of `columns` (none: all), null as pandas' missing.

    Moments stay milliseconds since the epoch, UTC.
    """
    kinds = {column.name: column for column in table.columns}
    names = columns or table.names
    data = pd.DataFrame.from_records(list(rows), columns=list(names))
    return data.astype({name: _dtype(kinds[name]) for name in names})


def _dtype(column: Column) -> str:
    if column.kind in ("integer", "moment") and not column.nullable:
        return "int64"
    return _DTYPES[column.kind]
