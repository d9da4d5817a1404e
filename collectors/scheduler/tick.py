"""One tick of one collector: its errands, each in a thread of its own, and the rows that they bring together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace

from collectors.http.redaction import redacted, root_cause, safe_error
from collectors.scheduler.network import judged
from collectors.scheduler.scene import Due, Errand, Finding, PartlyError
from store.rows import TABLE_OF, Row, Run

SPREAD_S = 0.0025
LONGEST_SPREAD_S = 0.25


def _without_secrets(row: Row) -> Row:
    """What a server said may be the key that it was sent, under whatever name."""
    told = [column.name for column in TABLE_OF[type(row)].columns if column.kind == "text" and column.nullable]
    changed = {
        name: clean for name in told if (text := getattr(row, name)) is not None and (clean := redacted(text)) != text
    }
    return replace(row, **changed) if changed else row  # type: ignore[arg-type]  # each of them has text columns


@dataclass
class Tick:
    """What one collector does at one moment. `done` is called once, from the thread of the last errand."""

    collector: str
    location: str
    started_at: int
    due: Due
    done: Callable[[Tick], None]
    seen: Callable[[str, list[Finding]], None]
    findings: list[Finding] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def start(self, pool: Executor, stop: threading.Event) -> None:
        """Send the errands off, a little apart: starting them all at once would make each of them late."""
        self._open = len(self.due.errands)
        self._lock = threading.Lock()
        if not self._open:
            self.done(self)
        began = time.monotonic()
        gap_s = min(SPREAD_S, LONGEST_SPREAD_S / max(1, self._open))
        for number, errand in enumerate(self.due.errands):
            pool.submit(self._go, errand, began + errand.delay_s + number * gap_s, stop)

    def _go(self, errand: Errand, starts_at: float, stop: threading.Event) -> None:
        findings: list[Finding] = []
        error = None
        try:
            if not stop.wait(max(0.0, starts_at - time.monotonic())):
                findings = errand.go(stop)
                self.seen(errand.name, findings)
        except PartlyError as problem:
            findings, error = problem.findings, f"{errand.name}: {problem}"
        except Exception as problem:  # noqa: BLE001  one errand that breaks must not take the others with it
            error = f"{errand.name}: {safe_error(root_cause(problem))}"
        with self._lock:
            self.findings += findings
            self.errors += [error] if error else []
            self._open -= 1
            last = not self._open
        if last:
            self.done(self)

    def rows(self, ended_at: int) -> list[Row]:
        """The tick's rows and the row of the run itself, for one transaction."""
        rows = [_without_secrets(finding.row) for finding in judged(self.findings)]
        error = None
        if self.errors:
            more = f" (and {len(self.errors) - 1} more)" if len(self.errors) > 1 else ""
            error = safe_error(self.errors[0] + more)
        left_out = len(self.due.skipped) + self.due.missed
        run = Run(self.collector, self.started_at, self.location, ended_at, len(rows), left_out, error)
        return [*rows, run]
