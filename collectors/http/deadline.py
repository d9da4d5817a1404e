"""A deadline for a whole exchange, not for each read: when it passes, the exchange's socket is shut down.

A socket's own time-out starts anew with every byte, so a server that drips a byte a second is never too late for it.
One watching thread serves all deadlines.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import socket
import threading
import time


class Deadline:
    """The moment at which one exchange must be over; `passed` says that it was not."""

    def __init__(self, seconds: float) -> None:
        self.at = time.perf_counter() + seconds
        self.passed = False
        self._over = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        _WATCH.add(self)

    @property
    def remaining_s(self) -> float:
        """Seconds that are left; at least a millisecond, so that it can be a socket's time-out."""
        return max(self.at - time.perf_counter(), 0.001)

    def guard(self, connected: socket.socket) -> None:
        """Shut this socket down when the time is over, whatever waits on it then (TLS, headers or body)."""
        # a descriptor of our own: TLS takes the original one away, and shutting down a copy ends the connection too
        copy = socket.socket(fileno=os.dup(connected.fileno()))
        with self._lock:
            old, self._socket = self._socket, copy
            if self._over:
                self._socket = None
                copy.close()
        if old is not None:
            old.close()
        if self.passed:
            with contextlib.suppress(OSError):
                copy.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """The exchange is over: leave its connection alone from now on."""
        with self._lock:
            self._over = True
            copy, self._socket = self._socket, None
        if copy is not None:
            copy.close()

    def strike(self) -> None:
        """Called by the watch when the moment has come."""
        with self._lock:
            if self._over:
                return
            self.passed = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)


class _Watch:
    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Deadline]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition(threading.RLock())
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        with self._changed:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()

    def add(self, deadline: Deadline) -> None:
        with self._changed:
            self.start()
            heapq.heappush(self._heap, (deadline.at, next(self._numbers), deadline))
            if self._heap[0][2] is deadline:
                self._changed.notify()

    def strike_all(self) -> None:
        with self._changed:
            deadlines = [deadline for _, _, deadline in self._heap]
            self._heap.clear()
        for deadline in deadlines:
            deadline.strike()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._heap:
                    self._changed.wait()
                wait_s = self._heap[0][0] - time.perf_counter()
                if wait_s > 0:
                    self._changed.wait(wait_s)
                    continue
                deadline = heapq.heappop(self._heap)[2]
            deadline.strike()


_WATCH = _Watch()


def watch() -> None:
    """Start the watching thread, before others take the last one. Raises RuntimeError when there is none left."""
    _WATCH.start()


def end_all() -> None:
    """End every exchange that is under way, as if its time were over: the process is about to stop."""
    _WATCH.strike_all()
