"""Rows of the store as JSON: the columns of data/README.md, moments in ISO 8601, flags as booleans."""

from __future__ import annotations

from typing import Any

from store.formats import iso
from store.schema import TABLE_OF, Row


def row_as_json(row: Row) -> dict[str, Any]:
    """A row, column by column."""
    table = TABLE_OF[type(row)]
    return {
        column.name: _value(column.kind, value) for column, value in zip(table.columns, table.values(row), strict=True)
    }


def _value(kind: str, value: Any) -> Any:
    if value is None:
        return None
    return iso(value) if kind == "moment" else bool(value) if kind == "flag" else value


def at_or_null(moment: int | None) -> str | None:
    """Milliseconds UTC in ISO 8601."""
    return None if moment is None else iso(moment)


def words(text: str | None) -> list[str]:
    """The words of a list that a column keeps with commas."""
    return [word for word in (text or "").split(",") if word]
