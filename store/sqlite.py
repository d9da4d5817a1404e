"""The default store: one SQLite file in WAL mode, through apsw's own current SQLite.

Collectors write in short transactions; any number of readers open it read-only. Versions of SQLite before 3.51.3 can
corrupt a WAL database when two connections write or checkpoint at once, so an older library is refused.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import apsw

from store.backup import CANNOT_SHARE, back_up_before_migration
from store.batches import KeyRange, Values, in_batches
from store.clock import now_ms
from store.horizon import as_of, horizon
from store.migrations import INCREMENTAL, due_from, migrate, refuse_newer, refuse_older
from store.paths import has_log
from store.private import make_private_folder
from store.protocol import ALL, Selection, Series, StoreError
from store.rollups import COLUMNS, EXPORTED, STEP_MS, Step, told
from store.run_rollup import roll_up_runs, without_merged
from store.schema import INCIDENTS, OBSERVED, PROBES, REQUESTS, RUNS, TABLE_OF, TRAFFIC, Probe, Row, Table
from store.sqlite_derived import forget, keep_observed, kept_since, rebuild, remove_from, rollups_sql
from store.traffic import TrafficDay, TrafficMinute, days_sql, minutes_sql
from store.versioning import meet, until_later

OLDEST_SQLITE = (3, 51, 3)
INTERNED = {"models": ("description", "supported_parameters"), "endpoints": ("supported_parameters",)}
"""Columns whose texts are kept once, in the table `texts`, and referred to by its `id`: they seldom change when another
fact of the row does, and are most of its size.
"""
PATIENCE_S = 10.0
LARGEST_WAL = 64 << 20
"""Bytes that the WAL keeps on the disk between two checkpoints."""
FREE_PAGES = 1_000
"""Pages of 4 kB that a file may keep for what is written next."""
PAGES_GIVEN_BACK = 500
"""In one transaction: some 10 ms."""
BATCH_ROWS = 2_000
"""Rows that one query of a long read gives: milliseconds, so that no transaction is open for longer."""
_Made = Callable[[tuple[Any, ...]], tuple[Any, ...]]


_NOT_YET = "there is no store at {} yet: the first `python -m collectors run` makes it"


def _has_tables(path: Path) -> bool:
    """An empty file, or one with a header alone, is a store that is being made."""
    return path.stat().st_size > 4_096


def _refuse_old_library() -> None:
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < OLDEST_SQLITE:
        raise StoreError(
            f"this apsw brings SQLite {apsw.sqlite_lib_version()}, which can corrupt a database in WAL mode: "
            f"install apsw {'.'.join(map(str, OLDEST_SQLITE))} or newer (pip install -r requirements.txt)"
        )


def _create_private(path: Path) -> None:
    """Make the file for its owner only, before SQLite would make it for everybody."""
    make_private_folder(path.parent)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


class SqliteStore:
    """Meets `store.protocol.Store`. Safe to use from many threads: each call borrows a connection of its own, and a
    dashboard that makes a new thread for every click opens no new connection for it.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        _refuse_old_library()
        self.path = path
        self.read_only = read_only
        self._idle: list[apsw.Connection] = []
        self._guard = threading.Lock()
        self._immutable = False
        self._file: tuple[int, int] | None = None
        self.patience_s = PATIENCE_S
        if read_only and not path.is_file():
            raise StoreError(_NOT_YET.format(path))
        with self._errors("open"):
            if not read_only:
                _create_private(path)
                self._prepare()
            else:
                self._open_reader()

    def _prepare(self) -> None:
        with self._connection() as connection:
            if (version := due_from(connection, str(self.path))) is not None:
                back_up_before_migration(self.path, version)
            migrate(connection, str(self.path))
        self._file = _identity(self.path)

    def _still_there(self) -> None:
        """A file that was removed or replaced while it is open would take rows that nobody ever sees again."""
        found = _identity(self.path)
        if found == self._file:
            return
        self._forget_connections()
        if found is None:
            raise StoreError(
                f"the store {self.path} was removed while it was open: put it back and this goes on, or start the "
                "collector again to begin a new one"
            )
        self._prepare()

    # -- connections

    @contextmanager
    def _connection(self) -> Iterator[apsw.Connection]:
        """A connection that nobody else uses meanwhile."""
        with self._guard:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._connect()
        connection.set_busy_timeout(round(self.patience_s * 1_000))
        try:
            yield connection
        finally:
            with self._guard:
                self._idle.append(connection)

    @contextmanager
    def _rows(self, sql: str, bindings: Iterable[Any] = ()) -> Iterator[apsw.Cursor]:
        """The rows of a query; its transaction ends with the block, also when not all of them were read."""
        with self._errors("read"), self._connection() as connection:
            cursor = connection.execute(sql, tuple(bindings))
            try:
                yield cursor
            finally:
                cursor.close(True)

    def _connect(self) -> apsw.Connection:
        if self._immutable:
            uri = f"{self.path.absolute().as_uri()}?immutable=1"
            return apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        flags = apsw.SQLITE_OPEN_READONLY if self.read_only else apsw.SQLITE_OPEN_READWRITE
        connection = apsw.Connection(str(self.path), flags=flags)
        connection.execute("PRAGMA mmap_size=0")
        if not self.read_only:
            if not self.path.stat().st_size:  # of an older file it would change nothing, and wait for its lock
                connection.execute(f"PRAGMA auto_vacuum={INCREMENTAL}")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA journal_size_limit={LARGEST_WAL}")
            connection.execute("PRAGMA synchronous=FULL")
        return connection

    def _open_reader(self) -> None:
        """Open a first read-only connection.

        Without its writer a WAL database has no `-shm` file, and a reader who may not write the folder cannot make
        one; on a full disk it finds no room for it. When there is no WAL either, nobody is writing and the file itself
        is whole: it is read as immutable.
        """
        try:
            with self._connection() as connection:
                version = refuse_newer(connection, str(self.path))
        except CANNOT_SHARE:
            if has_log(self.path):
                raise StoreError(
                    f"could not open the store {self.path}: what is not yet in its file can be read only where the "
                    "folder may be written and the disk has room; `python -m collectors backup FILE` makes a copy"
                ) from None
            self._forget_connections()
            self._immutable = True
            with self._connection() as connection:
                version = refuse_newer(connection, str(self.path))
        if version == 0 and not _has_tables(self.path):
            raise StoreError(_NOT_YET.format(self.path))  # a writer is just making it
        if version == 0:
            raise StoreError(f"{self.path} is not an Uptoken store: the first `python -m collectors run` makes one")
        refuse_older(version, str(self.path))

    def _forget_connections(self) -> None:
        with self._guard:
            connections, self._idle = self._idle, []
        for connection in connections:
            connection.close()

    @contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (apsw.Error, OSError) as problem:
            raise StoreError(f"could not {verb} the store {self.path}: {_plain(problem)}") from problem

    # -- the protocol

    def write(self, rows: Iterable[Row], *, on_conflict: Literal["ignore"] | None = None) -> int:
        """See `Store.write`."""
        told: set[tuple[Any, ...]] = set()

        def work(connection: apsw.Connection) -> int:
            new = 0
            for table, values in _grouped(rows):
                if table.is_derived:
                    raise StoreError(f"{table.name} cannot be written: the store makes its rows from the probes")
                if table.on_conflict == "replace_partition" and on_conflict is None:
                    _clear(connection, table, values, told)
                values = _interned(connection, table, values)
                writer = _import if on_conflict and table.on_conflict != "version" else _WRITERS[table.on_conflict]
                new += writer(connection, table, values)
            return new

        return self._in_transaction(work)

    def read(
        self,
        table: Table,
        selection: Selection = ALL,
        *,
        columns: tuple[str, ...] = (),
        newest_first: bool = False,
        limit: int | None = None,
    ) -> Iterator[tuple[Any, ...]]:
        """See `Store.read`."""
        names = columns or table.names
        query = partial(_made_sql if table in EXPORTED else _read_sql, table, selection)
        if newest_first or limit is not None:
            yield from self._query(*query(names, KeyRange(), newest_first, limit))
            return
        more = (*names, *(name for name in table.key if name not in names))
        places = [more.index(name) for name in table.key]

        def fetch(part: KeyRange) -> list[tuple[Any, ...]]:
            return list(self._query(*query(more, part, False, BATCH_ROWS)))

        group = 3 if table in EXPORTED else 1  # a roll-up's series, or the key's first column
        rows = in_batches(fetch, lambda row: tuple(row[place] for place in places), group, BATCH_ROWS)
        yield from rows if more == names else (row[: len(names)] for row in rows)

    def _query(self, sql: str, bindings: list[Any], made: _Made | None) -> Iterator[tuple[Any, ...]]:
        with self._rows(sql, bindings) as cursor:
            yield from cursor if made is None else map(made, cursor)

    def count(self, table: Table, selection: Selection = ALL) -> int:
        """See `Store.count`."""
        if table in EXPORTED:
            sql, bindings = rollups_sql(EXPORTED[table], selection, ())
            with self._rows(f"SELECT count(*) FROM ({sql})", bindings) as cursor:
                return int(cursor.get)
        where, bindings = _where(table, selection)
        with self._rows(f"SELECT count(*) FROM {table.name}{where}", bindings) as cursor:
            return int(cursor.get)

    def series(self, until: int | None = None) -> list[Series]:
        """See `Store.series`. One seek a series, whatever the length of its history; another where its newest probe
        began too late.
        """
        names = ", ".join(f"probes.{name}" for name in PROBES.names)
        before = (
            "SELECT started_at FROM probes AS earlier WHERE earlier.target = series.target AND earlier.location ="
            " series.location AND earlier.profile = series.profile AND earlier.started_at < ?1"
            " ORDER BY started_at DESC LIMIT 1"
        )
        sql = (
            f"SELECT first_at, {names} FROM series JOIN probes USING (target, location, profile) WHERE"
            f" probes.started_at = CASE WHEN series.last_at < ?1 THEN series.last_at ELSE ({before}) END"
            " ORDER BY target, location, profile"
        )
        with self._rows(sql, (until if until is not None else 2**62,)) as rows:
            return [Series(first_at, Probe(*row)) for first_at, *row in rows]

    def last_incidents(self, before: int, targets: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
        """See `Store.last_incidents`. One seek a series."""
        same = "earlier.target = series.target AND earlier.location = series.location"
        newest = (
            f"SELECT began_at FROM incidents AS earlier WHERE {same} AND earlier.profile = series.profile"
            " AND earlier.began_at < ? ORDER BY began_at DESC LIMIT 1"
        )
        names = f" AND target IN ({', '.join('?' * len(targets))})" if targets else ""
        sql = (
            f"SELECT {', '.join(f'incidents.{name}' for name in INCIDENTS.names)} FROM series"
            f" JOIN incidents USING (target, location, profile) WHERE incidents.began_at = ({newest}){names}"
        )
        with self._rows(sql, (before, *targets)) as rows:
            return list(rows)

    def rollups(
        self, step: Step, selection: Selection = ALL, columns: tuple[str | None, ...] = COLUMNS
    ) -> Iterator[tuple[Any, ...]]:
        """See `Store.rollups`. The rows of a series lie side by side: a range of ids each."""
        sql, bindings = rollups_sql(step, selection, columns)
        with self._rows(sql, bindings) as cursor:
            yield from cursor

    def traffic_by_minute(self, selection: Selection = ALL) -> Iterator[TrafficMinute]:
        """See `Traffic.traffic_by_minute`."""
        where, bindings = _where_traffic(selection)
        with self._rows(minutes_sql(REQUESTS.name, where), bindings) as rows:
            yield from map(TrafficMinute._make, rows)

    def traffic_by_day(self, selection: Selection = ALL) -> Iterator[TrafficDay]:
        """See `Traffic.traffic_by_day`."""
        where, bindings = _where_traffic(selection)
        with self._rows(days_sql(REQUESTS.name, where), bindings) as rows:
            yield from map(TrafficDay._make, rows)

    def size_bytes(self) -> int:
        """See `Sized.size_bytes`: the file, and what is not yet in it."""
        files = (self.path.with_name(self.path.name + ending) for ending in ("", "-wal", "-shm"))
        return sum(path.stat().st_size for path in files if path.exists())

    def tidy(self, before: int) -> int:
        """See `Store.tidy`."""
        return self._in_transaction(lambda connection: forget(connection, before))

    def compact(self, runs_before: int) -> int:
        """See `Compactable.compact`. What is free in the file is given back from its end, in steps; in a file that is
        older than that, it is used for the next rows.
        """
        return self._in_transaction(lambda connection: roll_up_runs(connection, runs_before)) or self._in_transaction(
            _give_back
        )

    def kept_since(self) -> int:
        """See `Upkeep.kept_since`."""
        with self._errors("read"), self._connection() as connection:
            return kept_since(connection)

    def remove_from(self, moment: int, now: int) -> int:
        """See `Upkeep.remove_from`."""
        return self._in_transaction(lambda connection: remove_from(connection, moment, now))

    def rebuild(self) -> int:
        """See `Store.rebuild`."""
        return self._in_transaction(rebuild)

    def _in_transaction(self, work: Callable[[apsw.Connection], int]) -> int:
        with self._errors("write"):
            if not self.read_only:
                self._still_there()
            return self._begin(work)

    def _begin(self, work: Callable[[apsw.Connection], int]) -> int:
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                done = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        return done

    def close(self) -> None:
        """See `Store.close`."""
        self._forget_connections()


def _give_back(connection: apsw.Connection) -> int:
    """Shorten the file by some of its free pages; returns by how many."""
    free = int(connection.execute("PRAGMA freelist_count").get)
    if free <= FREE_PAGES or connection.execute("PRAGMA auto_vacuum").get != INCREMENTAL:
        return 0
    connection.execute(f"PRAGMA incremental_vacuum({min(PAGES_GIVEN_BACK, free - FREE_PAGES)})").fetchall()
    return free - int(connection.execute("PRAGMA freelist_count").get)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _plain(problem: BaseException) -> str:
    match problem:
        case apsw.BusyError():
            return "it was locked by another program for too long; stop that program, or try again"
        case apsw.FullError():
            return "the disk is full; make room and run again, nothing that was recorded is lost"
        case apsw.IOError():
            return f"the disk did not take or give it ({problem}); look at the disk, nothing that was recorded is lost"
        case apsw.CorruptError() | apsw.NotADBError():
            return f"the file is damaged or no database ({problem}); move it away before a new one is made"
        case apsw.ReadOnlyError() | apsw.PermissionsError() | PermissionError():
            return f"it may not be written here ({problem}); check the owner and rights of the file and its folder"
        case apsw.CantOpenError():
            return f"the file or its folder cannot be opened ({problem}); check that it exists and may be read"
        case _:
            return str(problem)


def _read_sql(
    table: Table, selection: Selection, names: tuple[str, ...], part: KeyRange, newest_first: bool, limit: int | None
) -> tuple[str, list[Any], None]:
    where, bindings = _where(table, selection)
    clauses, values = _range_clauses(part, table.key)
    if clauses:
        where = f"{where} AND {clauses}" if where else f" WHERE {clauses}"
    order = ", ".join((f"{name} DESC" for name in table.newest_first) if newest_first else table.key)
    found = "probes INDEXED BY failures" if selection.failed and table is PROBES else table.name
    sql = f"SELECT {', '.join(_column(table, name) for name in names)} FROM {found}{where} ORDER BY {order} LIMIT ?"
    return sql, [*bindings, *values, -1 if limit is None else limit], None


def _made_sql(
    table: Table, selection: Selection, names: tuple[str, ...], part: KeyRange, newest_first: bool, limit: int | None
) -> tuple[str, list[Any], _Made]:
    """The rows of `hourly` or `daily`, and what makes of each what is exported."""
    step = EXPORTED[table]
    if part.equal:
        (at,) = part.beyond
        selection = replace(selection, since=at + STEP_MS[step])
        part = KeyRange(part.equal)
    clauses, values = _range_clauses(part, table.key)
    sql, bindings = rollups_sql(step, selection, COLUMNS, newest_first=newest_first, clauses=clauses)
    places = [table.names.index(name) for name in names]

    def made(row: tuple[Any, ...]) -> tuple[Any, ...]:
        values = told(step, row)
        return tuple(values[place] for place in places)

    return f"{sql} LIMIT ?", [*bindings, *values, -1 if limit is None else limit], made


def _range_clauses(part: KeyRange, key: tuple[str, ...]) -> tuple[str, Values]:
    equal, beyond = part.columns(key)
    clauses = [f"{name} = ?" for name in equal]
    if beyond:
        clauses.append(f"({', '.join(beyond)}) > ({', '.join('?' * len(beyond))})")
    return " AND ".join(clauses), (*part.equal, *part.beyond)


def _where(table: Table, selection: Selection) -> tuple[str, list[Any]]:
    clauses: list[str] = []
    bindings: list[Any] = []
    if selection.targets:
        clauses.append(f"{table.owner} IN ({', '.join('?' * len(selection.targets))})")
        bindings.extend(selection.targets)
    if selection.since is not None:
        clauses.append(f"{table.time} >= ?")
        bindings.append(selection.since)
    if selection.until is not None:
        clauses.append(f"{table.time} < ?")
        bindings.append(selection.until)
    if selection.failed:
        clauses.append("outcome <> 'ok'")
    return (" WHERE " + " AND ".join(clauses) if clauses else ""), bindings


def _where_traffic(selection: Selection) -> tuple[str, list[Any]]:
    """Attempts lie by target and time: without names all of them would be looked through."""
    where, bindings = _where(REQUESTS, selection)
    if selection.targets:
        return where, bindings
    named = f"target IN (SELECT target FROM series WHERE profile = '{TRAFFIC}')"
    return f"{where} AND {named}" if where else f" WHERE {named}", bindings


def _column(table: Table, name: str) -> str:
    if name not in INTERNED.get(table.name, ()):
        return name
    return f"(SELECT text FROM texts WHERE id = {name}) AS {name}"


def _interned(connection: apsw.Connection, table: Table, values: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The rows with the ids of their long texts in place of these."""
    places = [table.names.index(name) for name in INTERNED.get(table.name, ())]
    texts = {row[place] for row in values for place in places} - {None}
    connection.executemany("INSERT OR IGNORE INTO texts (text) VALUES (?)", [(text,) for text in sorted(texts)])
    ids = {text: connection.execute("SELECT id FROM texts WHERE text = ?", (text,)).get for text in texts}
    ids[None] = None
    return [
        tuple(ids[value] if place in places else value for place, value in enumerate(row)) if places else row
        for row in values
    ]


def _grouped(rows: Iterable[Row], size: int = 5_000) -> Iterator[tuple[Table, list[tuple[Any, ...]]]]:
    """Runs of rows of one table, as tuples, at most `size` at a time: an endless import needs constant memory."""
    table: Table | None = None
    values: list[tuple[Any, ...]] = []
    for row in rows:
        its = TABLE_OF[type(row)]
        if its is not table or len(values) >= size:
            if table is not None and values:
                yield table, values
            table, values = its, []
        values.append(its.values(row))
    if table is not None and values:
        yield table, values


def _insert(connection: apsw.Connection, table: Table, values: list[tuple[Any, ...]], conflict: str) -> int:
    before = connection.total_changes()
    marks = ", ".join("?" * len(table.columns))
    names = ", ".join(table.names)
    connection.executemany(f"INSERT OR {conflict} INTO {table.name} ({names}) VALUES ({marks})", values)
    return connection.total_changes() - before


def _keep(connection: apsw.Connection, table: Table, values: list[tuple[Any, ...]]) -> int:
    if table in OBSERVED:
        return keep_observed(connection, table, values)
    return _insert(connection, table, values, "IGNORE")


def _import(connection: apsw.Connection, table: Table, values: list[tuple[Any, ...]]) -> int:
    return _keep(connection, table, without_merged(connection, values) if table is RUNS else values)


def _replace(connection: apsw.Connection, table: Table, values: list[tuple[Any, ...]]) -> int:
    return _insert(connection, table, values, "REPLACE")


def _clear(
    connection: apsw.Connection, table: Table, values: list[tuple[Any, ...]], told: set[tuple[Any, ...]]
) -> None:
    """Forget what is there of each whole that these rows begin to tell; `told` are those of this transaction."""
    wholes = {(table.name, *row[:2]) for row in values} - told
    first, second = table.names[:2]
    connection.executemany(
        f"DELETE FROM {table.name} WHERE {first} = ? AND {second} = ?", [whole[1:] for whole in sorted(wholes)]
    )
    told |= wholes


def _history(connection: apsw.Connection, table: Table, values: list[tuple[Any, ...]]) -> int:
    """See `store.versioning`."""
    names, length = table.key[:-1], len(table.key)
    same = " AND ".join(f"{name} = ?" for name in names)
    found_sql = f"SELECT {', '.join(table.names)} FROM {table.name} WHERE {same} AND valid_from"
    newest_sql = f"{found_sql} < ? ORDER BY valid_from DESC LIMIT 1"
    later_sql = f"{found_sql} >= ? ORDER BY valid_from LIMIT 1"
    close_sql = f"UPDATE {table.name} SET valid_to = ? WHERE {same} AND valid_from = ?"
    future = horizon(now_ms())
    new = 0
    for row in values:
        key, until = row[: len(names)], future if row[length - 1] < future else 2**62
        found = connection.execute(newest_sql, (*key, until)).fetchone()
        newest = as_of(found, length, until) if found is not None else None
        meeting = meet(newest, row, length)
        if meeting.closes_at is not None and newest is not None:
            connection.execute(close_sql, (meeting.closes_at, *key, newest[length - 1]))
        if meeting.adds:
            later = connection.execute(later_sql, (*key, until)).fetchone()
            new += _insert(connection, table, [until_later(row, later, length)], "IGNORE")
    return new


_WRITERS = {"ignore": _keep, "replace": _replace, "version": _history, "replace_partition": _replace}
