"""Writes what passed into the store, from a thread of its own: the relay never waits for it, and never fails with it.

Rows wait in a bounded queue for less than a second, so that `kill -9` loses no more. A store that is locked or broken
is tried again, less and less often; what does not fit into the queue meanwhile is dropped and counted.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import closing, suppress

from settings.secrecy import hidden
from store import Store, StoreError
from store.clock import DAY_MS, now_ms
from store.schema import RELAY, Request, Run
from store.traffic import refresh_usage

MOST_QUEUED = 10_000
BATCH_ROWS = 500
BATCH_S = 0.5
"""Half of the time that a row may wait; the other half is for writing it."""
PATIENCE_S = 1.0
"""How long a batch waits for a store that another program holds, before it is tried again."""
FIRST_RETRY_S, LONGEST_RETRY_S, STEP_S = 0.25, 5.0, 0.05
DOUBTED_AFTER = 3
"""Failures in a row after which a batch is written in parts: a row that no store takes would stop all others."""
RUN_EVERY_S = 60.0
"""How often the counters become a row of `runs`."""
USAGE_EVERY_S, FIRST_USAGE_S = 60.0, 1.0
SHARE_OF_TIME = 20
"""A day's usage is made anew no more often than so many times as long as that takes."""
LATE_MS = 600_000
"""So long into a day the one before is made once more: a relay elsewhere may have written its last rows late."""


class Recorder:
    """Takes rows from any thread. `queued`, `written`, `dropped` count them; `last_error` says why the last batch could
    not be written, null when it could.
    """

    def __init__(self, open_store: Callable[[], Store], *, most_queued: int = MOST_QUEUED) -> None:
        self._open_store = open_store
        self._most_queued = most_queued
        self._rows: deque[Request] = deque()
        self._wakes = threading.Event()
        self._stop_at: float | None = None
        self._store: Store | None = None
        self._failures = 0
        self.written = self.dropped = 0
        self.last_error: str | None = None
        self._counters = _Counters()
        self._usage = _UsageRefresher(open_store)
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)
        self._thread.start()

    @property
    def queued(self) -> int:
        """Rows that are not in the store yet."""
        return len(self._rows)

    def record(self, row: Request) -> None:
        """Take a row. Never blocks and never raises; a row that finds the queue full is dropped."""
        if len(self._rows) >= self._most_queued or not self._thread.is_alive():
            self.dropped += 1
            return
        self._rows.append(row)
        if len(self._rows) >= BATCH_ROWS:
            self._wakes.set()

    def close(self, timeout_s: float) -> None:
        """Write what waits, and end; what cannot be written within the time is dropped and counted."""
        self._stop_at = time.monotonic() + timeout_s
        self._wakes.set()
        self._thread.join(timeout_s + 2 * PATIENCE_S)

    # -- in the thread

    def _work(self) -> None:
        while True:
            stop_at = self._stop_at  # read once: a `close` between two readings would end this without the last run
            went_well = self._write_all(is_last=stop_at is not None)
            if stop_at is not None and ((went_well and not self._rows) or time.monotonic() >= stop_at):
                break
            if self._failures:
                self._rest(min(FIRST_RETRY_S * 2 ** min(self._failures - 1, 10), LONGEST_RETRY_S))
            else:
                self._wakes.wait(BATCH_S)
            self._wakes.clear()
        self.dropped += len(self._rows)
        self._rows.clear()
        self._usage.finish()
        self._let_go()

    def _rest(self, seconds: float) -> None:
        """After an error. Rows that come do not end it; the end of the relay makes it short."""
        until = time.monotonic() + seconds
        time.sleep(min(STEP_S, seconds))
        while self._stop_at is None and time.monotonic() < until:
            time.sleep(STEP_S)

    def _write_all(self, *, is_last: bool) -> bool:
        """Whether all that waited is in the store."""
        try:
            while self._rows:
                batch = [self._rows[place] for place in range(min(BATCH_ROWS, len(self._rows)))]
                self._counters.note_queue(len(self._rows), batch[-1].location)
                self._write_batch(batch)
                self._usage.note(batch)
            run = self._counters.row(self.written, self.dropped, at_once=is_last)
            if run is not None:
                self._opened().write([run])
                self._counters.begin(run)
        except Exception as problem:  # noqa: BLE001  whatever it is, the relay goes on
            self._failures += 1
            self.last_error = self._counters.error = _sentence(problem)
            self._let_go()
            return False
        self._failures, self.last_error = 0, None
        self._usage.begin_if_due()
        return True

    def _write_batch(self, batch: list[Request]) -> None:
        """A batch that fails as a whole stays at the head of the queue. Raises StoreError and what else a store may."""
        lost = 0
        try:
            self._opened().write(batch)
        except Exception:
            if self._failures < DOUBTED_AFTER:
                raise
            lost = self._write_what_goes(batch)
        for _ in batch:
            self._rows.popleft()
        self.written += len(batch) - lost
        self.dropped += lost

    def _write_what_goes(self, batch: list[Request]) -> int:
        """Write a batch in smaller and smaller parts; how many of its rows no store would take. Raises what the last
        one did when none is taken, as of a store that is locked.
        """
        gives_up_at = time.monotonic() + 2 * PATIENCE_S
        parts, refused, taken = [batch], list[Request](), 0
        while parts:
            part = parts.pop()
            try:
                self._opened().write(part)
                taken += len(part)
            except Exception:
                if not taken and (time.monotonic() >= gives_up_at or (len(part) == 1 and not parts)):
                    raise
                middle = len(part) // 2
                if middle:
                    parts += [part[middle:], part[:middle]]
                else:
                    refused += part
        return sum(not self._takes(row) for row in refused)

    def _takes(self, row: Request) -> bool:
        """Whether a row that was refused among others is taken now: the store may have been locked just then."""
        try:
            self._opened().write([row])
        except Exception:  # noqa: BLE001  the row is at fault: others were written
            return False
        return True

    def _opened(self) -> Store:
        if self._store is None:
            self._store = self._open_store()
            self._store.patience_s = PATIENCE_S
        return self._store

    def _let_go(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            with suppress(StoreError, OSError):
                store.close()


class _Counters:
    """A minute of the recorder, as a row of `runs`."""

    def __init__(self) -> None:
        self._written = self._dropped = self._longest_queue = 0
        self._began_at = now_ms()
        self._location: str | None = None
        self.error: str | None = None

    def note_queue(self, length: int, location: str) -> None:
        """Before a batch is written."""
        self._longest_queue = max(self._longest_queue, length)
        self._location = location

    def row(self, written: int, dropped: int, *, at_once: bool) -> Run | None:
        """Null as long as the minute is not over, and of one in which nothing passed."""
        now = now_ms()
        rows, lost = written - self._written, dropped - self._dropped
        is_over = at_once or not 0 <= now - self._began_at < RUN_EVERY_S * 1_000
        if self._location is None or not is_over or not (rows or lost or self.error):
            return None
        began_at = min(self._began_at, now)  # a clock may have been set back
        return Run(RELAY, began_at, self._location, now, rows, lost, self.error, queued=self._longest_queue)

    def begin(self, told: Run) -> None:
        """Begin another minute, after what was told."""
        self._written += told.rows
        self._dropped += told.skipped
        self._began_at, self._longest_queue, self.error = told.ended_at, 0, None


class _UsageRefresher:
    """Makes the usage of days that changed anew, in a thread of its own: it may take longer than a row may wait."""

    def __init__(self, open_store: Callable[[], Store]) -> None:
        self._open_store = open_store
        today = _day(now_ms())
        self._changed = {today, today - DAY_MS}  # what a relay that was killed left undone
        self._settled_before = today
        self._next = time.monotonic() + FIRST_USAGE_S
        self._thread: threading.Thread | None = None

    def note(self, rows: Iterable[Request]) -> None:
        """These rows are in the store."""
        self._changed |= {_day(row.started_at) for row in rows}

    def begin_if_due(self) -> None:
        """Begin, when that is due and not under way."""
        settled = _day(now_ms() - LATE_MS)
        if settled > self._settled_before:
            self._changed.add(settled - DAY_MS)
            self._settled_before = settled
        is_under_way = self._thread is not None and self._thread.is_alive()
        if self._changed and not is_under_way and time.monotonic() >= self._next:
            self._thread = threading.Thread(target=self._refresh, name="recorder-usage", daemon=True)
            self._thread.start()

    def finish(self) -> None:
        """The last time, at the end of the relay."""
        if self._thread is not None:
            self._thread.join(PATIENCE_S)
        self._refresh()

    def _refresh(self) -> None:
        began, days = time.monotonic(), set(self._changed)
        self._changed -= days
        try:
            with closing(self._open_store()) as store:
                store.patience_s = PATIENCE_S
                refresh_usage(store, days)
        except Exception:  # noqa: BLE001  the next time makes up for it; that the store is broken, the rows say
            self._changed |= days
        self._next = time.monotonic() + max(USAGE_EVERY_S, SHARE_OF_TIME * (time.monotonic() - began))


def _day(moment: int) -> int:
    return moment - moment % DAY_MS


def _sentence(problem: Exception) -> str:
    """Of an unexpected error its kind alone: its words could be anything."""
    return hidden(str(problem))[:300] if isinstance(problem, StoreError) else f"unexpected {type(problem).__name__}"
