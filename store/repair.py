"""Copies what can be read of a damaged SQLite store to a new one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw

from store.backup import Count, plain_errors, refuse_existing, temporary_copy
from store.clock import DAY_MS
from store.horizon import horizon
from store.migrations import mark_finished, mark_unfinished, refuse_foreign
from store.part_files import part_file
from store.protocol import StoreError
from store.rollups import COLUMNS, STEP_MS, Step
from store.schema import INCIDENTS, OBSERVED, REQUESTS, TABLES, TRAFFIC, Row, Table
from store.sqlite import SqliteStore
from store.sqlite_derived import MASK, SHIFT, TABLE, insert_incident, put_rollup_sql, rebuild_blocks, rebuild_incidents
from store.sqlite_queries import INTERNED

_DAMAGE = (apsw.CorruptError, apsw.NotADBError, apsw.IOError, apsw.SQLError, UnicodeDecodeError)


@dataclass
class Salvage:
    """What was read, by table, and how many places could not be."""

    rows: dict[str, int] = field(default_factory=dict)
    holes: dict[str, int] = field(default_factory=dict)
    dropped: int = 0
    """Rows that were read and do not fit into a sound store."""


def salvage(source: Path, target: Path, count: Count = lambda _: None) -> Salvage:
    """Write what can be read of a damaged store to a new one, which gets its name when it is complete. The damaged file
    is only read, from a copy of it beside `target`. Raises StoreError when nothing can be read, or the new file cannot
    be written.
    """
    refuse_existing(target)
    if not source.is_file():
        raise StoreError(f"there is no store at {source}")
    result = Salvage()
    with plain_errors(f"could not write what can be read from {source} to {target}"):
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with temporary_copy(source, target) as copy, part_file(target) as part:
            with closing(_open_readable(copy, source)) as connection:
                _salvage_into(part, connection, result, count)
            if not sum(result.rows.values()):
                raise StoreError(f"nothing can be read from {source}")
    return result


def _salvage_into(part: Path, connection: apsw.Connection, result: Salvage, count: Count) -> None:
    store = SqliteStore(part)
    try:
        with closing(apsw.Connection(str(part))) as new:
            mark_unfinished(new)
        small = [table for table in TABLES.values() if not table.is_derived and table not in OBSERVED]
        for table in small:
            _copy_rows(store, table, _read_from_both_ends(connection, table, "", (), result), result, count)
        for table in OBSERVED:
            _copy_rows(store, table, _observed(connection, table, result), result, count)
        _copy_pruned(connection, part, result)
    finally:
        store.close()
    with closing(apsw.Connection(str(part))) as new:
        new.execute("PRAGMA journal_mode=DELETE")
        mark_finished(new)


def _open_readable(copy: Path, source: Path) -> apsw.Connection:
    """A connection that can read the schema; without the WAL where that is what is damaged."""
    for use_wal in (True, False):
        if not use_wal:
            copy.with_name(copy.name + "-wal").unlink(missing_ok=True)
            copy.with_name(copy.name + "-shm").unlink(missing_ok=True)
        connection = apsw.Connection(str(copy))
        try:
            # the second: a file that was cut is read as far as it goes
            connection.execute("PRAGMA cell_size_check=ON; PRAGMA writable_schema=ON")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            refuse_foreign(connection, str(source))
        except (*_DAMAGE, StoreError):
            connection.close()
            continue
        return connection
    raise StoreError(f"nothing can be read from {source}: its schema is damaged, or it is not an Uptoken store")


def _copy_rows(
    store: SqliteStore, table: Table, rows: Iterator[tuple[Any, ...]], result: Salvage, count: Count
) -> None:
    batch: list[Row] = []
    for values in rows:
        batch.append(table.row(*values))
        if len(batch) == 5_000:
            _write(store, table, batch, result)
            count(len(batch))
            batch.clear()
    _write(store, table, batch, result)
    count(len(batch))


def _write(store: SqliteStore, table: Table, rows: list[Row], result: Salvage) -> None:
    if not rows:
        return
    try:
        result.rows[table.name] = result.rows.get(table.name, 0) + store.write(rows, on_conflict="ignore")
    except (StoreError, TypeError, ValueError, OverflowError) as problem:
        if len(rows) == 1:
            if isinstance(problem, StoreError) and not isinstance(problem.__cause__, apsw.ConstraintError):
                raise
            result.dropped += 1
            return
        middle = len(rows) // 2
        _write(store, table, rows[:middle], result)
        _write(store, table, rows[middle:], result)


def _observed(connection: apsw.Connection, table: Table, result: Salvage) -> Iterator[tuple[Any, ...]]:
    """All probes, or attempts, target by target; where one cannot be read through, day by day."""
    if not _columns_there(connection, table.name):
        return
    for target in _targets(connection, result):
        last: int | None = None
        try:
            for row in _select(connection, table, "target = ?", (target,), "started_at"):
                last = row[table.names.index("started_at")]
                yield row
            if not _ends_early(connection, table, target, last):
                continue
            result.holes[table.name] = result.holes.get(table.name, 0) + 1
        except _DAMAGE:
            pass
        began = 0 if last is None else last
        ended = _last_at(connection, target)
        if last is None:
            began = _first_at(connection, target, ended)
        for day in range(began - began % DAY_MS, ended + 1, DAY_MS):
            bindings = (target, max(day, began), day + DAY_MS)
            where = "target = ? AND started_at >= ? AND started_at < ?"
            yield from _read_from_both_ends(connection, table, where, bindings, result)


def _ends_early(connection: apsw.Connection, table: Table, target: str, last: int | None) -> bool:
    """Whether a target has later rows than the last one that was read. Random bytes in the place of a key can end a
    search by the key without an error.
    """
    profiles = f"max(last_at) FILTER (WHERE profile {'=' if table is REQUESTS else '<>'} '{TRAFFIC}')"
    ended = _known_moment(connection, profiles, target)
    return ended is not None and (last is None or last < ended)


def _targets(connection: apsw.Connection, result: Salvage) -> list[str]:
    names: set[str] = set()
    for sql in ("SELECT DISTINCT target FROM series", "SELECT name FROM targets", "SELECT DISTINCT target FROM probes"):
        try:
            for (name,) in connection.execute(sql):
                names.add(name)
        except _DAMAGE:
            result.holes["series"] = result.holes.get("series", 0) + 1
        else:
            if names:
                break
    return sorted(names)


def _first_at(connection: apsw.Connection, target: str, last: int) -> int:
    return _known_moment(connection, "min(first_at)", target) or last - 400 * DAY_MS


def _last_at(connection: apsw.Connection, target: str) -> int:
    now = int(datetime.now(UTC).timestamp() * 1_000)
    return _known_moment(connection, "max(last_at)", target) or now


def _known_moment(connection: apsw.Connection, which: str, target: str) -> int | None:
    try:
        moment = connection.execute(f"SELECT {which} FROM series WHERE target = ?", (target,)).get
    except _DAMAGE:
        return None
    return int(moment) if isinstance(moment, int) and 0 <= moment < 1 << 45 else None


def _read_from_both_ends(
    connection: apsw.Connection, table: Table, where: str, bindings: tuple[Any, ...], result: Salvage
) -> Iterator[tuple[Any, ...]]:
    """The rows up to the first that cannot be read, and from the other end as far as it goes. Some may come twice: a
    store keeps one of them.
    """
    order = ", ".join(table.key)
    try:
        yield from _select(connection, table, where, bindings, order)
        return
    except _DAMAGE:
        result.holes[table.name] = result.holes.get(table.name, 0) + 1
    try:
        yield from _select(connection, table, where, bindings, ", ".join(f"{name} DESC" for name in table.key))
    except _DAMAGE:
        return


def _select(
    connection: apsw.Connection, table: Table, where: str, bindings: tuple[Any, ...], order: str
) -> Iterator[tuple[Any, ...]]:
    there = _columns_there(connection, table.name)
    names = [_expression(table, name) if name in there else "NULL" for name in table.names]
    clause = f" WHERE {where}" if where else ""
    return iter(connection.execute(f"SELECT {', '.join(names)} FROM {table.name}{clause} ORDER BY {order}", bindings))


def _columns_there(connection: apsw.Connection, table: str) -> set[str]:
    """A store of an older schema lacks columns, or even tables."""
    return {name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))}


def _expression(table: Table, name: str) -> str:
    return f"(SELECT text FROM texts WHERE id = {name})" if name in INTERNED.get(table.name, ()) else name


def _copy_pruned(connection: apsw.Connection, target: Path, result: Salvage) -> None:
    """Copy the roll-ups and incidents of days whose raw probes are pruned: they cannot be derived again."""
    try:
        kept_since = int(connection.execute("SELECT kept_since FROM upkeep").get or 0)
        now = int(datetime.now(UTC).timestamp() * 1_000)
        if kept_since > horizon(now):  # a clock was ahead: it would refuse what is recorded from now on
            kept_since = now - now % DAY_MS
        series = {
            row[1:4]: row
            for row in connection.execute("SELECT id, target, location, profile, first_at, last_at FROM series")
        }
    except _DAMAGE:
        return
    if not kept_since:
        return
    with closing(apsw.Connection(str(target))) as new:
        new.execute("BEGIN IMMEDIATE")
        new.execute("UPDATE upkeep SET kept_since = ?", (kept_since,))
        for number, *key, first_at, last_at in series.values():
            new.execute(  # a series whose last raw probe cannot be read still has its roll-ups
                "INSERT INTO series (target, location, profile, first_at, last_at) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET first_at = min(first_at, excluded.first_at)",
                (*key, first_at, last_at),
            )
            own = new.execute("SELECT id FROM series WHERE target = ? AND location = ? AND profile = ?", key).get
            for step in ("hour", "day"):
                _copy_old_rollups(connection, new, step, number, own, kept_since, result)
        _copy_old_incidents(connection, new, kept_since, result)
        new.execute("DELETE FROM blocks")
        rebuild_blocks(new)
        new.execute("COMMIT")


def _copy_old_rollups(
    connection: apsw.Connection,
    new: apsw.Connection,
    step: Step,
    number: int,
    own: int,
    kept_since: int,
    result: Salvage,
) -> None:
    table, before = TABLE[step], kept_since // STEP_MS[step]
    there = _columns_there(connection, table)
    names = ", ".join(name if name in there else "0" for name in COLUMNS)
    sql = f"SELECT id, {names} FROM {table} WHERE id >= ? AND id < ? ORDER BY id"
    try:
        for id_, *values in connection.execute(sql, (number << SHIFT, (number << SHIFT) + before)):
            new.execute(put_rollup_sql(table), ((own << SHIFT) + (id_ & MASK), *values))
            result.rows[table] = result.rows.get(table, 0) + 1
    except (*_DAMAGE, apsw.ConstraintError):
        result.holes[table] = result.holes.get(table, 0) + 1


def _copy_old_incidents(connection: apsw.Connection, new: apsw.Connection, kept_since: int, result: Salvage) -> None:
    """Copy those that began before the first raw probe; one of them may continue among the raw probes."""
    touched = set()
    for row in _read_from_both_ends(connection, INCIDENTS, "began_at < ?", (kept_since,), result):
        try:
            added = insert_incident(new, row)
        except (apsw.Error, TypeError):
            result.dropped += 1
            continue
        result.rows[INCIDENTS.name] = result.rows.get(INCIDENTS.name, 0) + added
        touched.add(row[:3])
    for key in sorted(touched):
        rebuild_incidents(new, key, kept_since)
