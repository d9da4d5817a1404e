"""Copies of a SQLite store: made while it is written, put back, and made before a migration."""

from __future__ import annotations

import glob
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import apsw

from store.migrations import INCREMENTAL, refuse_foreign
from store.part_files import part_file, part_folder, sync_path
from store.paths import has_wal, links_of
from store.private import make_private_folder
from store.protocol import StoreError

PAGES_A_STEP = 2_000
Count = Callable[[int], None]
NOT_READABLE = (apsw.CorruptError, apsw.NotADBError, apsw.SQLError)
CANNOT_SHARE = (apsw.ReadOnlyError, apsw.CantOpenError, apsw.FullError, apsw.IOError)
"""How SQLite fails when it may not make, or has no room for, what readers and writers share beside the file."""
COPIES_KEPT = 2
"""Of those that were made before a migration."""


def pages_of(path: Path) -> int:
    """How many pages a file has, for a progress bar."""
    return path.stat().st_size // 4_096


def back_up(source: Path, target: Path, count: Count = lambda _: None) -> None:
    """Copy a store as it is at this moment, also while it is written, to a new file for its owner alone. The file gets
    its name when it is complete and checked. A source on a full disk, or in a folder that may not be written, is read
    without changing anything there. Raises StoreError.
    """
    refuse_existing(target)
    with plain_errors(f"{source} could not be copied to {target}"):
        make_private_folder(target.parent)
        with part_file(target) as part:
            _copy(source, part, count)


def back_up_before_migration(path: Path, version: int) -> None:
    """Copy a store beside itself before its schema changes, and keep the newest two such copies. Raises StoreError."""
    target = path.with_name(f"{path.name}.schema-{version}-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}")
    try:
        back_up(path, target)
    except StoreError as problem:
        raise StoreError(
            f"{problem}. The store was written by an older Uptoken, and a copy is needed before its schema changes: "
            "make room for a second file of its size"
        ) from problem
    copies = sorted(path.parent.glob(f"{glob.escape(path.name)}.schema-*"), key=lambda copy: copy.name[-22:])
    for copy in copies[:-COPIES_KEPT]:
        copy.unlink()


def restore(copy: Path, target: Path, count: Count = lambda _: None) -> Path | None:
    """Put a copy in a store's place; returns where the store that was there lies now. Raises StoreError.

    Nobody may write the store meanwhile. Neither the copy nor what was there is changed. Whenever this is killed, one
    of the two is the store.
    """
    with plain_errors(f"{copy} could not be put in the place of {target}"):
        if not copy.is_file():
            raise StoreError(f"there is no file {copy}")
        with reader(copy, target) as connection:
            refuse_foreign(connection, str(copy))
        check(copy, target)
        for link in links_of(target):  # a restore that was killed after it had made this name
            if not has_wal(link):
                link.unlink()
        with part_file(target) as part:
            _copy(copy, part, count)
            _make_shrinkable(part)
            aside = _link_aside(target)
        _remove_logs(target)  # a reader may have made them between the last step and the replacement
        return aside


def _copy(source: Path, part: Path, count: Count) -> None:
    with reader(source, part) as old, closing(apsw.Connection(str(part))) as new:
        old.execute("BEGIN")  # one snapshot: without it, each tick of a collector would start the copy again
        refuse_foreign(old, str(source))
        with new.backup("main", old, "main") as backup:
            while not backup.done:
                before = backup.remaining
                backup.step(PAGES_A_STEP)
                count(max(0, before - backup.remaining))
        new.execute("PRAGMA journal_mode=DELETE")
    check(part)


def _make_shrinkable(part: Path) -> None:
    """Rewrite a file so that it can give free pages back to the disk; without room it stays as it is."""
    with suppress(apsw.FullError, apsw.IOError), closing(apsw.Connection(str(part))) as connection:
        if connection.execute("PRAGMA auto_vacuum").get != INCREMENTAL:
            connection.execute(f"PRAGMA auto_vacuum={INCREMENTAL}")
            connection.execute("VACUUM")


def check(path: Path, scratch: Path | None = None) -> None:
    """Raises StoreError when SQLite finds something wrong in a file."""
    with reader(path, scratch or path) as connection:
        try:
            findings = [text for (text,) in connection.execute("PRAGMA quick_check(3)")]
        except apsw.Error as problem:
            findings = [str(problem)]
    if findings != ["ok"]:
        raise StoreError(
            f"{path} is damaged ({findings[0]}): `python -m collectors repair` writes what can be read to a new file"
        )


def refuse_existing(target: Path) -> None:
    """Raises StoreError for a file that exists."""
    if target.exists():
        raise StoreError(f"{target} already exists: choose another name, or move it away")


def _link_aside(path: Path) -> Path | None:
    """Give a store a second name, with its WAL, and leave nothing beside the first one that SQLite would take for part
    of the new file.
    """
    if not path.exists():
        return None
    wal = path.with_name(f"{path.name}-wal")
    with suppress(apsw.Error), closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
        connection.set_busy_timeout(2_000)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    aside = path.with_name(f"{path.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}")
    if has_wal(path):  # a damaged store, or one that is still read
        _link(wal, aside.with_name(f"{aside.name}-wal"))
    _link(path, aside)
    sync_path(path.parent)
    _remove_logs(path)
    return aside


def _link(path: Path, name: Path) -> None:
    try:
        name.hardlink_to(path)
    except OSError:  # a file system without hard links
        with part_file(name) as part:
            shutil.copyfile(path, part)


def _remove_logs(path: Path) -> None:
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


@contextmanager
def plain_errors(what: str) -> Iterator[None]:
    """Raises StoreError, with `what` and the reason, for what SQLite and the disk raise."""
    try:
        yield
    except (apsw.Error, OSError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else problem
        raise StoreError(f"{what}: {reason}") from problem


@contextmanager
def reader(path: Path, scratch: Path) -> Iterator[apsw.Connection]:
    """A connection that changes nothing. Where SQLite may not create, or has no room for, its files beside the store,
    nobody else has it open: then the file alone is read, or with a WAL a copy of both beside `scratch`.
    """
    if not path.is_file():
        raise StoreError(f"there is no store at {path}")
    try:
        connection = _connect(str(path))
    except CANNOT_SHARE:
        pass
    else:
        with closing(connection):
            yield connection
        return
    if not has_wal(path):
        before = _state(path)
        with closing(_connect(f"{path.absolute().as_uri()}?immutable=1")) as connection:
            yield connection
        if has_wal(path) or _state(path) != before:
            raise StoreError(f"{path} is being written: stop what writes it, and try again")
        return
    with temporary_copy(path, scratch) as copy, closing(apsw.Connection(str(copy))) as connection:
        yield connection


def _connect(name: str) -> apsw.Connection:
    connection = apsw.Connection(name, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        connection.set_busy_timeout(10_000)
        with suppress(*NOT_READABLE):  # the caller reports it
            connection.execute("SELECT 1 FROM sqlite_schema").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def temporary_copy(source: Path, beside: Path) -> Iterator[Path]:
    """A copy to read: reading a store that was not closed properly changes its files. Raises OSError, and StoreError
    when the store is written meanwhile.
    """
    with part_folder(beside.with_name(f"{beside.name}-copy")) as folder:
        files = {ending: source.with_name(source.name + ending) for ending in ("", "-wal")}
        before = [_state(path) for path in files.values()]
        for ending, path in files.items():
            if path.exists():
                shutil.copyfile(path, folder / ("store.db" + ending))
        if [_state(path) for path in files.values()] != before:
            raise StoreError(f"{source} is being written: stop what writes it, and try again")
        yield folder / "store.db"


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
