"""Old rows of `runs`, merged by hour: a loop with a tick every 5 s would keep 331 MB a year of them.

Of each collector, location and hour one row stays of the runs that went well, and one of those with an error, so that
counting and adding up give the same as before. `started_at` is the first one's, `ended_at` so much later as they took
on average, `error` the last one's.
"""

from __future__ import annotations

from typing import Any

import apsw

from store.clock import DAY_MS, HOUR_MS
from store.schema import RUNS

HOURS_AT_ONCE = 4
"""Of up to 720 runs each: some 20 ms in one transaction."""
_SAME = "collector = ? AND location = ? AND started_at >= ? AND started_at < ? AND (error IS NULL) = ?"


def roll_up_runs(connection: apsw.Connection, before: int) -> int:
    """Merge some of the runs of the hours that ended by `before`; returns how many rows went."""
    boundary = before - before % HOUR_MS
    gone = 0
    for collector in _collectors(connection):
        for location, hour, went_well in _groups(connection, collector, boundary):
            gone += _merge(connection, (collector, location, hour * HOUR_MS, (hour + 1) * HOUR_MS, went_well))
        if gone:
            break
    return gone


def skip_merged(connection: apsw.Connection, values: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The rows of an import without those that a merged row stands for already."""
    places = {name: RUNS.names.index(name) for name in RUNS.names}
    merged = f"SELECT 1 FROM runs WHERE {_SAME} AND runs > 1 AND started_at < ?"
    wanted = []
    for row in values:
        at = row[places["started_at"]]
        hour = at - at % HOUR_MS
        key = (row[places["collector"]], row[places["location"]], hour, hour + HOUR_MS, row[places["error"]] is None)
        if row[places["runs"]] is not None or connection.execute(merged, (*key, at)).get is None:
            wanted.append(row)
    return wanted


def _collectors(connection: apsw.Connection) -> list[str]:
    """A seek each, where DISTINCT would read all rows."""
    found: list[str] = []
    while name := connection.execute("SELECT min(collector) FROM runs WHERE collector > ?", (found[-1:] or [""])).get:
        found.append(name)
    return found


def _groups(connection: apsw.Connection, collector: str, boundary: int) -> list[tuple[str, int, bool]]:
    """Some hours with several rows, of the first day that has any: a look at all days at once would sort all rows."""
    first = "SELECT min(started_at) FROM runs WHERE collector = ? AND started_at >= ? AND started_at < ?"
    sql = (
        f"SELECT location, started_at / {HOUR_MS} AS hour, error IS NULL AS went_well FROM runs"
        " WHERE collector = ? AND started_at >= ? AND started_at < ?"
        " GROUP BY location, hour, went_well HAVING count(*) > 1 LIMIT ?"
    )
    day = 0
    while (at := connection.execute(first, (collector, day, boundary)).get) is not None:
        since = at - at % DAY_MS
        day = since + DAY_MS
        found: list[Any] = connection.execute(sql, (collector, since, min(day, boundary), HOURS_AT_ONCE)).fetchall()
        if found:
            return [(location, int(hour), bool(went_well)) for location, hour, went_well in found]
    return []


def _merge(connection: apsw.Connection, group: tuple[str, str, int, int, bool]) -> int:
    rows = connection.execute(
        "SELECT min(started_at), sum(coalesce(runs, 1)), sum(rows), sum(skipped),"
        " sum(max(0, ended_at - started_at) * coalesce(runs, 1)), count(*)"
        f" FROM runs WHERE {_SAME}",
        group,
    ).fetchone()
    assert rows is not None
    first, runs, brought, skipped, took_ms, count = rows
    error = connection.execute(f"SELECT error FROM runs WHERE {_SAME} ORDER BY started_at DESC LIMIT 1", group).get
    connection.execute(f"DELETE FROM runs WHERE {_SAME}", group)
    collector, location = group[:2]
    values = (collector, first, location, first + took_ms // runs, brought, skipped, error, runs)
    connection.execute(f"INSERT INTO runs ({', '.join(RUNS.names)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
    return int(count) - 1
