"""Which rows are from the future: a clock that was wrong wrote them, or this machine's own clock is behind.

A row's own moment shows it, so nothing is marked in the store, and a row from the future becomes an ordinary one when
its time comes.
"""

from __future__ import annotations

from typing import Any

from store.protocol import Selection, Store
from store.schema import PROBES, RUNS, TABLES, Table

MARGIN_MS = 600_000
"""How far the clocks of the machines that share a store may differ; every smaller difference is believed."""


def horizon(now: int) -> int:
    """The moment from which on rows are from the future (milliseconds UTC)."""
    return now + MARGIN_MS


def as_of(row: tuple[Any, ...], key_length: int, until: int) -> tuple[Any, ...]:
    """A row of a table with a history as it was before `until`: what a later row closes is still open."""
    valid_to = row[key_length]
    if valid_to is None or valid_to < until:
        return row
    return (*row[:key_length], None, *row[key_length + 1 :])


def late_probes(store: Store, now: int) -> int:
    """How many probes are from the future. Costs a seek a series when there are none. Raises StoreError."""
    until = horizon(now)
    names = {series.newest.target for series in store.series() if series.newest.started_at >= until}
    return store.count(PROBES, Selection(since=until, targets=tuple(sorted(names)))) if names else 0


def late_rows(store: Store, now: int) -> dict[Table, int]:
    """How many rows of each table are from the future; tables without any are skipped. It looks through the others only
    when a probe or a run is from the future. Raises StoreError.
    """
    late, counts = Selection(since=horizon(now)), {PROBES: late_probes(store, now)}
    newest = next(iter(store.read(RUNS, columns=("started_at",), newest_first=True, limit=1)), (0,))
    if counts[PROBES] or newest[0] >= horizon(now):
        counts |= {
            table: store.count(table, late) for table in TABLES.values() if table.is_dated and table is not PROBES
        }
    return {table: count for table, count in counts.items() if count}
