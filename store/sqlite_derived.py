"""What SQLite derives from raw probes, in the transaction that writes them: series, roll-ups and incidents.

A roll-up's `id` is its series' id and the number of its hour, day or block since 1970, so that the rows of a series
lie side by side in the order of time. Pruned probes stay in the roll-ups; so that none is counted twice, a probe from
before `kept_since` that comes again is skipped. The newest probe of a series is never pruned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, starmap
from typing import Any

import apsw

from store.check_spending import CHECKS
from store.clock import DAY_MS
from store.incidents import Event, find_incidents
from store.outcomes import DOWN, UP
from store.protocol import Selection
from store.rollups import (
    BLOCK_MS,
    COLUMNS,
    STEP_MS,
    Accumulator,
    Accumulators,
    Step,
    accumulate_by_step,
    to_coarser_step,
)
from store.schema import INCIDENTS, PROBES, REQUESTS, TABLES, TRAFFIC, Probe, Request, Table

SHIFT = 24
"""Bits of an id that number the hour, day or block: enough until the year 3883."""
MASK = (1 << SHIFT) - 1
TABLE: dict[Step, str] = {"hour": "hourly", "day": "daily", "block": "blocks"}
AT_ONCE = 2_000
"""Probes that are forgotten in one transaction: some 20 ms."""
Key = tuple[str, str, str]
_SAME = "target = ? AND location = ? AND profile = ?"
_INCIDENT = f"({', '.join(INCIDENTS.names)}) VALUES ({', '.join('?' * len(INCIDENTS.names))})"


def insert_observed(connection: apsw.Connection, table: Table, values: list[tuple[Any, ...]]) -> int:
    """Add the probes, or attempts, that are not there yet, and update what is derived from them; returns how many were
    new.
    """
    since = kept_since(connection)
    marks = ", ".join("?" * len(table.columns))
    names = ", ".join(table.names)
    wanted = [row for row in values if row[1] >= since] if since else values
    sql = f"INSERT OR IGNORE INTO {table.name} ({names}) VALUES ({marks}) RETURNING {names}"
    if table is REQUESTS:
        attempts = [Request(*row) for row in connection.executemany(sql, wanted)]
        ids = _update_series(connection, attempts)
        _update_rollups(connection, attempts, {series: row[0] for series, row in ids.items()})
        return len(attempts)
    probes = [Probe(*row) for row in connection.executemany(sql, wanted)]
    ids = _update_series(connection, probes)
    _update_rollups(connection, probes, {series: row[0] for series, row in ids.items()})
    _update_incidents(connection, probes, ids)
    return len(probes)


def _key(probe: Probe | Request) -> Key:
    return probe.target, probe.location, probe.profile


def _update_series(connection: apsw.Connection, new: Sequence[Probe | Request]) -> dict[Key, tuple[int, int, int]]:
    """Widen each series' first and last moment; its id, and as it was before: its last moment and whether it failed."""
    spans: dict[Key, tuple[int, int]] = {}
    for probe in new:
        at = probe.started_at
        first, last = spans.get(_key(probe), (at, at))
        spans[_key(probe)] = (min(first, at), max(last, at))
    before: dict[Key, tuple[int, int, int]] = {}
    for series, (first, last) in spans.items():
        row = connection.execute(f"SELECT id, last_at, failing FROM series WHERE {_SAME}", series).fetchone()
        if row is None:
            connection.execute(
                "INSERT INTO series (target, location, profile, first_at, last_at) VALUES (?, ?, ?, ?, ?)",
                (*series, first, last),
            )
            row = (connection.last_insert_rowid(), first - 1, 0)
        else:
            connection.execute(
                "UPDATE series SET first_at = min(first_at, ?), last_at = max(last_at, ?) WHERE id = ?",
                (first, last, row[0]),
            )
        before[series] = row
    return before


def _update_rollups(connection: apsw.Connection, new: Iterable[Probe | Request], ids: dict[Key, int]) -> None:
    for step, totals in accumulate_by_step(new).items():
        write_rollups(connection, step, totals, ids)


def write_rollups(connection: apsw.Connection, step: Step, totals: Accumulators, ids: dict[Key, int]) -> None:
    table = TABLE[step]
    read = f"SELECT {', '.join(COLUMNS)} FROM {table} WHERE id = ?"
    rows = []
    for (series, at), total in totals.items():
        number = (ids[series] << SHIFT) + at // STEP_MS[step]
        rows.append((number, *total.added_to(connection.execute(read, (number,)).fetchone())))
    connection.executemany(put_rollup_sql(table), rows)


def put_rollup_sql(table: str) -> str:
    """Writes a row of roll-ups: its id, and `COLUMNS`. Columns have another order in a store of an older schema."""
    return f"INSERT OR REPLACE INTO {table} (id, {', '.join(COLUMNS)}) VALUES (?{', ?' * len(COLUMNS)})"


# -- incidents


def _update_incidents(connection: apsw.Connection, new: list[Probe], before: dict[Key, tuple[int, int, int]]) -> None:
    """Update the incidents around the new probes of each series that failed then."""
    for series, probes in groupby(sorted(new, key=_key), key=_key):
        mine = list(probes)
        _, last_at, failing = before[series]
        first, last = min(p.started_at for p in mine), max(p.started_at for p in mine)
        if failing or first <= last_at or any(p.outcome in DOWN for p in mine):
            replace_incidents(connection, series, first, last)


def replace_incidents(connection: apsw.Connection, series: Key, first: int, last: int) -> None:
    """Between the last success before `first` and the first one after `last`, nothing else can have changed."""
    up = ", ".join(f"'{outcome}'" for outcome in sorted(UP))
    began = connection.execute(
        f"SELECT started_at FROM probes WHERE {_SAME} AND started_at < ? AND outcome IN ({up})"
        " ORDER BY started_at DESC LIMIT 1",
        (*series, first),
    ).get
    ended = connection.execute(
        f"SELECT started_at FROM probes WHERE {_SAME} AND started_at > ? AND outcome IN ({up})"
        " ORDER BY started_at LIMIT 1",
        (*series, last),
    ).get
    since = began if began is not None else -(2**62)
    until = ended if ended is not None else 2**62
    rows = connection.execute(
        f"SELECT started_at, outcome, error FROM probes WHERE {_SAME} AND started_at > ? AND started_at <= ?"
        " ORDER BY started_at",
        (*series, since, until),
    )
    listed = list(rows)
    connection.execute(
        f"DELETE FROM incidents WHERE {_SAME} AND began_at > ? AND began_at <= ?", (*series, since, until)
    )
    connection.executemany(
        f"INSERT INTO incidents {_INCIDENT}",
        [INCIDENTS.values(incident) for incident in find_incidents(series, starmap(Event, listed))],
    )
    if ended is None:
        decided = [outcome for _, outcome, _ in listed if outcome in UP or outcome in DOWN]
        failing = bool(decided) and decided[-1] in DOWN
        connection.execute(f"UPDATE series SET failing = ? WHERE {_SAME}", (failing, *series))


# -- pruning and rebuilding


def kept_since(connection: apsw.Connection) -> int:
    return int(connection.execute("SELECT kept_since FROM upkeep").get)


def prune(connection: apsw.Connection, before: int, checks_before: int | None) -> int:
    """Delete some of the rows from before the days that these moments lie in; returns how many went."""
    boundary = before - before % DAY_MS
    connection.execute("UPDATE upkeep SET kept_since = max(kept_since, ?)", (boundary,))
    pruned = 0
    for (target,) in list(connection.execute("SELECT DISTINCT target FROM series")):
        for table, key in _PRUNED.items():
            pruned += _delete(connection, table, key, target, boundary, AT_ONCE - pruned)
            if pruned >= AT_ONCE:
                return pruned
    for (model,) in list(connection.execute("SELECT DISTINCT model FROM endpoint_stats")):
        pruned += _delete(
            connection, "endpoint_stats", "model, seen_at, tag, source", model, boundary, AT_ONCE - pruned
        )
    return pruned if checks_before is None else pruned + _prune_checks(connection, checks_before, AT_ONCE - pruned)


def _prune_checks(connection: apsw.Connection, before: int, most: int) -> int:
    pruned, boundary = 0, before - before % DAY_MS
    for table in CHECKS:
        for (target,) in list(connection.execute(f"SELECT DISTINCT target FROM {table.name}")):
            pruned += _delete(connection, table.name, ", ".join(table.key), target, boundary, most - pruned)
    return pruned


_PRUNED = {table.name: ", ".join(table.key) for table in (PROBES, REQUESTS)}
_NOT_NEWEST = {
    "probes": " AND NOT EXISTS (SELECT 1 FROM series WHERE series.target = probes.target AND series.location ="
    " probes.location AND series.profile = probes.profile AND series.last_at = probes.started_at)"
}


def _delete(connection: apsw.Connection, table: str, key: str, owner: str, boundary: int, most: int) -> int:
    name, moment = key.split(", ")[:2]
    before = connection.total_changes()
    connection.execute(
        f"DELETE FROM {table} WHERE ({key}) IN"
        + f" (SELECT {key} FROM {table} WHERE {name} = ? AND {moment} < ?{_NOT_NEWEST.get(table, '')} LIMIT ?)",
        (owner, boundary, max(0, most)),
    )
    return connection.total_changes() - before


def rebuild(connection: apsw.Connection) -> int:
    """Derive roll-ups and incidents again from the raw rows; those of days whose raw rows are pruned stay."""
    since = kept_since(connection)
    for step, table in TABLE.items():
        connection.execute(f"DELETE FROM {table} WHERE id & ? >= ?", (MASK, since // STEP_MS[step]))
    rebuild_blocks(connection, since - since % BLOCK_MS)  # what is left of that block is of days that are pruned
    count = 0
    for number, *series in list(connection.execute("SELECT id, target, location, profile FROM series")):
        key: Key = (series[0], series[1], series[2])
        count += _rebuild_series(connection, number, key, since)
    return count


def _rebuild_series(connection: apsw.Connection, number: int, series: Key, kept_since: int) -> int:
    count = 0
    for _, day in groupby(raw_rows(connection, series, kept_since), key=lambda probe: probe.started_at // DAY_MS):
        probes = list(day)
        count += len(probes)
        _update_rollups(connection, probes, {series: number})
    rebuild_incidents(connection, series, kept_since)
    return count


def remove_from(connection: apsw.Connection, moment: int, now: int) -> int:
    pruned_until = kept_since(connection)
    connection.execute("UPDATE upkeep SET kept_since = min(kept_since, ?)", (now - now % DAY_MS,))
    touched = [
        (row[0], (row[1], row[2], row[3]))
        for row in connection.execute("SELECT id, target, location, profile FROM series WHERE last_at >= ?", (moment,))
    ]
    removed = 0
    for table in TABLES.values():
        if not table.is_derived:
            removed += _remove_rows(connection, table, moment, now)
    for step, name in TABLE.items():
        first = -(-moment // STEP_MS[step])
        connection.execute(f"DELETE FROM {name} WHERE id & ? >= ?", (MASK, first))
    for number, key in touched:
        _rebuild_partial(connection, number, key, moment, pruned_until)
        _end_series(connection, number, key, moment)
    block = moment - moment % BLOCK_MS
    connection.execute("DELETE FROM blocks WHERE id & ? >= ?", (MASK, block // BLOCK_MS))
    rebuild_blocks(connection, block)
    return removed


def _remove_rows(connection: apsw.Connection, table: Table, moment: int, now: int) -> int:
    """Remove what is keyed by its moment; a row that states the present stays, as of now."""
    before = connection.total_changes()
    if not table.is_dated:
        connection.execute(f"UPDATE {table.name} SET {table.time} = ?1 WHERE {table.time} >= ?2", (now, moment))
        return 0
    connection.execute(f"DELETE FROM {table.name} WHERE {table.time} >= ?", (moment,))
    removed = connection.total_changes() - before
    if table.on_conflict == "version":
        connection.execute(f"UPDATE {table.name} SET valid_to = NULL WHERE valid_to >= ?", (moment,))
    return removed


def _rebuild_partial(connection: apsw.Connection, number: int, series: Key, moment: int, pruned_until: int) -> None:
    """Rebuild the hour and the day that `moment` lies in from what is left of their raw probes, if all were there."""
    steps: tuple[Step, ...] = ("hour", "day")
    for step in steps:
        began = moment - moment % STEP_MS[step]
        if began < pruned_until or began == moment:
            continue
        connection.execute(f"DELETE FROM {TABLE[step]} WHERE id = ?", ((number << SHIFT) + began // STEP_MS[step],))
        totals = accumulate_by_step(list(raw_rows(connection, series, began)))[step]
        write_rollups(connection, step, totals, {series: number})


def _end_series(connection: apsw.Connection, number: int, series: Key, moment: int) -> None:
    up = ", ".join(f"'{outcome}'" for outcome in sorted(UP))
    connection.execute(f"DELETE FROM incidents WHERE {_SAME} AND began_at >= ?", (*series, moment))
    connection.execute("DELETE FROM series WHERE id = ? AND first_at >= ?", (number, moment))
    raw = _raw(series)
    connection.execute(
        "UPDATE series SET failing = 0,"
        f" last_at = coalesce((SELECT max(started_at) FROM {raw.table.name} WHERE {raw.condition}), first_at)"
        " WHERE id = ?",
        (*raw.bindings, number),
    )
    # without a success among the raw probes the beginning of an incident is unknown: it stays as it was
    if connection.execute(f"SELECT 1 FROM probes WHERE {_SAME} AND outcome IN ({up}) LIMIT 1", series).fetchone():
        replace_incidents(connection, series, moment, moment)


def rebuild_blocks(connection: apsw.Connection, since: int = 0, numbers: tuple[int, ...] = ()) -> None:
    """Add up the blocks from the days that are there, from the block that began at `since` on, of these series (none:
    of all).
    """
    names = ", ".join(COLUMNS)
    for number, *series in list(connection.execute("SELECT id, target, location, profile FROM series")):
        if numbers and number not in numbers:
            continue
        key: Key = (series[0], series[1], series[2])
        first, last = number << SHIFT, (number + 1) << SHIFT
        rows = connection.execute(
            f"SELECT (id & {MASK}) * {DAY_MS}, {names} FROM daily WHERE id >= ? AND id < ?",
            (first + since // DAY_MS, last),
        )
        days: Accumulators = {(key, at): Accumulator.from_row("day", at, tuple(values)) for at, *values in rows}
        write_rollups(connection, "block", to_coarser_step("block", days), {key: number})


@dataclass(frozen=True, slots=True)
class _Raw:
    """Where the raw rows of a series are."""

    row: type[Probe] | type[Request]
    table: Table
    condition: str
    bindings: tuple[str, ...]


def _raw(series: Key) -> _Raw:
    if series[2] == TRAFFIC:
        return _Raw(Request, REQUESTS, "target = ? AND location = ?", series[:2])
    return _Raw(Probe, PROBES, _SAME, series)


def raw_rows(connection: apsw.Connection, series: Key, since: int, until: int = 2**62) -> Iterator[Probe | Request]:
    """The raw rows of a series in a range, in the order of time."""
    raw = _raw(series)
    rows = connection.execute(
        f"SELECT {', '.join(raw.table.names)} FROM {raw.table.name} WHERE {raw.condition} AND started_at >= ?"
        " AND started_at < ? ORDER BY started_at",
        (*raw.bindings, since, until),
    )
    return (raw.row(*values) for values in rows)


def insert_incident(connection: apsw.Connection, row: tuple[Any, ...]) -> int:
    """Add an incident whose raw probes are pruned; returns whether it was new."""
    before = connection.total_changes()
    connection.execute(f"INSERT OR IGNORE INTO incidents {_INCIDENT}", row)
    return connection.total_changes() - before


def rebuild_incidents(connection: apsw.Connection, series: Key, kept_since: int) -> None:
    """Find the incidents of a series that began among its raw probes; one that began before them keeps its row."""
    rows = connection.execute(
        f"SELECT started_at, outcome, error FROM probes WHERE {_SAME} AND started_at >= ? ORDER BY started_at",
        (*series, kept_since),
    )
    connection.execute(f"DELETE FROM incidents WHERE {_SAME} AND began_at >= ?", (*series, kept_since))
    known = connection.execute(f"SELECT max(coalesce(ended_at, {2**62})) FROM incidents WHERE {_SAME}", series).get
    connection.executemany(
        f"INSERT OR IGNORE INTO incidents {_INCIDENT}",
        [
            INCIDENTS.values(incident)
            for incident in find_incidents(series, (Event(*row[:3]) for row in rows))
            if known is None or incident.began_at >= known
        ],
    )


# -- reading


def rollups_sql(
    step: Step, selection: Selection, columns: tuple[str | None, ...], *, newest_first: bool = False, clauses: str = ""
) -> tuple[str, list[Any]]:
    """The query of `Store.rollups`, and its bindings. The values for `clauses` are bound after these."""
    table = TABLE[step]
    first = -(-selection.since // STEP_MS[step]) if selection.since is not None else 0
    last = -(-selection.until // STEP_MS[step]) if selection.until is not None else MASK
    bindings: list[Any] = [max(0, first), min(MASK, max(0, last))]
    wanted = [clauses] if clauses else []
    if selection.targets:
        wanted.insert(0, f"target IN ({', '.join('?' * len(selection.targets))})")
        bindings += selection.targets
    where = f" WHERE {' AND '.join(wanted)}" if wanted else ""
    names = "".join(f", {table}.{name}" if name else ", NULL" for name in columns)
    order = "at DESC, target DESC, location DESC, profile DESC"
    if not newest_first:
        order = f"target, location, profile, {table}.id"
    return (
        f"SELECT target, location, profile, ({table}.id & {MASK}) * {STEP_MS[step]} AS at{names} FROM series"
        f" JOIN {table} ON {table}.id >= (series.id << {SHIFT}) + ? AND {table}.id < (series.id << {SHIFT}) + ?"
        f"{where} ORDER BY {order}",
        bindings,
    )
