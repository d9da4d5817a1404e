"""One tick of one collector: its jobs, each in a thread of its own, and their results."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from collectors.contract import SLOT_ROWS, Job, PartlyError, Result, SkippedError
from collectors.http.own_limits import own_limit
from collectors.http.redaction import root_cause, safe_error
from collectors.scheduler.claims import Claim
from collectors.scheduler.console import report_bug
from collectors.scheduler.offline_detection import detect_offline
from collectors.scheduler.plan import Plan, ProbeJob
from collectors.scheduler.workers import Workers
from settings.secrecy import redacted
from store.schema import TABLE_OF, Probe, Row, Run

SPREAD_S = 0.0025
LONGEST_SPREAD_S = 0.25
NO_MEMORY = "this process is out of memory: a job ended without a row"


def _without_secrets(row: Row) -> Row:
    """A server's text may repeat the key that it was sent, under whatever name."""
    texts = [column.name for column in TABLE_OF[type(row)].columns if column.kind == "text" and column.nullable]
    changed = {
        name: clean for name in texts if (text := getattr(row, name)) is not None and (clean := redacted(text)) != text
    }
    return replace(row, **changed) if changed else row


@dataclass(frozen=True)
class Ended:
    """A job that is over, and its results. `began` is false when it was cancelled."""

    job: Job
    results: list[Result]
    began: bool = True

    @property
    def outcomes(self) -> list[str]:
        """The outcomes of the rows that decide its slot."""
        return [result.row.outcome for result in self.results if isinstance(result.row, SLOT_ROWS)]


@dataclass
class Tick:
    """What one collector does at one moment. `done` is called once, from the thread of the last job."""

    collector: str
    location: str
    started_at: int
    plan: Plan
    done: Callable[[Tick], None]
    show: Callable[[str, list[Result]], None]
    errors: list[str] = field(default_factory=list)
    row_count: int = 0
    _ended: list[Ended] = field(default_factory=list)
    _taken: int = 0
    _slots: list[int] = field(default_factory=list)

    def start(self, workers: Workers, stop: threading.Event) -> None:
        """Start the jobs a little apart: starting them all at once would make each of them late."""
        self._open = len(self.plan.jobs)
        self._lock = threading.Lock()
        if not self._open:
            self.done(self)
        with suppress(Exception):  # each job runs into it again, and reports it
            self.plan.prepare()
        began = time.monotonic()
        gap_s = min(SPREAD_S, LONGEST_SPREAD_S / max(1, self._open))
        for number, job in enumerate(sorted(self.plan.jobs, key=lambda job: job.delay_s)):
            try:
                workers.submit(partial(self._run, job, began + job.delay_s + number * gap_s, stop))
            except (RuntimeError, MemoryError) as problem:  # no thread could be started
                job.cancel()
                self._end(self._end_failed(job, problem))

    def _run(self, job: Job, starts_at: float, stop: threading.Event) -> None:
        if stop.wait(max(0.0, starts_at - time.monotonic())):
            job.cancel()
            self._end(Ended(job, [], began=False))
            return
        try:
            ended = Ended(job, job.run(stop))
            self.show(job.name, ended.results)
        except SkippedError as problem:
            self.plan.skipped.append((job.name, str(problem)))
            ended = Ended(job, [])
        except PartlyError as problem:
            self.errors.append(f"{job.name}: {problem}")
            ended = Ended(job, problem.results)
        except BaseException as problem:  # noqa: BLE001  one job that breaks must not take the others with it
            ended = self._end_failed(job, problem)
        self._end(ended)

    def _end_failed(self, job: Job, problem: BaseException) -> Ended:
        """A job always ends: without memory, even reporting it fails, and its tick must not stay open for ever."""
        try:
            return self._report_failure(job, problem)
        except MemoryError:
            self.errors.append(NO_MEMORY)
            return Ended(job, [])

    def _report_failure(self, job: Job, problem: BaseException) -> Ended:
        limit = own_limit(problem)
        if job.results_of is None:
            self.errors.append(f"{job.name}: {limit or safe_error(root_cause(problem))}")
            return Ended(job, [])
        ended = Ended(job, job.results_of(problem))
        if limit is None:
            report_bug(job.name, problem)
        else:
            self.show(job.name, ended.results)
        return ended

    def _end(self, ended: Ended) -> None:
        self.errors += [
            f"{ended.job.name}: {result.row.error}"
            for result in ended.results
            if isinstance(result.row, SLOT_ROWS) and result.row.outcome == "internal_error"
        ]
        with self._lock:
            self._ended.append(ended)
            self._open -= 1
            last = not self._open
        if last:
            self.done(self)

    @property
    def is_over(self) -> bool:
        """Whether every job has ended."""
        with self._lock:
            return not self._open

    def take_rows(self, count_slots: Callable[[Ended], int]) -> tuple[list[Row], list[Claim]]:
        """The rows that are certain by now and were not taken yet, and the claims that they decide.

        A failure is certain when the tick is over, or once a host was reached: until then it may be this machine's own
        network that is down. `count_slots` is called once for each job, as soon as it is over: it returns how many
        slots the job's probe decides.
        """
        with self._lock:
            ended, is_over = list(self._ended), not self._open
        self._slots += [count_slots(one) for one in ended[len(self._slots) :]]
        results = detect_offline(result for one in ended for result in one.results)
        contacts = [result.reachability for result in results if result.reachability is not None]
        if not is_over and contacts and all(contact.unreached for contact in contacts):
            return [], []
        new, slot_counts = ended[self._taken :], self._slots[self._taken :]
        self._taken = len(ended)
        new_results = iter(results[len(results) - sum(len(one.results) for one in new) :])
        rows: list[Row] = []
        claims: list[Claim] = []
        for one, slots in zip(new, slot_counts, strict=True):
            rows += [_standing_for(_without_secrets(next(new_results).row), slots) for _ in one.results]
            if isinstance(one.job, ProbeJob) and one.job.claim is not None and one.outcomes:
                claims.append(one.job.claim)
        self.row_count += len(rows)
        return rows, claims

    def run_row(self, ended_at: int) -> Run:
        """The row of the run itself, once it is over."""
        error = None
        if self.errors:
            more = f" (and {len(self.errors) - 1} more)" if len(self.errors) > 1 else ""
            error = safe_error(self.errors[0] + more)
        skipped = len(self.plan.skipped) + self.plan.missed
        return Run(self.collector, self.started_at, self.location, ended_at, self.row_count, skipped, error)


def _standing_for(row: Row, slots: int) -> Row:
    return replace(row, stands_for_s=row.stands_for_s * slots) if isinstance(row, Probe) and slots != 1 else row
