"""SQLite files in need: a copy while they are written, putting a copy back, and what can be read of a damaged one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw

from store.horizon import horizon
from store.migrations import MIGRATIONS, version_of
from store.protocol import StoreError
from store.rollups import COLUMNS, DAY_MS, STEP_MS, Step
from store.rows import PROBES, TABLES, Row, Table
from store.sqlite import INTERNED, SqliteStore
from store.upkeep import MASK, SHIFT, TABLE, fold, put_rollup_sql

PAGES_A_STEP = 2_000
Count = Callable[[int], None]
_DAMAGE = (apsw.CorruptError, apsw.NotADBError, apsw.IOError, apsw.SQLError, UnicodeDecodeError)


# -- a copy, and putting it back


def pages_of(path: Path) -> int:
    """How many pages a file has, for a bar."""
    return path.stat().st_size // 4_096


def back_up(source: Path, target: Path, count: Count = lambda _: None) -> None:
    """Copy a store as it is at this moment, also while it is written, to a new file for its owner alone. The file gets
    its name when it is whole and was checked. Raises StoreError.
    """
    if target.exists():
        raise StoreError(f"{target} is there already: choose another name, or move it away")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with _plainly(f"{source} could not be copied to {target}"):
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            with closing(_reader(source)) as old, closing(apsw.Connection(str(part))) as new:
                old.execute("BEGIN")  # one moment: without it, each tick of a collector would start the copy anew
                _store_version(old, source)
                with new.backup("main", old, "main") as backup:
                    while not backup.done:
                        before = backup.remaining
                        backup.step(PAGES_A_STEP)
                        count(max(0, before - backup.remaining))
                new.execute("PRAGMA journal_mode=DELETE")
            check(part)
            part.replace(target)
            _sync_folder(target.parent)
    finally:
        part.unlink(missing_ok=True)


def restore(copy: Path, target: Path, count: Count = lambda _: None) -> Path | None:
    """Put a copy in a store's place; returns where the store that was there lies now. Raises StoreError.

    Nobody may write the store meanwhile. Neither the copy nor what was there is changed.
    """
    with _plainly(f"{copy} could not be put in the place of {target}"):
        if not copy.is_file():
            raise StoreError(f"there is no file {copy}")
        with closing(_reader(copy)) as connection:
            _store_version(connection, copy)
        check(copy)
        fresh = target.with_name(f"{target.name}.restoring-{os.getpid()}")
        back_up(copy, fresh, count)
        aside = _move_aside(target)
        fresh.replace(target)
        _sync_folder(target.parent)
        return aside


def check(path: Path) -> None:
    """Raises StoreError when SQLite finds something wrong in a file."""
    with closing(_reader(path)) as connection:
        try:
            found = [text for (text,) in connection.execute("PRAGMA quick_check(3)")]
        except apsw.Error as problem:
            found = [str(problem)]
    if found != ["ok"]:
        raise StoreError(
            f"{path} is damaged ({found[0]}): `python -m collectors repair` saves what can be read into a new file"
        )


def _store_version(connection: apsw.Connection, path: Path) -> int:
    version = version_of(connection)
    if not 0 < version <= len(MIGRATIONS):
        raise StoreError(f"{path} is {'from a newer Uptoken' if version else 'not an Uptoken store'}")
    return version


def _move_aside(path: Path) -> Path | None:
    """Give a store another name, with what SQLite keeps beside it."""
    if not path.exists():
        return None
    aside = path.with_name(f"{path.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}")
    for ending in ("", "-wal", "-shm"):
        its = path.with_name(path.name + ending)
        if its.exists():
            its.rename(aside.with_name(aside.name + ending))
    return aside


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _plainly(what: str) -> Iterator[None]:
    try:
        yield
    except (apsw.Error, OSError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else problem
        raise StoreError(f"{what}: {reason}") from problem


def _reader(path: Path) -> apsw.Connection:
    if not path.is_file():
        raise StoreError(f"there is no store at {path}")
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(10_000)
    return connection


# -- what can be read of a damaged file


@dataclass
class Salvage:
    """What was read, by table, and how many places could not be."""

    rows: dict[str, int] = field(default_factory=dict)
    holes: dict[str, int] = field(default_factory=dict)
    dropped: int = 0
    """Rows that were read and make no sense: they do not fit into a sound store."""


def salvage(source: Path, target: Path, count: Count = lambda _: None) -> Salvage:
    """Write what can be read of a damaged store to a new one. The damaged file is opened for reading alone, from a
    copy of it. Raises StoreError when nothing can be read, or the new file cannot be written.
    """
    if target.exists():
        raise StoreError(f"{target} is there already: choose another name, or move it away")
    if not source.is_file():
        raise StoreError(f"there is no store at {source}")
    found = Salvage()
    with _plainly(f"what can be read of {source} could not be written to {target}"), _copied(source) as copy:
        connection = _sound_enough(copy, source)
        store = SqliteStore(target)
        try:
            small = [table for table in TABLES.values() if not table.is_made and table is not PROBES]
            for table in small:
                _take(store, table, _from_both_ends(connection, table, "", (), found), found, count)
            _take(store, PROBES, _probes(connection, found), found, count)
            _old_rollups(connection, target, found)
        finally:
            store.close()
            connection.close()
    if not sum(found.rows.values()):
        target.unlink(missing_ok=True)
        raise StoreError(f"nothing can be read of {source}")
    return found


@contextmanager
def _copied(source: Path) -> Iterator[Path]:
    """Reading a store that was not closed well changes its files, so a copy is read."""
    folder = source.with_name(f".{source.name}.{os.getpid()}.repair")
    folder.mkdir(mode=0o700)
    try:
        for ending in ("", "-wal"):
            its = source.with_name(source.name + ending)
            if its.exists():
                shutil.copyfile(its, folder / ("store.db" + ending))
        yield folder / "store.db"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sound_enough(copy: Path, source: Path) -> apsw.Connection:
    """A connection that can read the schema; without what was not checkpointed where that is what is damaged."""
    for use_wal in (True, False):
        if not use_wal:
            copy.with_name(copy.name + "-wal").unlink(missing_ok=True)
            copy.with_name(copy.name + "-shm").unlink(missing_ok=True)
        connection = apsw.Connection(str(copy))
        try:
            # the second: a file that was cut is read as far as it goes
            connection.execute("PRAGMA cell_size_check=ON; PRAGMA writable_schema=ON")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            _store_version(connection, source)
        except (*_DAMAGE, StoreError):
            connection.close()
            continue
        return connection
    raise StoreError(f"nothing can be read of {source}: its schema is damaged, or it is no Uptoken store")


def _take(store: SqliteStore, table: Table, rows: Iterator[tuple[Any, ...]], found: Salvage, count: Count) -> None:
    batch: list[Row] = []
    for values in rows:
        batch.append(table.row(*values))
        if len(batch) == 5_000:
            _write(store, table, batch, found)
            count(len(batch))
            batch.clear()
    _write(store, table, batch, found)
    count(len(batch))


def _write(store: SqliteStore, table: Table, rows: list[Row], found: Salvage) -> None:
    if not rows:
        return
    try:
        found.rows[table.name] = found.rows.get(table.name, 0) + store.write(rows, keep=True)
    except (StoreError, TypeError, ValueError, OverflowError) as problem:
        if len(rows) == 1:
            if isinstance(problem, StoreError) and not isinstance(problem.__cause__, apsw.ConstraintError):
                raise
            found.dropped += 1
            return
        middle = len(rows) // 2
        _write(store, table, rows[:middle], found)
        _write(store, table, rows[middle:], found)


def _probes(connection: apsw.Connection, found: Salvage) -> Iterator[tuple[Any, ...]]:
    """All probes, target by target; where one cannot be read through, day by day."""
    for target in _targets(connection, found):
        last: int | None = None
        try:
            for row in _select(connection, PROBES, "target = ?", (target,), "started_at"):
                last = row[1]
                yield row
            continue
        except _DAMAGE:
            pass
        began = 0 if last is None else last
        ended = _last_at(connection, target)
        if last is None:
            began = _first_at(connection, target, ended)
        for day in range(began - began % DAY_MS, ended + 1, DAY_MS):
            bindings = (target, max(day, began), day + DAY_MS)
            where = "target = ? AND started_at >= ? AND started_at < ?"
            yield from _from_both_ends(connection, PROBES, where, bindings, found)


def _targets(connection: apsw.Connection, found: Salvage) -> list[str]:
    names: set[str] = set()
    for sql in ("SELECT DISTINCT target FROM series", "SELECT name FROM targets", "SELECT DISTINCT target FROM probes"):
        try:
            for (name,) in connection.execute(sql):
                names.add(name)
        except _DAMAGE:
            found.holes["series"] = found.holes.get("series", 0) + 1
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


def _from_both_ends(
    connection: apsw.Connection, table: Table, where: str, bindings: tuple[Any, ...], found: Salvage
) -> Iterator[tuple[Any, ...]]:
    """The rows up to the first that cannot be read, and from the other end as far as it goes. Some may come twice: a
    store keeps one of them.
    """
    order = ", ".join(table.key)
    try:
        yield from _select(connection, table, where, bindings, order)
        return
    except _DAMAGE:
        found.holes[table.name] = found.holes.get(table.name, 0) + 1
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
    """A store of an older schema lacks columns, and whole tables."""
    return {name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))}


def _expression(table: Table, name: str) -> str:
    return f"(SELECT text FROM texts WHERE id = {name})" if name in INTERNED.get(table.name, ()) else name


def _old_rollups(connection: apsw.Connection, target: Path, found: Salvage) -> None:
    """Bring over the roll-ups of days whose raw probes are forgotten: they cannot be made anew."""
    try:
        kept_since = int(connection.execute("SELECT kept_since FROM upkeep").get or 0)
        now = int(datetime.now(UTC).timestamp() * 1_000)
        if kept_since > horizon(now):  # a clock was ahead: it would refuse what is recorded from now on
            kept_since = now - now % DAY_MS
        series = {
            row[0]: row[1:] for row in connection.execute("SELECT id, target, location, profile, first_at FROM series")
        }
    except _DAMAGE:
        return
    if not kept_since:
        return
    steps: tuple[Step, ...] = ("hour", "day")
    there = {step: _columns_there(connection, TABLE[step]) for step in steps}
    names = {step: ", ".join(name if name in there[step] else "0" for name in COLUMNS) for step in steps}
    with closing(apsw.Connection(str(target))) as new:
        new.execute("BEGIN IMMEDIATE")
        new.execute("UPDATE upkeep SET kept_since = ?", (kept_since,))
        ids = {row[1:]: row[0] for row in new.execute("SELECT id, target, location, profile FROM series")}
        for number, (*key, first_at) in series.items():
            own = ids.get(tuple(key))
            if own is None:
                continue
            new.execute("UPDATE series SET first_at = min(first_at, ?) WHERE id = ?", (first_at, own))
            for step in steps:
                before = kept_since // STEP_MS[step]
                sql = f"SELECT id, {names[step]} FROM {TABLE[step]} WHERE id >= ? AND id < ? ORDER BY id"
                try:
                    for id_, *values in connection.execute(sql, (number << SHIFT, (number << SHIFT) + before)):
                        new.execute(put_rollup_sql(TABLE[step]), ((own << SHIFT) + (id_ & MASK), *values))
                        found.rows[TABLE[step]] = found.rows.get(TABLE[step], 0) + 1
                except (*_DAMAGE, apsw.ConstraintError):
                    found.holes[TABLE[step]] = found.holes.get(TABLE[step], 0) + 1
        new.execute("DELETE FROM blocks")
        fold(new)
        new.execute("COMMIT")
