"""How a table is declared: a frozen dataclass for its rows, and what the files and engines need to know of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

Text = Annotated[str, "text"]
TargetName = Annotated[str, "text", "target"]
"""A target's name, in a column that is not called `target`: what a target that is renamed is found by."""
Integer = Annotated[int, "integer"]
Real = Annotated[float, "real"]
Flag = Annotated[bool, "flag"]
Moment = Annotated[int, "moment"]
"""Milliseconds since 1970-01-01T00:00:00Z; ISO 8601 with offset in every file that leaves the store."""

Kind = Literal["text", "integer", "real", "flag", "moment"]


@dataclass(frozen=True, slots=True)
class Row:
    """What every row of every table is: a frozen dataclass that declares its table with `table`."""


OnConflict = Literal["ignore", "replace", "replace_partition", "version", "derived"]


@dataclass(frozen=True)
class Column:
    """One column: its name, its kind, whether it may be null, and whether it holds a target's name."""

    name: str
    kind: Kind
    nullable: bool
    names_target: bool = False


@dataclass(frozen=True)
class Table:
    """A table: its rows' class, its columns in order, its primary key, and what a row does that meets another one.

    `time` is the column that a time window selects by, `owner` the one that a target's (or model's, or collector's)
    name selects by. `on_conflict`: `ignore` keeps the row that is there, `replace` replaces it, `version` closes the
    open row of the same key when something changed, and does nothing when nothing did. `replace_partition` is for what
    a source states as a whole: rows that are written replace all rows with the same first two columns. `derived` rows
    cannot be written: the store makes them from the probes. `added` columns came later: files that an older Uptoken
    exported lack them.
    """

    name: str
    row: Callable[..., Row]
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    time: str
    owner: str
    on_conflict: OnConflict
    added: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def newest_first(self) -> tuple[str, ...]:
        """What rows are ordered by, descending, when the newest come first: of one moment, the last by key."""
        return (self.time, *(name for name in self.key if name != self.time))

    @property
    def target_columns(self) -> tuple[str, ...]:
        """The columns that hold a target's name; the first one in the key says whose row it is."""
        return tuple(column.name for column in self.columns if column.names_target)

    @property
    def target_column(self) -> str | None:
        """The column of the key that says of which target a row is; null for a table that is of none."""
        return next((name for name in self.target_columns if name in self.key), None)

    @property
    def is_derived(self) -> bool:
        """Whether the store makes its rows: they can be read and exported, and neither written nor imported."""
        return self.on_conflict == "derived"

    @property
    def is_dated(self) -> bool:
        """Whether a row is of the moment that its key names, and goes when that moment never was."""
        return self.time in self.key and not self.is_derived

    @property
    def help(self) -> str:
        """What a row is, in one sentence: the first one of its class's docstring."""
        return (self.row.__doc__ or "").split("\n\n")[0].replace("\n    ", " ").split(". ")[0].rstrip(".")

    def values(self, row: Row) -> tuple[Any, ...]:
        """The row as a tuple, in the columns' order."""
        values: tuple[Any, ...] = attrgetter(*self.names)(row)
        return values


def columns_of(row_type: type) -> tuple[Column, ...]:
    """The columns that a row class declares."""
    hints = get_type_hints(row_type, include_extras=True)
    columns = []
    for item in fields(row_type):
        hint = hints[item.name]
        nullable = type(None) in getattr(hint, "__args__", ())
        inner = next(a for a in hint.__args__ if a is not type(None)) if nullable else hint
        names_target = item.name == "target" or "target" in inner.__metadata__[1:]
        columns.append(Column(item.name, inner.__metadata__[0], nullable, names_target))
    return tuple(columns)


TABLES: dict[str, Table] = {}
TABLE_OF: dict[type[Row], Table] = {}
Declared = TypeVar("Declared", bound=type[Row])


def table(
    name: str, *, key: tuple[str, ...], time: str, owner: str, on_conflict: OnConflict, added: tuple[str, ...] = ()
) -> Callable[[Declared], Declared]:
    """Declare the table of a row class: everything about tables derives from this, but for SQLite's migration."""

    def declare(row: Declared) -> Declared:
        TABLES[name] = TABLE_OF[row] = Table(name, row, key, columns_of(row), time, owner, on_conflict, added)
        return row

    return declare
