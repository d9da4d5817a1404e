"""How late this machine itself is: a thread that sleeps for a moment, over and over, and notes how long it overslept.

A probe that ran while the machine was overloaded is marked with the worst of it, not believed.
"""

from __future__ import annotations

import threading
import time
from collections import deque

NAP_S = 0.010
WORTH_NOTING_S = 0.001


class LagWatch:
    """Watches while anybody asks it to; idle otherwise."""

    def __init__(self) -> None:
        self._watched = 0
        self._changed = threading.Condition()
        self._late: deque[tuple[float, float]] = deque(maxlen=20_000)
        self._expected = 0.0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the watching thread. Raises RuntimeError when the system starts no more threads."""
        with self._changed:
            if self._thread is None:
                thread = threading.Thread(target=self._watch, name="lag", daemon=True)
                thread.start()
                self._thread = thread

    def begin(self) -> float:
        """Watch from now on; returns the moment, to be given to `end`."""
        self.start()
        with self._changed:
            self._watched += 1
            if self._watched == 1:
                self._expected = time.perf_counter() + NAP_S
                self._changed.notify()
        return time.perf_counter()

    def end(self, began: float) -> float:
        """The worst oversleep since `began`, in milliseconds."""
        now = time.perf_counter()
        with self._changed:
            self._watched -= 1
            worst = max(0.0, now - self._expected)
            for moment, late in reversed(self._late):
                if moment < began:
                    break
                worst = max(worst, late)
        return worst * 1_000

    def _watch(self) -> None:
        while True:
            with self._changed:
                while not self._watched:
                    self._changed.wait()
                self._expected = time.perf_counter() + NAP_S
            time.sleep(NAP_S)
            now = time.perf_counter()
            if now - self._expected > WORTH_NOTING_S:
                with self._changed:  # not while a probe that ends reads them
                    self._late.append((now, now - self._expected))
