"""One tick of one collector: its errands, each in a thread of its own, and what they found."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from collectors.http.own_limits import own_limit
from collectors.http.redaction import root_cause, safe_error
from collectors.scheduler.claims import Claim
from collectors.scheduler.console import report_bug
from collectors.scheduler.context import Job, PartlyError, Plan, Result, SkippedError
from collectors.scheduler.offline_detection import judged
from collectors.scheduler.workers import Workers
from settings.secrecy import redacted
from store.schema import TABLE_OF, Probe, Row, Run

SPREAD_S = 0.0025
LONGEST_SPREAD_S = 0.25
NO_MEMORY = "this process is out of memory: an errand ended without a row"


def _without_secrets(row: Row) -> Row:
    """What a server said may be the key that it was sent, under whatever name."""
    told = [column.name for column in TABLE_OF[type(row)].columns if column.kind == "text" and column.nullable]
    changed = {
        name: clean for name in told if (text := getattr(row, name)) is not None and (clean := redacted(text)) != text
    }
    return replace(row, **changed) if changed else row


@dataclass(frozen=True)
class Ended:
    """An errand that is over: what it found, and whether it ever began."""

    errand: Job
    findings: list[Result]
    began: bool = True

    @property
    def outcomes(self) -> list[str]:
        """How its probes ended."""
        return [finding.row.outcome for finding in self.findings if isinstance(finding.row, Probe)]


@dataclass
class Tick:
    """What one collector does at one moment. `done` is called once, from the thread of the last errand."""

    collector: str
    location: str
    started_at: int
    due: Plan
    done: Callable[[Tick], None]
    seen: Callable[[str, list[Result]], None]
    errors: list[str] = field(default_factory=list)
    row_count: int = 0
    _ended: list[Ended] = field(default_factory=list)
    _taken: int = 0
    _slots: list[int] = field(default_factory=list)

    def start(self, workers: Workers, stop: threading.Event) -> None:
        """Send the errands off, a little apart: starting them all at once would make each of them late."""
        self._open = len(self.due.errands)
        self._lock = threading.Lock()
        if not self._open:
            self.done(self)
        with suppress(Exception):  # each errand meets it again, and tells
            self.due.prepare()
        began = time.monotonic()
        gap_s = min(SPREAD_S, LONGEST_SPREAD_S / max(1, self._open))
        for number, errand in enumerate(sorted(self.due.errands, key=lambda errand: errand.delay_s)):
            try:
                workers.submit(partial(self._go, errand, began + errand.delay_s + number * gap_s, stop))
            except (RuntimeError, MemoryError) as problem:  # no thread could be started
                errand.cancel()
                self._end(self._broken_at_last(errand, problem))

    def _go(self, errand: Job, starts_at: float, stop: threading.Event) -> None:
        if stop.wait(max(0.0, starts_at - time.monotonic())):
            errand.cancel()
            self._end(Ended(errand, [], began=False))
            return
        try:
            ended = Ended(errand, errand.go(stop))
            self.seen(errand.name, ended.findings)
        except SkippedError as problem:
            self.due.skipped.append((errand.name, str(problem)))
            ended = Ended(errand, [])
        except PartlyError as problem:
            self.errors.append(f"{errand.name}: {problem}")
            ended = Ended(errand, problem.findings)
        except BaseException as problem:  # noqa: BLE001  one errand that breaks must not take the others with it
            ended = self._broken_at_last(errand, problem)
        self._end(ended)

    def _broken_at_last(self, errand: Job, problem: BaseException) -> Ended:
        """An errand always ends: without memory, even telling of it fails, and its tick must not stay open for ever."""
        try:
            return self._broken(errand, problem)
        except MemoryError:
            self.errors.append(NO_MEMORY)
            return Ended(errand, [])

    def _broken(self, errand: Job, problem: BaseException) -> Ended:
        limit = own_limit(problem)
        if errand.broken is None:
            self.errors.append(f"{errand.name}: {limit or safe_error(root_cause(problem))}")
            return Ended(errand, [])
        ended = Ended(errand, errand.broken(problem))
        if limit is None:
            report_bug(errand.name, problem)
        else:
            self.seen(errand.name, ended.findings)
        return ended

    def _end(self, ended: Ended) -> None:
        self.errors += [
            f"{ended.errand.name}: {finding.row.error}"
            for finding in ended.findings
            if isinstance(finding.row, Probe) and finding.row.outcome == "internal_error"
        ]
        with self._lock:
            self._ended.append(ended)
            self._open -= 1
            last = not self._open
        if last:
            self.done(self)

    @property
    def is_over(self) -> bool:
        """Whether every errand has ended."""
        with self._lock:
            return not self._open

    def take_rows(self, covered: Callable[[Ended], int]) -> tuple[list[Row], list[Claim]]:
        """The rows that are certain by now and were not taken yet, and the claims that they decide.

        A failure is certain when the tick is over, or once a host was reached: until then it may be this machine's own
        network that is down. `covered` is asked once how many slots an errand's probe decides: when it is over, certain
        or not, because it is no longer under way.
        """
        with self._lock:
            ended, is_over = list(self._ended), not self._open
        self._slots += [covered(one) for one in ended[len(self._slots) :]]
        findings = judged(finding for one in ended for finding in one.findings)
        contacts = [finding.contact for finding in findings if finding.contact is not None]
        if not is_over and contacts and all(contact.unreached for contact in contacts):
            return [], []
        fresh, slots_of = ended[self._taken :], self._slots[self._taken :]
        self._taken = len(ended)
        judged_of = iter(findings[len(findings) - sum(len(one.findings) for one in fresh) :])
        rows: list[Row] = []
        claims: list[Claim] = []
        for one, slots in zip(fresh, slots_of, strict=True):
            rows += [_standing_for(_without_secrets(next(judged_of).row), slots) for _ in one.findings]
            claims += [one.errand.claim] if one.errand.claim is not None and one.outcomes else []
        self.row_count += len(rows)
        return rows, claims

    def run_row(self, ended_at: int) -> Run:
        """The row of the run itself, once it is over."""
        error = None
        if self.errors:
            more = f" (and {len(self.errors) - 1} more)" if len(self.errors) > 1 else ""
            error = safe_error(self.errors[0] + more)
        skipped = len(self.due.skipped) + self.due.missed
        return Run(self.collector, self.started_at, self.location, ended_at, self.row_count, skipped, error)


def _standing_for(row: Row, slots: int) -> Row:
    return replace(row, stands_for_s=row.stands_for_s * slots) if isinstance(row, Probe) and slots != 1 else row
