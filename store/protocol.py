"""What every store can do, and how it fails. An engine is one file that meets `Store`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from store.rollups import COLUMNS, Step
from store.schema import Exclusion, Probe, Row, Table


class StoreError(Exception):
    """The store could not be opened, read or written. The message says what happened, to what, and what to do."""


class NoStoreError(StoreError):
    """There is no store yet: the collector creates it."""


class StoreUrlError(StoreError):
    """No store can have this URL: a flag or a variable is wrong, not the store."""


@dataclass(frozen=True)
class Selection:
    """Which rows: `since` <= moment < `until` (milliseconds UTC, null: open), of these targets (none: all)."""

    since: int | None = None
    until: int | None = None
    targets: tuple[str, ...] = ()
    failed: bool = False
    """Of probes: only those that did not succeed, and no paused slot."""


ALL = Selection()


@dataclass(frozen=True, slots=True)
class Series:
    """The probes of one target, location and profile: when the first one began (milliseconds UTC), and the newest."""

    first_at: int
    newest: Probe


@runtime_checkable
class Compactable(Protocol):
    """An engine whose files do not shrink by themselves."""

    def compact(self, runs_before: int) -> int:
        """Merge rows of `runs` that began before this moment (milliseconds UTC) by hour, and give free space back to
        the disk, a bounded amount at a time; returns 0 when there is nothing left to do.
        """


class Maintenance(Protocol):
    """What every engine does besides: prune, rebuild, change a target's history, and repair what a clock that was ahead
    left.
    """

    def prune(self, before: int, checks_before: int | None = None) -> int:
        """Delete raw probes and endpoint reports of the UTC days that ended by `before` (milliseconds UTC), and checks
        of those that ended by `checks_before` (null: none), a bounded number at a time; returns how many went, 0 when
        there is nothing left to prune. Roll-ups and epochs stay.
        """

    def kept_since(self) -> int:
        """Before this moment (milliseconds UTC) raw probes are pruned, and refused when they come again."""

    def remove_from(self, moment: int, now: int) -> int:
        """Remove every row from `moment` on (milliseconds UTC) and everything derived from it, and reopen the versions
        that such a row closed; `kept_since` is then at most the beginning of the UTC day `now`. Returns how many raw
        rows went.
        """

    def rebuild(self) -> int:
        """Derive roll-ups and incidents again from the raw probes that are kept; returns from how many."""

    def exclude(self, exclusions: Sequence[Exclusion]) -> int:
        """Record exclusions, and count the probes in them as paused; of those that are undone, as measured. Returns how
        many probes changed. Raises StoreError when raw probes of a range are pruned, before anything is changed.
        """

    def delete_target(self, name: str) -> int:
        """Delete every row of a target, and what is derived from its probes; returns how many rows went."""

    def rename_target(self, old: str, new: str) -> int:
        """Give every row of a target another name, whose own rows stay; returns how many rows moved. After an error,
        the next call continues.
        """

    def size_bytes(self) -> int:
        """How much room the store takes on the disk."""


class Store(Maintenance, Protocol):
    """The rows. Every method raises `StoreError` and nothing else when the engine fails."""

    patience_s: float
    """How long a write waits for another program that holds the store, before it raises StoreError."""

    def write(self, rows: Iterable[Row], *, on_conflict: Literal["ignore"] | None = None) -> int:
        """Write rows of any tables in one transaction; returns how many were new. `Table.on_conflict` decides between
        two rows with one key; with `ignore` (an import) the one that is there already stays. When the iterable raises,
        nothing is written.
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
        """Stream rows as tuples (of `columns`, or all of them), ordered by the table's key, in constant memory."""

    def count(self, table: Table, selection: Selection = ALL) -> int:
        """How many rows `read` would give."""

    def series(self, until: int | None = None) -> list[Series]:
        """Every series of probes, by target, location and profile, with its newest probe that began before `until`
        (milliseconds UTC); series without one are skipped. Costs the same at any age.
        """

    def rollups(
        self, step: Step, selection: Selection = ALL, columns: tuple[str | None, ...] = COLUMNS
    ) -> Iterator[tuple[Any, ...]]:
        """Totals of each series in each hour, day or block that began in the selection: tuples of target, location,
        profile, when it began (milliseconds UTC) and `columns` (of `store.rollups.COLUMNS`; a null makes a null in its
        place), in this order.
        """

    def incidents_within(self, since: int, until: int, targets: tuple[str, ...] = ()) -> Iterable[tuple[Any, ...]]:
        """The incidents of these targets (none: of all) that a range (milliseconds UTC) has a part of, from their
        beginning to their end, however far these lie outside.
        """

    def last_incidents(self, before: int, targets: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
        """The newest incident of each series (of these targets; none: of all) that began before `before` (milliseconds
        UTC). One that was over a month before may be missing (ClickHouse, where incidents are a query).
        """

    def close(self) -> None:
        """Close files and connections; a second call does nothing."""
