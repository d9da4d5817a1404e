"""Locks between the collectors of one store, which the system releases when their process ends, however it ends.

Runs overlap: each holds a byte of the lock file for as long as it lives, so that the others know whether it still does,
and `flock` on the same file only while it plans or records. Work on the file itself (`restore`, `repair`, `rebuild`)
takes the bytes of all runs, and so keeps runs away.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from store import StoreError
from store.private import make_private_folder
from store.url import parse_store_url

_RUNS_AT, _RUNS = 1 << 41, 1 << 40
_PERMITS_AT = 1 << 42
_PERMITS_OF_ONE = 256
_POLL_S = 0.005
PERMIT_POLL_S = 0.01


class LockedError(Exception):
    """Runs are kept away from this store, or another one does not stop planning."""


def lock_path(store_url: str) -> Path:
    """Beside a store that is a file, wherever a symbolic link to it lies; in `data/` for a server, where all runs from
    one checkout meet: `/tmp` may be private to a unit.
    """
    path = parse_store_url(store_url).file
    if path is not None:
        return path.with_name(f"{path.name}.collector-lock")
    name = hashlib.sha256(store_url.encode()).hexdigest()[:16]
    return Path("data") / f"server-{name}.collector-lock"


def new_run() -> int:
    """A number for a run: its process's id, and 16 random bits."""
    return os.getpid() << 16 | secrets.randbits(16)


class LockFile:
    """An open lock file. Its locks are its own, so two of them exclude each other in one process, too."""

    def __init__(self, path: Path) -> None:
        """Raises OSError when the file cannot be made."""
        make_private_folder(path.parent)
        self.path = path
        self._descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)

    def join(self, run: int) -> None:
        """Be known as a living run from now on. Raises LockedError while `restore`, `repair` or `rebuild` works."""
        if not _lock(self._descriptor, _RUNS_AT + run):
            raise LockedError("the store is being restored, repaired or rebuilt")

    def lives(self, run: int) -> bool:
        """Whether the process of another run is still there."""
        return _holder(self._descriptor, _RUNS_AT + run, 1) is not None

    def any_run(self) -> int | None:
        """The process id of a living run, or null when there is none."""
        start = _holder(self._descriptor, _RUNS_AT, _RUNS)
        return None if start is None else (start - _RUNS_AT) >> 16

    def keep_runs_away(self) -> bool:
        """Take the bytes of all runs; false when one of them lives."""
        return _lock(self._descriptor, _RUNS_AT, _RUNS)

    @contextmanager
    def exclusive(self, wait_s: float) -> Iterator[None]:
        """Plan or record alone. Raises LockedError after `wait_s`."""
        until = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise LockedError(
                        f"another run (process {self.any_run() or 'unknown'}) has been planning for {wait_s:g} s"
                    ) from None
                time.sleep(_POLL_S)
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Release everything."""
        os.close(self._descriptor)


@contextmanager
def hold_permit(path: Path, name: str, count: int, stop: threading.Event) -> Iterator[bool]:
    """Hold one of `count` permits called `name`, in all processes together; wait for it until `stop`.

    Yields whether it is held. Permits are polled: waiting for one delays the start of a probe, never its times.
    """
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4])
    start = _PERMITS_AT + number * _PERMITS_OF_ONE
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        while not (is_held := any(_lock(descriptor, start + place) for place in range(min(count, _PERMITS_OF_ONE)))):
            if stop.wait(PERMIT_POLL_S):
                break
        yield is_held
    finally:
        os.close(descriptor)


@contextmanager
def nobody_writes(store_url: str, *, only_reading: bool = False) -> Iterator[None]:
    """Keep collectors away from a store for as long as its file is worked on. Raises StoreError.

    Where no lock file can be made (a folder that may not be written, a full disk) no collector can run, either: that is
    enough for `only_reading`.
    """
    path = lock_path(store_url)
    try:
        file = LockFile(path)
    except OSError as problem:
        if only_reading and not _has_run(path):
            yield
            return
        raise StoreError(f"could not create the lock file beside the store: {problem}") from problem
    try:
        if not file.keep_runs_away():
            holder = file.any_run() or "unknown"
            raise StoreError(f"another collector is running for this store (process {holder}): stop it first")
        yield
    finally:
        file.close()


@contextmanager
def writing(store_url: str) -> Iterator[None]:
    """Be known as one who writes: `restore`, `repair` and `rebuild` stay away meanwhile. Raises StoreError."""
    try:
        file = LockFile(lock_path(store_url))
    except OSError as problem:
        raise StoreError(f"could not create the lock file beside the store: {problem}") from problem
    try:
        file.join(new_run())
        yield
    except LockedError as problem:
        raise StoreError(f"{problem}: try again afterwards") from problem
    finally:
        file.close()


def _has_run(path: Path) -> bool:
    """As `LockFile.any_run`, where the file may only be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        return _holder(descriptor, _RUNS_AT, _RUNS) is not None
    finally:
        os.close(descriptor)


def _lock(descriptor: int, start: int, length: int = 1) -> bool:
    with suppress(BlockingIOError, PermissionError):
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _range(fcntl.F_WRLCK, start, length))
        return True
    return False


def _holder(descriptor: int, start: int, length: int) -> int | None:
    """Where another lock in this range begins; null when there is none."""
    found = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _range(fcntl.F_WRLCK, start, length))
    kind, _, begins, *_ = struct.unpack_from("hhqqi", found)
    return None if kind == fcntl.F_UNLCK else int(begins)


def _range(kind: int, start: int, length: int) -> bytes:
    """C's `struct flock`."""
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, start, length, 0)
