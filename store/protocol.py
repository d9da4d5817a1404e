"""What every store can do, and how it fails. An engine is one file that meets `Store`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from store.rollups import COLUMNS, Step
from store.schema import Probe, Row, Table


class StoreError(Exception):
    """The store could not be opened, read or written. The message says what happened, to what, and what to do."""


class StoreUrlError(StoreError):
    """The store's URL is none that is known: a flag or a variable is wrong, not the store."""


@dataclass(frozen=True)
class Selection:
    """Which rows: `since` <= moment < `until` (milliseconds UTC, null: open), of these targets (none: of all)."""

    since: int | None = None
    until: int | None = None
    targets: tuple[str, ...] = ()
    failed: bool = False
    """Of probes: only those that were no success."""


ALL = Selection()


@dataclass(frozen=True, slots=True)
class Series:
    """The probes of one target, location and profile: when the first one began (milliseconds UTC), and the newest."""

    first_at: int
    newest: Probe


@runtime_checkable
class Sized(Protocol):
    """What an engine may know besides."""

    def size_bytes(self) -> int:
        """How much room the rows take on the disk, with what belongs to them."""


@runtime_checkable
class Compactable(Protocol):
    """What an engine may do besides, where its files do not become small by themselves."""

    def compact(self, runs_before: int) -> int:
        """Merge rows of `runs` that began before this moment (milliseconds UTC) by hour, and give free room back to the
        disk, a bounded amount at a time; returns 0 when there is nothing left to do.
        """


@runtime_checkable
class Upkeep(Protocol):
    """What every engine knows besides its rows: what was pruned, what a clock that was ahead left, incidents."""

    def last_incidents(self, before: int, targets: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
        """Of each series (of these targets; none: of all) the newest incident that began before `before` (milliseconds
        UTC): no earlier one can reach beyond that. One that was over a month before may be missing (ClickHouse, where
        incidents are a query); one that was going on then is found however long it is.
        """

    def kept_since(self) -> int:
        """Before this moment (milliseconds UTC) raw probes are pruned, and ones that come again are refused."""

    def remove_from(self, moment: int, now: int) -> int:
        """Remove every row from `moment` on (milliseconds UTC), whatever was made of them, and what was closed then is
        open again; `kept_since` is at most the beginning of the UTC day `now`. Returns how many raw rows went.
        """


class Store(Protocol):
    """The rows. Every method raises `StoreError` and nothing else when the engine fails."""

    patience_s: float
    """How long a write waits for another program that holds the store, before it is a StoreError."""

    def write(self, rows: Iterable[Row], *, on_conflict: Literal["ignore"] | None = None) -> int:
        """Write rows of any tables in one transaction; returns how many were new. `Table.on_conflict` says what a row
        does that meets another with its key; with `ignore` (an import) the one that is there already stays. When the
        iterable raises, nothing is written.
        """

    def read(
        self,
        table: Table,
        selection: Selection = ALL,
        *,
        columns: tuple[str, ...] = (),
        newest_first: bool = False,
        limit: int | None = None,
    ) -> Iterator[tuple[Any, ...]]:
        """Stream rows as tuples (of `columns`, or of all), ordered by the table's key, in constant memory."""

    def count(self, table: Table, selection: Selection = ALL) -> int:
        """How many rows `read` would give."""

    def series(self, until: int | None = None) -> list[Series]:
        """Every series of probes with one that began before `until` (milliseconds UTC), by target, location and
        profile, and the newest of these. Costs the same at any age.
        """

    def rollups(
        self, step: Step, selection: Selection = ALL, columns: tuple[str | None, ...] = COLUMNS
    ) -> Iterator[tuple[Any, ...]]:
        """What each series came to in each hour, day or block that began in the selection: tuples of target, location,
        profile, when it began (milliseconds UTC) and `columns` (of `store.rollups.COLUMNS`; a null makes a null in its
        place), in this order.
        """

    def tidy(self, before: int) -> int:
        """Forget raw probes and endpoint reports of the UTC days that ended by `before` (milliseconds UTC), a bounded
        number at a time; returns how many went, 0 when there is nothing left to forget. Roll-ups stay.
        """

    def rebuild(self) -> int:
        """Make roll-ups and incidents anew from the raw probes that are kept; returns of how many."""

    def close(self) -> None:
        """Let go of files and connections; a second call does nothing."""


def upkeep_of(store: Store) -> Upkeep:
    """The same store."""
    assert isinstance(store, Upkeep)
    return store
