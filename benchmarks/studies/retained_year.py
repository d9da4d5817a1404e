"""A year as retention leaves it: the roll-ups and incidents of the year, and raw probes only of its end.

    python -m benchmarks.studies.year sqlite:///data/retained.db --days 36
    python -m benchmarks.studies.retained_year sqlite:///data/retained.db

The newest 16 days are copied before themselves until there is a year. That takes a minute, where a year of raw probes
takes half an hour, and costs the same to every request that reads no old raw probes.
"""

from __future__ import annotations

import sys
import time

import apsw

from store import open_store
from store.rollups import BLOCK_MS, STEP_MS, Step
from store.sqlite_derived import MASK, TABLE, rebuild_blocks
from store.url import parse_store_url

BLOCKS = 22
"""Of 16 days: with those that are there, more than a year."""


def extend(connection: apsw.Connection, since: int) -> None:
    """Copy the 16 days from `since` (milliseconds UTC, where a block begins) to each of the blocks before it."""
    for step in ("hour", "day"):
        _copy_rollups(connection, step, since)
    connection.execute("DELETE FROM incidents WHERE began_at < ?", (since,))
    columns = [row[1] for row in connection.execute("PRAGMA table_info(incidents)")]
    shifted = ", ".join(f"{name} - ?1" if name in ("began_at", "ended_at") else name for name in columns)
    sql = f"INSERT INTO incidents SELECT {shifted} FROM incidents WHERE began_at >= ?2 AND ended_at < ?3"  # nosec B608
    for number in range(1, BLOCKS + 1):
        connection.execute(sql, (number * BLOCK_MS, since, since + BLOCK_MS))
    connection.execute("UPDATE series SET first_at = first_at - ?", (BLOCKS * BLOCK_MS,))
    connection.execute("DELETE FROM probes WHERE started_at < ?", (since,))
    connection.execute("UPDATE upkeep SET kept_since = ?", (since,))
    connection.execute("DELETE FROM blocks")
    rebuild_blocks(connection)


def _copy_rollups(connection: apsw.Connection, step: Step, since: int) -> None:
    table, first, count = TABLE[step], since // STEP_MS[step], BLOCK_MS // STEP_MS[step]
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")][1:]
    connection.execute(f"DELETE FROM {table} WHERE id & ? < ?", (MASK, first))  # nosec B608
    listed = ", ".join(columns)
    sql = (
        f"INSERT INTO {table} (id, {listed}) SELECT id - ?, {listed} FROM {table} "  # nosec B608
        "WHERE id & ? BETWEEN ? AND ?"
    )
    for number in range(1, BLOCKS + 1):
        connection.execute(sql, (number * count, MASK, first, first + count - 1))


def main(url: str) -> None:
    """Extend a SQLite store that `benchmarks.studies.year` filled with at least 32 days."""
    open_store(url).close()  # migrates it
    path = parse_store_url(url).file
    assert path is not None, "this works with SQLite only"
    began, now = time.perf_counter(), time.time_ns() // 1_000_000
    since = now - now % BLOCK_MS - BLOCK_MS
    connection = apsw.Connection(str(path))
    with connection:
        extend(connection, since)
    connection.close()
    print(f"{BLOCKS} blocks of 16 days were put before the probes, in {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1])
