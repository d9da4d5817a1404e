"""One collector at a time for one store: a lock that the system lets go of when its process ends, however it ends."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from store import StoreError


class LockedError(Exception):
    """Another collector is running for this store."""


def lock_path(store_url: str) -> Path:
    """Beside a store that is a file; in the system's folder for temporary files for any other."""
    scheme, _, rest = store_url.partition(":///")
    if scheme == "sqlite" and rest:
        return Path(f"{rest}.collector-lock")
    name = hashlib.sha256(store_url.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"uptoken-{os.getuid()}-{name}.collector-lock"


@contextmanager
def nobody_writes(store_url: str) -> Iterator[None]:
    """Keep collectors away from a store for as long as its file is worked on. Raises StoreError."""
    try:
        with only_one(lock_path(store_url)):
            yield
    except LockedError as problem:
        raise StoreError(f"{problem}: stop it first") from None
    except OSError as problem:
        raise StoreError(f"the collector's lock beside the store could not be made: {problem}") from problem


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold the lock. Raises LockedError when another process holds it, OSError when the file cannot be made."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode(errors="replace").strip()
            raise LockedError(f"another collector is running for this store (process {holder or 'unknown'})") from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        os.close(descriptor)
