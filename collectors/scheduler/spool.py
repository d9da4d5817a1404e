"""What a run could not record: kept beside the store when the run ends, and written by the next one that can."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from store import Store, StoreError
from store.pending import PendingFile, pending_bytes, pending_paths, sweep_pending, write_pending
from store.schema import Row

MOST_BYTES = 64 << 20
"""Of all runs together that could not record what they did."""
LOOK_EVERY_S = 60.0


class Spool:
    """The files that wait for one store. Not to be used from several threads."""

    def __init__(self, beside: Path, say: Callable[[str], None]) -> None:
        """`beside`: the store's file, or what stands for a server."""
        self._beside = beside
        self._say = say
        self._file: PendingFile | None = None
        self._look_at = 0.0
        self._said: set[str] = set()

    def save(self, rows: Sequence[Row]) -> bool:
        """Keep rows in a file; false when they are lost, which is said."""
        try:
            path = write_pending(self._beside, "spool", rows, most_bytes=MOST_BYTES - pending_bytes(self._beside))
        except (OSError, ValueError) as problem:
            self._say(f"{len(rows):,} rows are lost, they could not be kept beside the store: {problem}")
            return False
        self._say(f"{len(rows):,} rows are kept in {path}: the next run that can write the store takes them in")
        return True

    def take_in(self, store: Store, for_s: float) -> None:
        """Write what waits, for about so long. What cannot be written waits on."""
        until = time.monotonic() + for_s
        try:
            while time.monotonic() < until and (self._file or self._next_file()):
                assert self._file is not None
                if not self._file.step(store):
                    self._say(
                        f"{self._file.read:,} rows from {self._file.path.name} were taken in, {self._file.new:,} new"
                    )
                    self._file = None
        except StoreError as problem:
            self._say_once(f"{problem}. The rows in {self._file.path if self._file else self._beside} wait on")
            self.close()
        except (OSError, ValueError) as problem:
            self._set_aside(problem)

    def close(self) -> None:
        """Let go of a file that is taken in; the next run begins it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _next_file(self) -> bool:
        """Open the next file that no other process takes in."""
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

    def _set_aside(self, problem: Exception) -> None:
        """A file that cannot be understood is left for its owner to look at."""
        path = self._file.path if self._file else self._beside
        self.close()
        if isinstance(problem, ValueError):
            path.rename(path.with_name(f"{path.name}.refused"))
            self._say(f"the rows in {path} cannot be taken in ({problem}): it is {path.name}.refused now")
        else:
            self._say_once(f"the rows in {path} could not be read: {problem}")

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._say(text)
