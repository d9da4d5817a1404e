"""The default store: one SQLite file in WAL mode, through apsw's own current SQLite.

Collectors write in short transactions; any number of readers open it read-only. Versions of SQLite before 3.51.3 can
corrupt a WAL database when two connections write or checkpoint at once, so an older library is refused.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import apsw

from store.backup import CANNOT_SHARE, back_up_before_migration
from store.batches import KeyRange, Values, in_batches
from store.migrations import INCREMENTAL, due_from, migrate, refuse_newer, refuse_older
from store.paths import has_wal
from store.private import make_private_folder
from store.protocol import ALL, NoStoreError, Selection, Series, StoreError
from store.rollups import COLUMNS, EXPORTED, Step
from store.run_rollup import roll_up_runs
from store.schema import INCIDENTS, PROBES, REQUESTS, Exclusion, Probe, Row, Table
from store.sqlite_derived import kept_since, prune, rebuild, remove_from, rollups_sql
from store.sqlite_queries import exported_rows_sql, stored_rows_sql, where_sql
from store.sqlite_targets import delete_target, exclude, rename_target
from store.sqlite_writing import WRITERS, delete_partitions, group_by_table, import_rows, intern_texts
from store.traffic import TrafficDay, TrafficMinute, days_sql, minutes_sql

OLDEST_SQLITE = (3, 51, 3)
PATIENCE_S = 10.0
LARGEST_WAL = 64 << 20
"""Bytes that the WAL keeps on the disk between two checkpoints."""
FREE_PAGES = 1_000
"""Pages of 4 kB that a file may keep for what is written next."""
PAGES_GIVEN_BACK = 500
"""In one transaction: some 10 ms."""
BATCH_ROWS = 2_000
"""Rows that one query of a long read gives: milliseconds, so that no transaction is open for longer."""


_NOT_YET = "there is no store at {} yet: the first `python -m collectors run` creates it"


def _has_tables(path: Path) -> bool:
    """An empty file, or one with only a header, is a store that is being created."""
    return path.stat().st_size > 4_096


def _refuse_old_library() -> None:
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < OLDEST_SQLITE:
        raise StoreError(
            f"this apsw brings SQLite {apsw.sqlite_lib_version()}, which can corrupt a database in WAL mode: "
            f"install apsw {'.'.join(map(str, OLDEST_SQLITE))} or newer (pip install -r requirements.txt)"
        )


def _create_private(path: Path) -> None:
    """Create the file for its owner only, before SQLite would create it for everybody."""
    make_private_folder(path.parent)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


class SqliteStore:
    """A `Store` in one file. Safe to use from many threads: each call borrows a connection of its own, and a
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
            raise NoStoreError(_NOT_YET.format(path))
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

    def _check_file(self) -> None:
        """A file that was removed or replaced while it is open would take rows that nobody ever sees again."""
        identity = _identity(self.path)
        if identity == self._file:
            return
        self._close_connections()
        if identity is None:
            raise StoreError(
                f"the store {self.path} was removed while it was open: put it back to continue, or restart the "
                "collector to create a new one"
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
        is complete: it is read as immutable.
        """
        try:
            with self._connection() as connection:
                version = refuse_newer(connection, str(self.path))
        except CANNOT_SHARE:
            if has_wal(self.path):
                raise StoreError(
                    f"could not open the store {self.path}: its write-ahead log can be read only where the folder is "
                    "writable and the disk has room; `python -m collectors backup FILE` makes a copy"
                ) from None
            self._close_connections()
            self._immutable = True
            with self._connection() as connection:
                version = refuse_newer(connection, str(self.path))
        if version == 0 and not _has_tables(self.path):
            raise NoStoreError(_NOT_YET.format(self.path))  # a writer is just creating it
        if version == 0:
            raise StoreError(f"{self.path} is not an Uptoken store: the first `python -m collectors run` creates one")
        refuse_older(version, str(self.path))

    def _close_connections(self) -> None:
        with self._guard:
            connections, self._idle = self._idle, []
        for connection in connections:
            connection.close()

    @contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (apsw.Error, OSError) as problem:
            raise StoreError(f"could not {verb} the store {self.path}: {_describe(problem)}") from problem

    # -- the protocol

    def write(self, rows: Iterable[Row], *, on_conflict: Literal["ignore"] | None = None) -> int:
        replaced: set[Values] = set()

        def work(connection: apsw.Connection) -> int:
            new = 0
            for table, values in group_by_table(rows):
                if table.is_derived:
                    raise StoreError(f"{table.name} cannot be written: the store derives its rows from the probes")
                if table.on_conflict == "replace_partition" and on_conflict is None:
                    delete_partitions(connection, table, values, replaced)
                values = intern_texts(connection, table, values)
                writer = import_rows if on_conflict and table.on_conflict != "version" else WRITERS[table.on_conflict]
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
        names = columns or table.names
        query = partial(exported_rows_sql if table in EXPORTED else stored_rows_sql, table, selection)
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

    def _query(
        self, sql: str, bindings: list[Any], convert: Callable[[Values], Values] | None
    ) -> Iterator[tuple[Any, ...]]:
        with self._rows(sql, bindings) as cursor:
            yield from cursor if convert is None else map(convert, cursor)

    def count(self, table: Table, selection: Selection = ALL) -> int:
        if table in EXPORTED:
            sql, bindings = rollups_sql(EXPORTED[table], selection, ())
            with self._rows(f"SELECT count(*) FROM ({sql})", bindings) as cursor:
                return int(cursor.get)
        where, bindings = where_sql(table, selection)
        with self._rows(f"SELECT count(*) FROM {table.name}{where}", bindings) as cursor:
            return int(cursor.get)

    def series(self, until: int | None = None) -> list[Series]:
        """One seek a series, whatever the length of its history; another where its newest probe
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
        """See `Upkeep.last_incidents`. One seek a series."""
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

    def incidents_within(self, since: int, until: int, targets: tuple[str, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """See `Upkeep.incidents_within`."""
        going_on = (row for row in self.last_incidents(since, targets) if row[4] is None or row[4] > since)
        return chain(going_on, self.read(INCIDENTS, Selection(since, until, targets)))

    def rollups(
        self, step: Step, selection: Selection = ALL, columns: tuple[str | None, ...] = COLUMNS
    ) -> Iterator[tuple[Any, ...]]:
        """The rows of a series lie side by side: a range of ids each."""
        sql, bindings = rollups_sql(step, selection, columns)
        with self._rows(sql, bindings) as cursor:
            yield from cursor

    def traffic_by_minute(self, selection: Selection = ALL) -> Iterator[TrafficMinute]:
        where, bindings = where_sql(REQUESTS, selection)
        with self._rows(minutes_sql(REQUESTS.name, where), bindings) as rows:
            yield from map(TrafficMinute._make, rows)

    def traffic_by_day(self, selection: Selection = ALL) -> Iterator[TrafficDay]:
        where, bindings = where_sql(REQUESTS, selection)
        with self._rows(days_sql(REQUESTS.name, where), bindings) as rows:
            yield from map(TrafficDay._make, rows)

    def size_bytes(self) -> int:
        """The file, and what is not yet in it."""
        files = (self.path.with_name(self.path.name + ending) for ending in ("", "-wal", "-shm"))
        return sum(path.stat().st_size for path in files if path.exists())

    def prune(self, before: int, checks_before: int | None = None) -> int:
        return self._in_transaction(lambda connection: prune(connection, before, checks_before))

    def compact(self, runs_before: int) -> int:
        """Free pages are given back from the file's end, in steps; in a file that was
        created before auto_vacuum was used, the next rows take them.
        """
        return self._in_transaction(lambda connection: roll_up_runs(connection, runs_before)) or self._in_transaction(
            _shrink_file
        )

    def kept_since(self) -> int:
        with self._errors("read"), self._connection() as connection:
            return kept_since(connection)

    def remove_from(self, moment: int, now: int) -> int:
        return self._in_transaction(lambda connection: remove_from(connection, moment, now))

    def rebuild(self) -> int:
        return self._in_transaction(rebuild)

    def exclude(self, exclusions: Sequence[Exclusion]) -> int:
        return self._in_transaction(lambda connection: exclude(connection, exclusions))

    def delete_target(self, name: str) -> int:
        return self._in_transaction(lambda connection: delete_target(connection, name))

    def rename_target(self, old: str, new: str) -> int:
        return self._in_transaction(lambda connection: rename_target(connection, old, new))

    def _in_transaction(self, work: Callable[[apsw.Connection], int]) -> int:
        with self._errors("write"):
            if not self.read_only:
                self._check_file()
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
        self._close_connections()


def _shrink_file(connection: apsw.Connection) -> int:
    """Shorten the file by some of its free pages; returns by how many."""
    free = int(connection.execute("PRAGMA freelist_count").get)
    if free <= FREE_PAGES or connection.execute("PRAGMA auto_vacuum").get != INCREMENTAL:
        return 0
    connection.execute(f"PRAGMA incremental_vacuum({min(PAGES_GIVEN_BACK, free - FREE_PAGES)})").fetchall()
    return free - int(connection.execute("PRAGMA freelist_count").get)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _describe(problem: BaseException) -> str:
    match problem:
        case apsw.BusyError():
            return "it was locked by another program for too long; stop that program, or try again"
        case apsw.FullError():
            return "the disk is full; make room and run again, nothing that was recorded is lost"
        case apsw.IOError():
            return f"a disk error ({problem}); check the disk, nothing that was recorded is lost"
        case apsw.CorruptError() | apsw.NotADBError():
            return f"the file is damaged or is not a database ({problem}); move it away before a new one is created"
        case apsw.ReadOnlyError() | apsw.PermissionsError() | PermissionError():
            return f"it cannot be written ({problem}); check the owner and the permissions of the file and its folder"
        case apsw.CantOpenError():
            return f"the file or its folder cannot be opened ({problem}); check that it exists and may be read"
        case _:
            return str(problem)
