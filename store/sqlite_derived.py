"""What SQLite keeps beside the raw probes and the relay's attempts, in the transaction that brings them: series,
roll-ups and, of probes, incidents.

A roll-up's `id` is its series' id and the number of its hour, day or block since 1970, so that the rows of a series
lie side by side in the order of time. What is forgotten of the raw probes stays in the roll-ups; so that it is not
counted twice, a probe from before `kept_since` that comes again is left out. The newest probe of a series is never
forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import apsw

from store.clock import DAY_MS
from store.incidents import stretches
from store.protocol import Selection
from store.rollups import BLOCK_MS, COLUMNS, STEP_MS, Accumulator, Step, Sums, coarser, sums_of
from store.schema import DOWN, INCIDENTS, PROBES, REQUESTS, TABLES, TRAFFIC, UP, Probe, Request, Table

SHIFT = 24
"""Bits of an id that number the hour, day or block: enough until the year 3883."""
MASK = (1 << SHIFT) - 1
TABLE: dict[Step, str] = {"hour": "hourly", "day": "daily", "block": "blocks"}
AT_ONCE = 2_000
"""Probes that are forgotten in one transaction: some 20 ms."""
Key = tuple[str, str, str]
_SAME = "target = ? AND location = ? AND profile = ?"
_INCIDENT = f"({', '.join(INCIDENTS.names)}) VALUES ({', '.join('?' * len(INCIDENTS.names))})"


def keep_observed(connection: apsw.Connection, table: Table, values: list[tuple[Any, ...]]) -> int:
    """Add the probes, or attempts, that are not there yet, and what follows from them; returns how many were new."""
    since = kept_since(connection)
    marks = ", ".join("?" * len(table.columns))
    names = ", ".join(table.names)
    wanted = [row for row in values if row[1] >= since] if since else values
    sql = f"INSERT OR IGNORE INTO {table.name} ({names}) VALUES ({marks}) RETURNING {names}"
    if table is REQUESTS:
        attempts = [Request(*row) for row in connection.executemany(sql, wanted)]
        _note_rollups(connection, attempts, {key: row[0] for key, row in _note_series(connection, attempts).items()})
        return len(attempts)
    probes = [Probe(*row) for row in connection.executemany(sql, wanted)]
    ids = _note_series(connection, probes)
    _note_rollups(connection, probes, {series: row[0] for series, row in ids.items()})
    _note_incidents(connection, probes, ids)
    return len(probes)


def _key(probe: Probe | Request) -> Key:
    return probe.target, probe.location, probe.profile


def _note_series(connection: apsw.Connection, new: Sequence[Probe | Request]) -> dict[Key, tuple[int, int, int]]:
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


def _note_rollups(connection: apsw.Connection, new: Iterable[Probe | Request], ids: dict[Key, int]) -> None:
    for step, sums in sums_of(new).items():
        _add(connection, step, sums, ids)


def _add(connection: apsw.Connection, step: Step, sums: Sums, ids: dict[Key, int]) -> None:
    table = TABLE[step]
    read = f"SELECT {', '.join(COLUMNS)} FROM {table} WHERE id = ?"
    rows = []
    for (series, at), found in sums.items():
        number = (ids[series] << SHIFT) + at // STEP_MS[step]
        rows.append((number, *found.onto(connection.execute(read, (number,)).fetchone())))
    connection.executemany(put_rollup_sql(table), rows)


def put_rollup_sql(table: str) -> str:
    """Writes a row of roll-ups: its id, and `COLUMNS`. Columns have another order in a store of an older schema."""
    return f"INSERT OR REPLACE INTO {table} (id, {', '.join(COLUMNS)}) VALUES (?{', ?' * len(COLUMNS)})"


# -- incidents


def _note_incidents(connection: apsw.Connection, new: list[Probe], before: dict[Key, tuple[int, int, int]]) -> None:
    """Tell the incidents anew around what came, where a failure has to do with it."""
    for series, probes in groupby(sorted(new, key=_key), key=_key):
        mine = list(probes)
        _, last_at, failing = before[series]
        first, last = min(p.started_at for p in mine), max(p.started_at for p in mine)
        if failing or first <= last_at or any(p.outcome in DOWN for p in mine):
            _tell_incidents(connection, series, first, last)


def _tell_incidents(connection: apsw.Connection, series: Key, first: int, last: int) -> None:
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
        [(*series, s.began_at, s.ended_at, s.cause, s.probes, s.error) for s in stretches(listed)],
    )
    if ended is None:
        decided = [outcome for _, outcome, _ in listed if outcome in UP or outcome in DOWN]
        failing = bool(decided) and decided[-1] in DOWN
        connection.execute(f"UPDATE series SET failing = ? WHERE {_SAME}", (failing, *series))


# -- forgetting, and making anew


def kept_since(connection: apsw.Connection) -> int:
    """See `Upkeep.kept_since`."""
    return int(connection.execute("SELECT kept_since FROM upkeep").get)


def forget(connection: apsw.Connection, before: int) -> int:
    """Forget some of what is older than the day that `before` lies in; returns how many rows went."""
    boundary = before - before % DAY_MS
    connection.execute("UPDATE upkeep SET kept_since = max(kept_since, ?)", (boundary,))
    gone = 0
    for (target,) in list(connection.execute("SELECT DISTINCT target FROM series")):
        for table, key in _FORGOTTEN.items():
            gone += _delete(connection, table, key, target, boundary, AT_ONCE - gone)
            if gone >= AT_ONCE:
                return gone
    for (model,) in list(connection.execute("SELECT DISTINCT model FROM endpoint_stats")):
        gone += _delete(connection, "endpoint_stats", "model, seen_at, tag, source", model, boundary, AT_ONCE - gone)
    return gone


_FORGOTTEN = {table.name: ", ".join(table.key) for table in (PROBES, REQUESTS)}
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
    """Roll-ups and incidents anew from raw probes and attempts; those of days whose raw rows are forgotten stay."""
    since = kept_since(connection)
    for step, table in TABLE.items():
        connection.execute(f"DELETE FROM {table} WHERE id & ? >= ?", (MASK, since // STEP_MS[step]))
    fold(connection, since - since % BLOCK_MS)  # what is left of that block is of days that are forgotten
    count = 0
    for number, *series in list(connection.execute("SELECT id, target, location, profile FROM series")):
        key: Key = (series[0], series[1], series[2])
        count += _rebuild_series(connection, number, key, since)
    return count


def _rebuild_series(connection: apsw.Connection, number: int, series: Key, kept_since: int) -> int:
    count = 0
    observed = _observed(connection, series, kept_since)
    for _, day in groupby(observed, key=lambda probe: probe.started_at // DAY_MS):
        probes = list(day)
        count += len(probes)
        _note_rollups(connection, probes, {series: number})
    retell_incidents(connection, series, kept_since)
    return count


def remove_from(connection: apsw.Connection, moment: int, now: int) -> int:
    """See `Upkeep.remove_from`."""
    pruned_until = kept_since(connection)
    connection.execute("UPDATE upkeep SET kept_since = min(kept_since, ?)", (now - now % DAY_MS,))
    touched = [
        (row[0], (row[1], row[2], row[3]))
        for row in connection.execute("SELECT id, target, location, profile FROM series WHERE last_at >= ?", (moment,))
    ]
    gone = 0
    for table in TABLES.values():
        if not table.is_derived:
            gone += _remove_rows(connection, table, moment, now)
    for step, name in TABLE.items():
        first = -(-moment // STEP_MS[step])
        connection.execute(f"DELETE FROM {name} WHERE id & ? >= ?", (MASK, first))
    for number, key in touched:
        _remake_parts(connection, number, key, moment, pruned_until)
        _end_series(connection, number, key, moment)
    block = moment - moment % BLOCK_MS
    connection.execute("DELETE FROM blocks WHERE id & ? >= ?", (MASK, block // BLOCK_MS))
    fold(connection, block)
    return gone


def _remove_rows(connection: apsw.Connection, table: Table, moment: int, now: int) -> int:
    """What is keyed by its moment goes; a row of what is so now stays, as of now."""
    before = connection.total_changes()
    if not table.is_dated:
        connection.execute(f"UPDATE {table.name} SET {table.time} = ?1 WHERE {table.time} >= ?2", (now, moment))
        return 0
    connection.execute(f"DELETE FROM {table.name} WHERE {table.time} >= ?", (moment,))
    gone = connection.total_changes() - before
    if table.on_conflict == "version":
        connection.execute(f"UPDATE {table.name} SET valid_to = NULL WHERE valid_to >= ?", (moment,))
    return gone


def _remake_parts(connection: apsw.Connection, number: int, series: Key, moment: int, pruned_until: int) -> None:
    """The hour and the day that `moment` lies in, anew from what is left of their raw probes, when all were there."""
    steps: tuple[Step, ...] = ("hour", "day")
    for step in steps:
        began = moment - moment % STEP_MS[step]
        if began < pruned_until or began == moment:
            continue
        connection.execute(f"DELETE FROM {TABLE[step]} WHERE id = ?", ((number << SHIFT) + began // STEP_MS[step],))
        _add(connection, step, sums_of(list(_observed(connection, series, began)))[step], {series: number})


def _end_series(connection: apsw.Connection, number: int, series: Key, moment: int) -> None:
    up = ", ".join(f"'{outcome}'" for outcome in sorted(UP))
    connection.execute(f"DELETE FROM incidents WHERE {_SAME} AND began_at >= ?", (*series, moment))
    connection.execute("DELETE FROM series WHERE id = ? AND first_at >= ?", (number, moment))
    _, table, same, bindings = _raw(series)
    connection.execute(
        "UPDATE series SET failing = 0,"
        f" last_at = coalesce((SELECT max(started_at) FROM {table.name} WHERE {same}), first_at) WHERE id = ?",
        (*bindings, number),
    )
    # without a success among the raw probes nothing tells where an incident began: it stays as it was told
    if connection.execute(f"SELECT 1 FROM probes WHERE {_SAME} AND outcome IN ({up}) LIMIT 1", series).fetchone():
        _tell_incidents(connection, series, moment, moment)


def fold(connection: apsw.Connection, since: int = 0) -> None:
    """Make the blocks from the days that are there, since one that began at `since`."""
    names = ", ".join(COLUMNS)
    for number, *series in list(connection.execute("SELECT id, target, location, profile FROM series")):
        key: Key = (series[0], series[1], series[2])
        first, last = number << SHIFT, (number + 1) << SHIFT
        rows = connection.execute(
            f"SELECT (id & {MASK}) * {DAY_MS}, {names} FROM daily WHERE id >= ? AND id < ?",
            (first + since // DAY_MS, last),
        )
        days: Sums = {(key, at): Accumulator.kept("day", at, tuple(values)) for at, *values in rows}
        _add(connection, "block", coarser("block", days), {key: number})


def _raw(series: Key) -> tuple[type[Probe] | type[Request], Table, str, tuple[str, ...]]:
    """Where the raw rows of a series are: their class, their table, and the condition that chooses them."""
    if series[2] == TRAFFIC:
        return Request, REQUESTS, "target = ? AND location = ?", series[:2]
    return Probe, PROBES, _SAME, series


def _observed(connection: apsw.Connection, series: Key, since: int) -> Iterator[Probe | Request]:
    """The raw rows of a series since then, in the order of time."""
    row, table, same, bindings = _raw(series)
    rows = connection.execute(
        f"SELECT {', '.join(table.names)} FROM {table.name} WHERE {same} AND started_at >= ? ORDER BY started_at",
        (*bindings, since),
    )
    return (row(*values) for values in rows)


def keep_incident(connection: apsw.Connection, row: tuple[Any, ...]) -> int:
    """Add an incident whose raw probes are forgotten; returns whether it was new."""
    before = connection.total_changes()
    connection.execute(f"INSERT OR IGNORE INTO incidents {_INCIDENT}", row)
    return connection.total_changes() - before


def retell_incidents(connection: apsw.Connection, series: Key, kept_since: int) -> None:
    """All incidents of a series that began among its raw probes; one that began before them keeps its row."""
    rows = connection.execute(
        f"SELECT started_at, outcome, error FROM probes WHERE {_SAME} AND started_at >= ? ORDER BY started_at",
        (*series, kept_since),
    )
    connection.execute(f"DELETE FROM incidents WHERE {_SAME} AND began_at >= ?", (*series, kept_since))
    known = connection.execute(f"SELECT max(coalesce(ended_at, {2**62})) FROM incidents WHERE {_SAME}", series).get
    connection.executemany(
        f"INSERT OR IGNORE INTO incidents {_INCIDENT}",
        [
            (*series, s.began_at, s.ended_at, s.cause, s.probes, s.error)
            for s in stretches(map(itemgetter(0, 1, 2), rows))
            if known is None or s.began_at >= known
        ],
    )


# -- reading


def rollups_sql(
    step: Step, selection: Selection, columns: tuple[str | None, ...], *, newest_first: bool = False, clauses: str = ""
) -> tuple[str, list[Any]]:
    """The query of `Store.rollups`, and its bindings. The values that `clauses` ask for are bound after these."""
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
