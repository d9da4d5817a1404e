"""Running the collectors: one tick for a timer, or tick after tick, aligned to the clock.

The main thread alone talks to the store. Ticks may overlap: a target that hangs keeps its own tick open and delays
nobody else's.
"""

from __future__ import annotations

import gc
import queue
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from collectors.registry import COLLECTORS
from collectors.scheduler.config import Config
from collectors.scheduler.report import Report
from collectors.scheduler.scene import Moment, Scene
from collectors.scheduler.schedule import next_tick
from collectors.scheduler.targets import changed_targets
from collectors.scheduler.tick import Tick
from store import Store, StoreError
from store.rows import Model, Row

MOST_THREADS = 512
GRACE_S = 2.0
TIDY_S = 0.1
"""How long forgetting old probes may take after a tick; what is left waits for the next one."""
DAY_MS = 86_400_000
MOST_UNSAVED_ROWS = 100_000
RETRY_AFTER_S = 5.0
BETWEEN_TICKS_S = 0.25
"""How long a loop waits for a store that another program holds: its next ticks should not be late for it."""


class Loop:
    """One process of collectors over one store."""

    def __init__(self, config: Config, store: Store, location: str, report: Report, only: Iterable[str] = ()) -> None:
        """Raises StoreError."""
        self._store = store
        self._report = report
        self._location = location
        self._names = tuple(only) or tuple(COLLECTORS)
        self._ended: queue.SimpleQueue[Tick] = queue.SimpleQueue()
        self._open = 0
        self._unsaved: list[Row] = []
        self._lost = 0
        self._keep_ms = config.collector.retention_days * DAY_MS
        self._tidied_day = -1
        self.stop = threading.Event()
        self._scene = Scene(config, store, location)
        gc.collect()
        gc.freeze()  # what is loaded stays: looking through it for garbage would stop every probe for milliseconds
        self._pool = ThreadPoolExecutor(MOST_THREADS, "errand")
        changed = changed_targets(store, config, location, _now_ms())
        if changed:
            store.write(changed)

    def once(self, *, everything: bool = False) -> int | None:
        """One tick over what is due. Returns null when something was, else when something will be (milliseconds UTC).

        Raises StoreError when what was seen could not be recorded.
        """
        now = _now_ms()
        later = self._start_ticks(Moment(now, now, everything))
        idle = not self._open
        while self._open and not self.stop.is_set():
            self._take(timeout_s=0.2)
        self._finish()
        self._save()
        if not idle:
            self._tidy()
        while _now_ms() == now:  # a run is known by the millisecond it began in: the next one begins in another
            time.sleep(0.0002)
        return later if idle and later is not None else None

    def every(self, seconds: float, *, everything: bool = False) -> None:
        """Tick at each multiple of `seconds` on the clock until `stop` is set. Raises StoreError as `once` does."""
        patience_s, self._store.patience_s = self._store.patience_s, BETWEEN_TICKS_S
        now = _now_ms()
        self._start_ticks(Moment(now, next_tick(now, seconds), everything))
        at = next_tick(now, seconds)
        retry_at = 0.0
        while not self.stop.is_set():
            now = _now_ms()
            if now >= at or at - now > 2 * seconds * 1_000:  # the second: the clock was set back
                self._start_ticks(Moment(now, next_tick(now, seconds)))
                at = next_tick(now, seconds)
            self._take(timeout_s=min(0.5, max(0.001, (at - _now_ms()) / 1_000)))
            if not self._open:
                self._tidy()
            if self._unsaved and time.monotonic() >= retry_at:
                retry_at = time.monotonic() + RETRY_AFTER_S
                self._try_to_save()
        self._store.patience_s = patience_s
        self._finish()
        self._save()

    def close(self) -> bool:
        """Let go of threads and connections; false when an errand is still under way."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._scene.close()
        return not self._open

    # -- ticks

    def _start_ticks(self, moment: Moment) -> int | None:
        """Start what is due; returns when the next thing will be."""
        nexts = []
        for name in self._names:
            due = COLLECTORS[name](self._scene, moment)
            nexts += [due.next_at] if due.next_at is not None else []
            if not due.errands and not due.skipped:
                continue
            tick = Tick(name, self._location, moment.now, due, self._ended.put, self._report.seen)
            self._report.planned(len(due.errands), due.skipped)
            if due.missed:
                self._report.say(
                    f"{name}: {due.missed:,} that were due meanwhile were missed: this process was held up"
                )
            self._open += 1
            tick.start(self._pool, self.stop)
        return min(nexts, default=None)

    def _take(self, timeout_s: float) -> None:
        """Wait for ticks to end, and record them."""
        try:
            tick = self._ended.get(timeout=timeout_s)
        except queue.Empty:
            return
        while True:
            self._open -= 1
            if tick.findings or tick.errors or not self.stop.is_set():  # a tick that never began is no run
                self._unsaved += [*tick.rows(_now_ms()), *self._scene.budget(_now_ms())]
            (self._scene.failed.add if tick.errors else self._scene.failed.discard)(tick.collector)
            for error in tick.errors:
                self._report.say(f"{tick.collector}: {error}")
            try:
                tick = self._ended.get_nowait()
            except queue.Empty:
                break
        self._try_to_save()

    def _finish(self) -> None:
        """After `stop`: give what is under way a moment, then end it."""
        if not self._open:
            return
        until = time.monotonic() + GRACE_S
        while self._open and time.monotonic() < until:
            self._take(timeout_s=0.1)
        if self._open:
            from collectors.http.deadline import end_all

            end_all()
        until = time.monotonic() + GRACE_S
        while self._open and time.monotonic() < until:
            self._take(timeout_s=0.1)

    # -- the store

    def _tidy(self) -> None:
        """Forget some of the raw probes that are older than they are kept, once a day until none is left."""
        before = _now_ms() - self._keep_ms
        until = time.monotonic() + TIDY_S
        try:
            while before // DAY_MS != self._tidied_day and time.monotonic() < until:
                if not self._store.tidy(before):
                    self._tidied_day = before // DAY_MS
        except StoreError as problem:
            self._tidied_day = before // DAY_MS  # tried again tomorrow: what is too old is no harm meanwhile
            self._report.say(f"old probes could not be forgotten: {problem}")

    def _try_to_save(self) -> None:
        try:
            self._save()
        except StoreError as problem:
            self._lost += max(0, len(self._unsaved) - MOST_UNSAVED_ROWS)
            del self._unsaved[:-MOST_UNSAVED_ROWS]
            lost = f"; {self._lost} older ones had to be dropped" if self._lost else ""
            self._report.say(f"{problem}. {len(self._unsaved)} rows are kept in memory and tried again{lost}")

    def _save(self) -> None:
        """Write what was not written yet, in one transaction. Raises StoreError."""
        if not self._unsaved:
            return
        self._store.write(self._unsaved)
        if any(isinstance(row, Model) for row in self._unsaved):
            self._scene.read_prices()
        self._unsaved.clear()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
