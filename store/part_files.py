"""Files that get their name when they are complete, and leftovers of processes that died while writing one."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_NAME = re.compile(r"\..+\.[0-9a-f]{8}\.part")
_BESIDE = ("-wal", "-shm", "-journal")


@contextmanager
def part_file(target: Path) -> Iterator[Path]:
    """A new empty file beside `target`, for its owner alone, that takes the place of `target` in one step when the
    block ends well, and is removed when it does not. Raises OSError.
    """
    with _part(target, is_folder=False) as part:
        yield part
        sync_path(part)
        part.replace(target)
        sync_path(target.parent)


@contextmanager
def part_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target`. Raises OSError."""
    with _part(target, is_folder=True) as part:
        yield part


def remove_leftovers(target: Path) -> None:
    """Remove what dead processes left that made `target`."""
    remove_leftovers_in(target.parent, re.escape(target.name))


def remove_leftovers_in(folder: Path, names: str) -> None:
    """Remove what dead processes left that made a file whose name matches the pattern: a living one holds a lock on its
    part, wherever it runs.
    """
    with suppress(OSError):
        for path in sorted(folder.glob(".*.part")):
            if _NAME.fullmatch(path.name) and re.fullmatch(names, path.name[1:-14]):
                _remove_dead(path)


def sync_path(path: Path) -> None:
    """Flush a file, or a folder's names, to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _part(target: Path, *, is_folder: bool) -> Iterator[Path]:
    remove_leftovers(target)
    part, descriptor = _new_part(target, is_folder)
    while not part.exists():  # somebody swept before it was locked
        os.close(descriptor)
        part, descriptor = _new_part(target, is_folder)
    # closed last: closing any descriptor of a file drops the locks that SQLite has on it in this process
    try:
        yield part
    finally:
        _remove(part)
        os.close(descriptor)


def _new_part(target: Path, is_folder: bool) -> tuple[Path, int]:
    """A new file or folder, and the descriptor that holds its lock."""
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    if is_folder:
        part.mkdir(mode=0o700)
    flags = os.O_RDONLY if is_folder else os.O_CREAT | os.O_EXCL | os.O_RDWR
    descriptor = os.open(part, flags, 0o600)
    with suppress(OSError):  # a file system without locks: nobody sweeps there, either
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    return part, descriptor


def _remove_dead(part: Path) -> None:
    descriptor = os.open(part, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(part)
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)


def _remove(part: Path) -> None:
    with suppress(OSError):
        for ending in _BESIDE:
            part.with_name(part.name + ending).unlink(missing_ok=True)
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)
