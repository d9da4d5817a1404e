"""What ClickHouse prunes, removes and rebuilds."""

from __future__ import annotations

from store.batches import KeyRange, Values
from store.check_spending import CHECKS
from store.clickhouse_database import Database
from store.clickhouse_queries import count, select
from store.clickhouse_schema import (
    FIRST,
    NEWEST,
    ROLLUP_COLUMNS,
    ROLLUPS,
    SERIES,
    blocks_query,
    first_query,
    newest_query,
    observations,
    rollup_query,
)
from store.clock import DAY_MS
from store.horizon import as_of
from store.protocol import ALL, Selection
from store.rollups import BLOCK_MS, STEP_MS, Step
from store.schema import OBSERVED, PROBES, TABLES, Table


def kept_since(database: Database) -> int:
    [(moment,)] = database.rows(f"SELECT max(kept_since) FROM {database.name('upkeep')}")
    return int(moment or 0)


def prune(database: Database, before: int, checks_before: int | None) -> int:
    """With `retention_days` in its URL the server prunes by itself, too."""
    boundary = before - before % DAY_MS
    if boundary > kept_since(database):
        database.command(f"INSERT INTO {database.name('upkeep')} VALUES ({boundary})")
    # a series lies on one shard with its newest probe, which is never pruned
    newest = f"SELECT target, location, profile, started_at FROM {database.layout.local(NEWEST)} FINAL"
    old = f"started_at < {{before:Int64}} AND (target, location, profile, started_at) NOT IN ({newest})"
    pruned = 0
    attempts, reports = "started_at < {before:Int64}", "seen_at < {before:Int64}"
    for name, condition in (("probes", old), ("requests", attempts), ("endpoint_stats", reports)):
        pruned += _prune_rows(database, name, condition, boundary)
    if checks_before is not None:
        for table in CHECKS:
            pruned += _prune_rows(database, table.name, attempts, checks_before - checks_before % DAY_MS)
    return pruned


def _prune_rows(database: Database, name: str, condition: str, before: int) -> int:
    [(rows,)] = database.rows(f"SELECT count() FROM {database.name(name)} WHERE {condition}", {"before": before})
    if rows:
        database.delete(name, condition, before=before)
    return int(rows)


def remove_from(database: Database, moment: int, now: int) -> int:
    """Tables one after the other: after an error, the next call goes on."""
    pruned_until, midnight, removed = kept_since(database), now - now % DAY_MS, 0
    if pruned_until > midnight:
        database.command(f"INSERT INTO {database.name('upkeep')} VALUES ({midnight})")
        database.delete("upkeep", "kept_since > {midnight:Int64}", midnight=midnight)
    rest_of_day = Selection(moment, moment - moment % DAY_MS + DAY_MS)
    is_partial = moment % DAY_MS != 0 and any(count_rows(database, table, rest_of_day) for table in OBSERVED)
    for table in TABLES.values():
        if not table.is_derived:
            removed += _remove_rows(database, table, moment, now)
    for step, name in ROLLUPS.items():
        began = moment - moment % STEP_MS[step]
        first = began if step == "block" or (is_partial and began >= pruned_until) else moment
        database.delete(name, "at >= {first:Int64}", first=first)
        if first < moment:
            _fill(database, step, began)
    database.delete(NEWEST, "started_at >= {moment:Int64}", moment=moment)
    database.delete(FIRST, "first_at >= {moment:Int64}", moment=moment)
    _fill_newest(database)
    return removed


def _remove_rows(database: Database, table: Table, moment: int, now: int) -> int:
    """Removes what is keyed by its moment; a row of what is so now stays, as of now."""
    late = Selection(since=moment)
    if not table.is_dated:
        place = table.names.index(table.time)
        rows = _read(database, table, late)
        database.insert(table, [(*row[:place], now, *row[place + 1 :]) for row in rows])
        return 0
    removed = count_rows(database, table, late)
    if removed:
        database.delete(table.name, f"{table.time} >= {{moment:Int64}}", moment=moment)
    if table.on_conflict == "version":
        length = len(table.key)
        rows = _read(database, table, ALL)
        reopened = ((row, as_of(row, length, moment)) for row in rows)
        database.insert(table, [after for before, after in reopened if after != before])
    return removed


def rebuild(database: Database) -> int:
    """Incidents are derived from the probes at every read."""
    since = kept_since(database)
    for step, name in ROLLUPS.items():
        began = since - since % BLOCK_MS if step == "block" else since
        database.delete(name, "at >= {began:Int64}", began=began)
        _fill(database, step, began)
    _fill_newest(database)
    query = first_query(database.name(PROBES.name))
    database.command(f"INSERT INTO {database.name(FIRST)} ({', '.join(SERIES)}, first_at) {query}")
    return sum(count_rows(database, table, Selection(since=since)) for table in OBSERVED)


def count_rows(database: Database, table: Table, selection: Selection) -> int:
    """How many rows of a table that is written there are."""
    [(rows,)] = database.rows(*count(table, database.name(table.name), selection))
    return int(rows)


def _read(database: Database, table: Table, selection: Selection) -> list[Values]:
    order = ", ".join(table.key)
    return list(
        database.rows(*select(table, database.name(table.name), selection, table.names, KeyRange(), order, None))
    )


def _fill(database: Database, step: Step, since: int) -> None:
    """Add up what a roll-up's table lacks from `since` on: blocks from days, whose raw rows may be pruned."""
    if step == "block":
        queries = [blocks_query(database.name("daily"), since)]
    else:
        sources = [observations(table, database.name(table.name)) for table in OBSERVED]
        queries = [rollup_query(source, step, f" AND started_at >= {since}") for source in sources]
    for query in queries:
        database.command(f"INSERT INTO {database.name(ROLLUPS[step])} ({', '.join(ROLLUP_COLUMNS)}) {query}")


def _fill_newest(database: Database) -> None:
    query = newest_query(database.name(PROBES.name))
    database.command(f"INSERT INTO {database.name(NEWEST)} ({', '.join(PROBES.names)}) {query}")
