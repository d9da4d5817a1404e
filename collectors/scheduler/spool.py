"""Rows that a run could not record: saved beside the store when the run ends, and written by the next one that can."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from store import Store, StoreError
from store.pending import PendingFile, pending_bytes, pending_paths, sweep_pending, write_pending
from store.schema import Row

MOST_BYTES = 64 << 20
"""Of all runs together."""
LOOK_EVERY_S = 60.0


class Spool:
    """The files that wait for one store. Not to be used from several threads."""

    def __init__(self, beside: Path, say: Callable[[str], None]) -> None:
        """`beside`: the store's file, or what stands for a server."""
        self._beside = beside
        self._say = say
        self._file: PendingFile | None = None
        self._look_at = 0.0
        self._reported: set[str] = set()

    def save(self, rows: Sequence[Row]) -> bool:
        """Save rows in a file; false when they are lost, which is reported."""
        try:
            path = write_pending(self._beside, "spool", rows, most_bytes=MOST_BYTES - pending_bytes(self._beside))
        except (OSError, ValueError) as problem:
            self._say(f"{len(rows):,} rows are lost: they could not be saved beside the store: {problem}")
            return False
        self._say(f"{len(rows):,} rows are saved in {path}: the next run that can write to the store imports them")
        return True

    def import_rows(self, store: Store, for_s: float) -> None:
        """Write what is saved, for about so long. What cannot be written stays."""
        until = time.monotonic() + for_s
        try:
            while time.monotonic() < until and (self._file or self._next_file()):
                assert self._file is not None
                if not self._file.step(store):
                    self._say(
                        f"imported {self._file.read:,} rows from {self._file.path.name}, {self._file.new:,} of them new"
                    )
                    self._file = None
        except StoreError as problem:
            self._report_once(
                f"{problem}. The rows in {self._file.path if self._file else self._beside} will be imported later"
            )
            self.close()
        except (OSError, ValueError) as problem:
            self._refuse(problem)

    def close(self) -> None:
        """Release the file that is being imported; the next run starts it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _next_file(self) -> bool:
        """Open the next file that no other process is importing."""
        if time.monotonic() < self._look_at:
            return False
        sweep_pending(self._beside)
        for path in pending_paths(self._beside):
            try:
                self._file = PendingFile(path)
            except (BlockingIOError, FileNotFoundError):
                continue
            return True
        self._look_at = time.monotonic() + LOOK_EVERY_S
        return False

    def _refuse(self, problem: Exception) -> None:
        """Rename a file that cannot be read, so that its owner can look at it."""
        path = self._file.path if self._file else self._beside
        self.close()
        if isinstance(problem, ValueError):
            path.rename(path.with_name(f"{path.name}.refused"))
            self._say(f"{path} cannot be imported ({problem}): it was renamed to {path.name}.refused")
        else:
            self._report_once(f"the rows in {path} could not be read: {problem}")

    def _report_once(self, text: str) -> None:
        if text not in self._reported:
            self._reported.add(text)
            self._say(text)
