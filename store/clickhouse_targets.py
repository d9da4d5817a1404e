"""What a person changes of a target's history in ClickHouse: ranges that are excluded, a new name, and its removal.

The engine knows no transaction over tables. Every step may be repeated: after an error, the next call continues.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from store.batches import KeyRange, Values
from store.clickhouse_database import Database
from store.clickhouse_queries import select
from store.clickhouse_schema import FIRST, NEWEST, ROLLUP_COLUMNS, ROLLUPS, blocks_query, observations, rollup_query
from store.clock import DAY_MS, now_ms
from store.exclusions import Span, refuse_pruned, spans_to_restore
from store.outcomes import PAUSED
from store.protocol import Selection
from store.rollups import BLOCK_MS, LAST_MS
from store.schema import EXCLUSIONS, OBSERVED, PROBES, TABLES, TRAFFIC, Exclusion, Table

_SET = {
    True: (
        f"measured_outcome = toString(outcome), outcome = '{PAUSED}'",
        f"isNull(measured_outcome) AND outcome != '{PAUSED}'",
    ),
    False: ("outcome = assumeNotNull(measured_outcome), measured_outcome = NULL", "isNotNull(measured_outcome)"),
}
_SPAN = "target = {target:String} AND started_at >= {since:Int64} AND started_at < {until:Int64}"


def pruned_before(database: Database, kept_since: int) -> int:
    """Before this moment (milliseconds UTC) raw probes may be missing: the server prunes by itself, too."""
    days = database.layout.retention_days
    if days is None:
        return kept_since
    kept_by_server = now_ms() - (days - 1) * DAY_MS
    return max(kept_since, kept_by_server + -kept_by_server % DAY_MS)


# -- exclusions


def standing(database: Database, ended_after: int = 0) -> list[Exclusion]:
    """The exclusions that are not undone."""
    sql = (
        f"SELECT {', '.join(EXCLUSIONS.names)} FROM {database.name('exclusions')} FINAL"
        " WHERE isNull(undone_at) AND ends_at > {after:Int64}"
    )
    return [Exclusion(*row) for row in database.rows(sql, {"after": ended_after})]


def exclude(database: Database, exclusions: Sequence[Exclusion], since: int) -> int:
    """See `Store.exclude`. `since`: raw probes from before may be pruned (milliseconds UTC)."""
    refuse_pruned(exclusions, since)
    database.insert(EXCLUSIONS, [EXCLUSIONS.values(each) for each in exclusions])
    made = [Span(each.target, each.began_at, each.ends_at) for each in exclusions if each.undone_at is None]
    undone = [each for each in exclusions if each.undone_at is not None]
    restored = spans_to_restore(undone, standing(database))
    changed = sum(_apply(database, span, is_excluded=True) for span in made)
    return changed + sum(_apply(database, span, is_excluded=False) for span in restored)


def _apply(database: Database, span: Span, *, is_excluded: bool) -> int:
    """Change the probes of a span, and derive again what lies in its days, also when an earlier call changed them and
    came no further; returns how many changed. Incidents are derived at every read.
    """
    assignment, condition = _SET[is_excluded]
    where = f"{_SPAN} AND {condition}"
    values = {"target": span.target, "since": span.since, "until": span.until}
    [(count,)] = database.rows(f"SELECT count() FROM {database.name(PROBES.name)} WHERE {where}", values)
    for name in (PROBES.name, NEWEST):
        _update(database, name, assignment, where, values)
    since, until = span.since - span.since % DAY_MS, span.until + -span.until % DAY_MS
    only = f" AND profile != '{TRAFFIC}'"
    _derive_days(database, span.target, since, until, only)
    _derive_blocks(database, span.target, since - since % BLOCK_MS, until + -until % BLOCK_MS, only)
    return int(count)


def _update(database: Database, name: str, assignment: str, where: str, values: dict[str, Any]) -> None:
    layout = database.layout
    database.command(
        f"ALTER TABLE {layout.local(name)}{layout.on_cluster} UPDATE {assignment} WHERE {where}"
        " SETTINGS mutations_sync = 2",
        **values,
    )


def _derive_days(database: Database, target: str, since: int, until: int, only: str = "") -> None:
    """Add up a target's roll-ups of whole days again from its raw rows."""
    tables = [PROBES] if only else list(OBSERVED)
    values = {"target": target, "since": since, "until": until}
    for step in ("hour", "day"):
        name = ROLLUPS[step]
        database.delete(
            name, f"target = {{target:String}} AND at >= {{since:Int64}} AND at < {{until:Int64}}{only}", **values
        )
        for table in tables:
            query = rollup_query(observations(table, database.name(table.name)), step, f" AND {_SPAN}")
            database.command(f"INSERT INTO {database.name(name)} ({', '.join(ROLLUP_COLUMNS)}) {query}", **values)


def _derive_blocks(database: Database, target: str, first: int, last: int, only: str = "") -> None:
    """Add up its blocks again from the days: from the one that began at `first` to the one that ends at `last`."""
    of_blocks = f" AND target = {{target:String}} AND at < {{until:Int64}}{only}"
    values = {"target": target, "since": first, "until": last}
    database.delete(ROLLUPS["block"], f"at >= {{since:Int64}}{of_blocks}", **values)
    query = blocks_query(database.name(ROLLUPS["day"]), first, of_blocks)
    database.command(
        f"INSERT INTO {database.name(ROLLUPS['block'])} ({', '.join(ROLLUP_COLUMNS)}) {query}",
        target=target,
        until=last,
    )


# -- a target's name


def delete_target(database: Database, name: str) -> int:
    """See `Store.delete_target`."""
    rows = 0
    for table in _tables_of_targets():
        if count := _count(database, table, name):
            database.delete(table.name, f"{table.target_column} = {{target:String}}", target=name)
            rows += count
    _delete_derived(database, name)
    return rows


def rename_target(database: Database, old: str, new: str, since: int) -> int:
    """See `Store.rename_target`. `since`: raw rows from before may be pruned (milliseconds UTC)."""
    rows = {table: _count(database, table, old) for table in _tables_of_targets()}
    for table, count in rows.items():
        if count:
            (_copy_observed if table in OBSERVED else _copy_rows)(database, table, old, new)
        for column in table.target_columns:
            if column not in table.key:
                where = f"{column} = {{old:String}}"
                _update(database, table.name, f"{column} = {{new:String}}", where, {"old": old, "new": new})
    _copy_pruned(database, old, new, since)
    _derive_days(database, new, since, LAST_MS - LAST_MS % BLOCK_MS)
    _derive_blocks(database, new, 0, LAST_MS - LAST_MS % BLOCK_MS)
    series = "location, profile, first_at"
    first = database.name(FIRST)
    database.command(
        f"INSERT INTO {first} (target, {series}) SELECT {{new:String}}, {series} FROM {first}"
        " WHERE target = {old:String}",
        old=old,
        new=new,
    )
    _delete_derived(database, old)
    for table, count in rows.items():
        if count:
            database.delete(table.name, f"{table.target_column} = {{old:String}}", old=old)
    return sum(rows.values())


def _tables_of_targets() -> list[Table]:
    return [table for table in TABLES.values() if table.target_column is not None and not table.is_derived]


def _count(database: Database, table: Table, name: str) -> int:
    final = " FINAL" if table.on_conflict != "ignore" else ""
    sql = f"SELECT count() FROM {database.name(table.name)}{final} WHERE {table.target_column} = {{target:String}}"
    [(rows,)] = database.rows(sql, {"target": name})
    return int(rows)


def _copy_observed(database: Database, table: Table, old: str, new: str) -> None:
    """Without those that are there already; the views add up what is inserted, and are corrected afterwards."""
    source, others = database.name(table.name), ", ".join(name for name in table.key if name != "target")
    values = ", ".join("{new:String}" if name == "target" else name for name in table.names)
    database.command(
        f"INSERT INTO {source} ({', '.join(table.names)}) SELECT {values} FROM {source} WHERE target = {{old:String}}"
        f" AND ({others}) NOT IN (SELECT {others} FROM {source} WHERE target = {{new:String}})",
        old=old,
        new=new,
    )


def _copy_rows(database: Database, table: Table, old: str, new: str) -> None:
    column = table.target_column
    assert column is not None
    place = table.names.index(column)
    keys = [table.names.index(name) for name in table.key]
    read: dict[str, list[Values]] = {old: [], new: []}
    for row in database.rows(
        *select(table, database.name(table.name), Selection(), table.names, KeyRange(), ", ".join(table.key), None)
    ):
        if row[place] in read:
            read[row[place]].append(row)
    there = {tuple(row[key] for key in keys) for row in read[new]}
    copies = [(*row[:place], new, *row[place + 1 :]) for row in read[old]]
    if table.on_conflict == "version":
        copies = [_close_version(row, read[new], table) for row in copies]
    database.insert(table, [row for row in copies if tuple(row[key] for key in keys) not in there])


def _close_version(row: Values, newer: list[Values], table: Table) -> Values:
    """What the new name's rows continue ends where they begin."""
    length = len(table.key)
    later = [other[length - 1] for other in newer if other[: length - 1] == row[: length - 1]]
    if row[length] is not None or not later:
        return row
    return (*row[:length], min(later), *row[length + 1 :])


def _copy_pruned(database: Database, old: str, new: str, since: int) -> None:
    """The roll-ups of days whose raw rows are pruned."""
    columns = ", ".join(ROLLUP_COLUMNS[1:])
    for step in ("hour", "day"):
        source = database.name(ROLLUPS[step])
        database.command(
            f"INSERT INTO {source} (target, {columns}) SELECT {{new:String}}, {columns} FROM {source}"
            " WHERE target = {old:String} AND at < {since:Int64} AND (location, profile, at) NOT IN"
            f" (SELECT location, profile, at FROM {source} WHERE target = {{new:String}})",
            old=old,
            new=new,
            since=since,
        )


def _delete_derived(database: Database, name: str) -> None:
    for table in (*ROLLUPS.values(), NEWEST, FIRST):
        database.delete(table, "target = {target:String}", target=name)
