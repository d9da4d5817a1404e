"""The threads that run jobs. Where the system starts no more of them, work waits for one that is there."""

from __future__ import annotations

import _thread
import threading
from collections import deque
from collections.abc import Callable

Job = Callable[[], None]


class Workers:
    """Up to `most` threads, started as they are needed.

    concurrent.futures keeps work whose thread could not be started and raises all the same, so that it is done twice;
    and `threading.Thread.start` waits for ever for a thread that dies of a lack of memory before it began.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._threads = 0
        self._idle = 0
        self._closed = False

    def submit(self, job: Job) -> None:
        """Do `job`, which must not raise, in a thread. Raises RuntimeError when there is no thread and none starts."""
        with self._changed:
            if self._idle <= len(self._jobs) and self._threads < self._most:
                self._start_thread()
            self._jobs.append(job)
            self._changed.notify()

    def limit(self, most: int) -> None:
        """Start no more threads than `most` from now on."""
        with self._changed:
            self._most = most

    def close(self) -> None:
        """Drop what has not begun, and let the threads end."""
        with self._changed:
            self._closed = True
            self._jobs.clear()
            self._changed.notify_all()

    def _start_thread(self) -> None:
        self._threads += 1
        try:
            _thread.start_new_thread(self._work, ())
        except (RuntimeError, MemoryError):
            self._threads -= 1
            if not self._threads:
                raise

    def _work(self) -> None:
        try:
            while (job := self._next()) is not None:
                job()
        finally:
            with self._changed:
                self._threads -= 1

    def _next(self) -> Job | None:
        with self._changed:
            self._idle += 1
            try:
                while not self._jobs and not self._closed:
                    self._changed.wait()
                return self._jobs.popleft() if self._jobs else None
            finally:
                self._idle -= 1
