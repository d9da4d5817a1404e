"""What every store can do, and how it fails. An engine is one file that meets `Store`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from store.rows import Probe, Row, Table


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


ALL = Selection()


@dataclass(frozen=True, slots=True)
class Spending:
    """What the probes of one target and profile used in a stretch of time. `cost_usd` sums the known costs;
    `unpriced_requests` may have been billed at a price that their rows do not know.
    """

    target: str
    profile: str
    requests: int
    cost_usd: float
    unpriced_requests: int


@dataclass(frozen=True, slots=True)
class Span:
    """When a target was first and last probed, in milliseconds UTC."""

    target: str
    first_at: int
    last_at: int


class Store(Protocol):
    """The rows. Every method raises `StoreError` and nothing else when the engine fails."""

    def write(self, rows: Iterable[Row], *, keep: bool = False) -> int:
        """Write rows of any tables in one transaction; returns how many were new. `Table.meeting` says what a row
        does that meets another with its key; with `keep` (an import) the one that is there already stays. When the
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

    def newest_probes(self) -> list[Probe]:
        """The newest probe of every target, location and profile."""

    def spans(self) -> list[Span]:
        """The first and last moment of every target's probes."""

    def spending(self, since: int, until: int) -> list[Spending]:
        """Requests and cost by target and profile, of probes with `since` <= started_at < `until` (ms UTC)."""

    def close(self) -> None:
        """Let go of files and connections; a second call does nothing."""
