"""Of the overlapping runs of one store, one at a time evaluates and sends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

LOOP = b"loop"


class AlertLock:
    """A lock that the system releases when its process ends, however it ends. Without a path nobody else is there."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._descriptor: int | None = None
        self.is_held = path is None

    def take(self, *, as_loop: bool) -> bool:
        """Take it, unless another process holds it. Raises OSError when the file cannot be made."""
        if self.is_held or self._path is None:
            return True
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, LOOP if as_loop else b"", 0)
        self.is_held = True
        return True

    @property
    def is_held_by_loop(self) -> bool:
        """Whether a process holds it that stays: a single run leaves the alerts to it."""
        return self._descriptor is not None and not self.is_held and os.pread(self._descriptor, 8, 0) == LOOP

    def close(self) -> None:
        """Release it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor, self.is_held = None, False
