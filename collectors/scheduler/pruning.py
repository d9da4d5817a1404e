"""Pruning raw probes and checks that are older than the configuration keeps them, between ticks.

Age is counted from what has surely passed (`collectors.scheduler.clock`), whatever the clock says.
"""

from __future__ import annotations

import time

from collectors.scheduler.clock import ClockState, passed_ms, read_clocks
from collectors.scheduler.console import ConsoleReport
from store import Store, StoreError
from store.clock import DAY_MS
from store.protocol import Compactable

PRUNE_S = 0.1
"""How long pruning may take after a tick; the rest waits for the next one."""
CHECKS_KEPT_DAYS = 400
"""At least. Checks are few; what a target is compared with takes months where its interval is long."""
RUNS_KEPT_MS = 30 * DAY_MS
"""Runs are kept one by one for so long, and by hour from then on."""


class Pruner:
    """Prunes once a day, a bounded amount after each tick, until nothing is left."""

    def __init__(self, store: Store, report: ConsoleReport, newest_at_start: int | None, retention_days: int) -> None:
        """`newest_at_start`: when the newest probe of the store began (milliseconds UTC)."""
        self._store = store
        self._report = report
        self._newest_at_start = newest_at_start
        self._started = read_clocks()
        self._pruned_day = -1
        self.retention_days = retention_days

    def prune(self, clock: ClockState | None) -> None:
        """Prune for a moment; what the store refuses is reported, and tried again the next day."""
        now = read_clocks()
        newest = self._newest_at_start and self._newest_at_start + now.boot_ms - self._started.boot_ms
        passed = passed_ms(clock, now, newest)
        if passed is None:
            return
        before = passed - self.retention_days * DAY_MS
        checks_before = passed - max(self.retention_days, CHECKS_KEPT_DAYS) * DAY_MS
        until = time.monotonic() + PRUNE_S
        try:
            while before // DAY_MS != self._pruned_day and time.monotonic() < until:
                if not self._store.prune(before, checks_before) and not self._compact(passed - RUNS_KEPT_MS):
                    self._pruned_day = before // DAY_MS
        except StoreError as problem:
            self._pruned_day = before // DAY_MS
            self._report.say(f"could not prune old probes: {problem}")

    def _compact(self, runs_before: int) -> int:
        return self._store.compact(runs_before) if isinstance(self._store, Compactable) else 0
