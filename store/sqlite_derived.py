"""What SQLite derives from raw probes, in the transaction that writes them: series, roll-ups and incidents.

A roll-up's `id` is its series' id and the number of its hour, day or block since 1970, so that the rows of a series
lie side by side in the order of time. Pruned probes stay in the roll-ups; so that none is counted twice, a probe from
before `kept_since` that comes again is skipped. The newest probe of a series is never pruned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby, starmap
from typing import Any

import apsw

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
from store.schema import INCIDENTS, PROBES, TABLES, Probe, Table

SHIFT = 24
"""Bits of an id that number the hour, day or block: enough until the year 3883."""
MASK = (1 << SHIFT) - 1
TABLE: dict[Step, str] = {"hour": "hourly", "day": "daily", "block": "blocks"}
AT_ONCE = 2_000
"""Probes that are forgotten in one transaction: some 20 ms."""
Key = tuple[str, str, str]
_SAME = "target = ? AND location = ? AND profile = ?"
_INCIDENT = f"({', '.join(INCIDENTS.names)}) VALUES ({', '.join('?' * len(INCIDENTS.names))})"


def insert_probes(connection: apsw.Connection, values: list[tuple[Any, ...]]) -> int:
    """Add the probes that are not there yet, and update what is derived from them; returns how many were new."""
    since = kept_since(connection)
    marks = ", ".join("?" * len(PROBES.columns))
    names = ", ".join(PROBES.names)
    wanted = [row for row in values if row[1] >= since] if since else values
    sql = f"INSERT OR IGNORE INTO probes ({names}) VALUES ({marks}) RETURNING {names}"
    cursor = connection.executemany(sql, wanted)
    new = [Probe(*row) for row in cursor]
    if new:
        ids = _update_series(connection, new)
        _update_rollups(connection, new, {series: row[0] for series, row in ids.items()})
        _update_incidents(connection, new, ids)
    return len(new)


def _key(probe: Probe) -> Key:
    return probe.target, probe.location, probe.profile


def _update_series(connection: apsw.Connection, new: list[Probe]) -> dict[Key, tuple[int, int, int]]:
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


def _update_rollups(connection: apsw.Connection, new: Iterable[Probe], ids: dict[Key, int]) -> None:
    for step, totals in accumulate_by_step(new).items():
        _write_rollups(connection, step, totals, ids)


def _write_rollups(connection: apsw.Connection, step: Step, totals: Accumulators, ids: dict[Key, int]) -> None:
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
            _replace_incidents(connection, series, first, last)


def _replace_incidents(connection: apsw.Connection, series: Key, first: int, last: int) -> None:
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


def prune(connection: apsw.Connection, before: int) -> int:
    """Delete some of the rows from before the day that `before` lies in; returns how many went."""
    boundary = before - before % DAY_MS
    connection.execute("UPDATE upkeep SET kept_since = max(kept_since, ?)", (boundary,))
    pruned = 0
    for (target,) in list(connection.execute("SELECT DISTINCT target FROM series")):
        pruned += _delete(
            connection, "probes", "target, started_at, location, profile", target, boundary, AT_ONCE - pruned
        )
        if pruned >= AT_ONCE:
            return pruned
    for (model,) in list(connection.execute("SELECT DISTINCT model FROM endpoint_stats")):
        pruned += _delete(
            connection, "endpoint_stats", "model, seen_at, tag, source", model, boundary, AT_ONCE - pruned
        )
    return pruned


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
    """Derive roll-ups and incidents again from the raw probes; those of days whose raw probes are pruned stay."""
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
    rows = connection.execute(
        f"SELECT {', '.join(PROBES.names)} FROM probes WHERE {_SAME} AND started_at >= ? ORDER BY started_at",
        (*series, kept_since),
    )
    count = 0
    for _, day in groupby(_probes(rows), key=lambda probe: probe.started_at // DAY_MS):
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
        rows = connection.execute(
            f"SELECT {', '.join(PROBES.names)} FROM probes WHERE {_SAME} AND started_at >= ?", (*series, began)
        )
        _write_rollups(connection, step, accumulate_by_step(_probes(list(rows)))[step], {series: number})


def _end_series(connection: apsw.Connection, number: int, series: Key, moment: int) -> None:
    up = ", ".join(f"'{outcome}'" for outcome in sorted(UP))
    connection.execute(f"DELETE FROM incidents WHERE {_SAME} AND began_at >= ?", (*series, moment))
    connection.execute("DELETE FROM series WHERE id = ? AND first_at >= ?", (number, moment))
    connection.execute(
        "UPDATE series SET failing = 0,"
        f" last_at = coalesce((SELECT max(started_at) FROM probes WHERE {_SAME}), first_at) WHERE id = ?",
        (*series, number),
    )
    # without a success among the raw probes the beginning of an incident is unknown: it stays as it was
    if connection.execute(f"SELECT 1 FROM probes WHERE {_SAME} AND outcome IN ({up}) LIMIT 1", series).fetchone():
        _replace_incidents(connection, series, moment, moment)


def rebuild_blocks(connection: apsw.Connection, since: int = 0) -> None:
    """Add up the blocks from the days that are there, from the block that began at `since` on."""
    names = ", ".join(COLUMNS)
    for number, *series in list(connection.execute("SELECT id, target, location, profile FROM series")):
        key: Key = (series[0], series[1], series[2])
        first, last = number << SHIFT, (number + 1) << SHIFT
        rows = connection.execute(
            f"SELECT (id & {MASK}) * {DAY_MS}, {names} FROM daily WHERE id >= ? AND id < ?",
            (first + since // DAY_MS, last),
        )
        days: Accumulators = {(key, at): Accumulator.from_row("day", at, tuple(values)) for at, *values in rows}
        _write_rollups(connection, "block", to_coarser_step("block", days), {key: number})


def _probes(rows: Iterable[tuple[Any, ...]]) -> Iterator[Probe]:
    return (Probe(*row) for row in rows)


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
