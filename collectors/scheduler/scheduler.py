"""Running the collectors: one tick for a timer, or tick after tick, aligned to the clock.

The main thread alone talks to the store. Ticks may overlap, and so may runs: each holds the shared lock while it plans
or records, never while it probes, and what it plans is taken for the others. A target that hangs keeps its own tick
open and delays nobody else's.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Mapping

from collectors.http.redaction import safe_error
from collectors.scheduler.claims import Claim
from collectors.scheduler.clock import describe, passed_ms, read_clocks
from collectors.scheduler.config_watch import ConfigWatch, Wrong
from collectors.scheduler.console import ConsoleReport
from collectors.scheduler.context import Collect, CollectorContext
from collectors.scheduler.lock import LockedError
from collectors.scheduler.notices import changes, slow_ticks, waiting
from collectors.scheduler.rests import rest_in_words
from collectors.scheduler.room import in_use, make_room
from collectors.scheduler.schedule import TickWindow, next_tick
from collectors.scheduler.shared_state import PLANNING_WAIT_S, SharedState
from collectors.scheduler.spool import Spool
from collectors.scheduler.target_rows import changed_targets
from collectors.scheduler.tick import Ended, Tick
from collectors.scheduler.workers import Workers
from settings.targets import Config
from store import Selection, Store, StoreError
from store.clock import DAY_MS, now_ms
from store.formats import iso
from store.horizon import horizon, late_probes
from store.protocol import Compactable
from store.schema import CONFIGURATION, RUNS, Model, Probe, Row, Run, Target

PROBE = "probe"
WRONG_NOTED_EVERY_S = 3_600.0
GRACE_S = 2.0
TAKE_IN_S = 2.0
"""How long a run writes what earlier ones could not, before it plans; the rest follows between ticks."""
TIDY_S = 0.1
"""How long pruning old probes may take after a tick; what is left waits for the next one."""
RUNS_KEPT_MS = 30 * DAY_MS
"""Runs are kept one by one for so long, and by hour from then on."""
MOST_UNSAVED_ROWS = 100_000
RETRY_AFTER_S = 5.0
BETWEEN_TICKS_S = 0.25
"""How long a loop waits for a store that another program holds: its next ticks should not be late for it."""
RECORD_AFTER_S = 1.0
"""A tick that is still open after this is recorded as far as it got: what hangs holds nobody else's rows back."""
TAKE_OVER_AFTER = 1.1
"""In steps of the timer. systemd starts no run while this one lasts, so this one does what the next would have done."""


class Scheduler:
    """One process of collectors over one store."""

    def __init__(
        self,
        config: Config,
        store: Store,
        location: str,
        report: ConsoleReport,
        collectors: Mapping[str, Collect],
        shared: SharedState | None = None,
        watch: ConfigWatch | None = None,
    ) -> None:
        """`collectors`: those that run, by name. `shared`: what overlapping runs have in common; without it this one is
        alone. `watch`: whether the configuration was changed since; without it nobody looks.

        Raises StoreError, LockedError.
        """
        self._store = store
        self._report = report
        self._location = location
        self._collectors = collectors
        self._ended: queue.Queue[Tick] = queue.Queue()  # a SimpleQueue waits for ever when a signal meets its timeout
        self._ticks: list[Tick] = []
        self._unsaved: list[Row] = []
        self._unrecorded: list[Claim] = []
        self._record_at = 0.0
        self._wait_s = PLANNING_WAIT_S
        self._lost = 0
        self._said: str | None = None
        self._keep_ms = config.collector.retention_days * DAY_MS
        self._tidied_day = -1
        self.broke = False
        """Uptoken itself failed while probing, or the store refused probes."""
        self._unplanned: StoreError | None = None
        self._watch = watch
        self._wrong_until = 0.0
        self._interval_s: float | None = None
        self._warned: list[str] = []
        self.stop = threading.Event()
        self.is_asked_to_reload = False
        """The configuration is to be read at once. No event: a signal's handler may meet its own thread changing it."""
        self._shared = shared or SharedState(None, location)
        self._spool: Spool | None = None
        if self._shared.spool_path is not None:
            self._spool = Spool(self._shared.spool_path, report.say)
            store.patience_s, patience_s = BETWEEN_TICKS_S, store.patience_s
            self._spool.take_in(store, TAKE_IN_S)
            store.patience_s = patience_s
        self._in_use = in_use()
        self._room = make_room(config, self._in_use)
        self._scene = CollectorContext(config, store, self._shared, keeps_connections=self._room.keeps_connections)
        self._newest_at_start = self._scene.newest_anywhere
        self._began = read_clocks()
        self._workers = Workers(self._room.most_parallel)
        changed = changed_targets(store, config, location, now_ms())
        if changed:
            store.write(changed)
        self._say_what_is_from_the_future()
        last = self._store.read(RUNS, Selection(targets=(CONFIGURATION,)), newest_first=True, limit=100)
        mine = next((run for run in (Run(*row) for row in last) if run.location == location), None)
        if mine is not None and mine.error is not None:  # this one is right
            self._unsaved.append(self._configuration_run())

    def say_notices(self, interval_s: float | None) -> None:
        """Say what a person should know of the configuration, and was not told of the one before. `interval_s`: of a
        loop's ticks.
        """
        self._interval_s, config = interval_s, self._scene.config
        known, quick = self._warned, [] if interval_s is None else slow_ticks(config, interval_s)
        self._warned = [*waiting(config), *self._room.warnings, *quick]
        for text in self._warned:
            if text not in known:
                self._report.say(text)

    def once(self, *, everything: bool = False) -> int | None:
        """One tick over what is due. Returns null when something was, else when something will be (milliseconds UTC).

        While a probe hangs, the ticks are made that a timer did not start in the meantime.
        Raises StoreError when what was seen could not be recorded, LockedError when another run does not stop planning.
        """
        now = now_ms()
        with self._shared.exclusive():
            step_s = self._timer_step_s() if PROBE in self._collectors else None
            if PROBE in self._collectors:
                self._shared.note_timer_run(now)
            later, ticks = self._plan(TickWindow(now, now, everything))
        self._start(ticks)
        idle = not self._ticks
        take_over_at = time.monotonic() + TAKE_OVER_AFTER * step_s if step_s else None
        while self._ticks and not self.stop.is_set():
            self._take(timeout_s=0.2)
            if step_s and take_over_at and time.monotonic() >= take_over_at and self._ticks:
                take_over_at += step_s
                self._take_over(step_s)
        self._finish()
        self._save()
        if not idle:
            self._tidy()
        if self._unplanned is not None:
            raise self._unplanned
        while now_ms() == now:  # a run is known by the millisecond it began in: the next one begins in another
            time.sleep(0.0002)
        return later if idle and later is not None else None

    def _timer_step_s(self) -> float | None:
        """The time between the starts of a timer's runs. systemd starts none while one lasts, so that from the last
        starts it may look longer than it is: a service makes a tick whenever a target may be due.
        """
        known_s = self._shared.timer_step_s()
        if os.environ.get("SYSTEMD_EXEC_PID") != str(os.getpid()):
            return known_s
        shortest_s = min((target.every_s for target in self._scene.config.targets), default=None)
        return min((step_s for step_s in (known_s, shortest_s) if step_s is not None), default=None)

    def _take_over(self, step_s: float) -> None:
        """Make the tick of the timer's next run, unless that run came or would read another configuration."""
        now = now_ms()
        if self._watch is not None and self._watch.is_changed:
            return
        try:
            with self._shared.exclusive():
                if now - self._shared.timer_runs[-1] < step_s * 500:
                    return
                self._scene.read_series()
                self._shared.note_timer_run(now - round((TAKE_OVER_AFTER - 1) * step_s * 1_000))
                _, ticks = self._plan(TickWindow(now, now))
        except (LockedError, StoreError) as problem:  # what this run has seen is to be recorded all the same
            self._report.say(f"{problem}: nothing more is planned meanwhile")
            return
        self._start(ticks)

    def every(self, seconds: float, *, everything: bool = False) -> None:
        """Tick at each multiple of `seconds` on the clock until `stop` is set. Raises StoreError as `once` does."""
        patience_s, self._store.patience_s = self._store.patience_s, BETWEEN_TICKS_S
        self._wait_s = BETWEEN_TICKS_S
        now = now_ms()
        self._tick(TickWindow(now, next_tick(now, seconds), everything))
        at = next_tick(now, seconds)
        retry_at = 0.0
        while not self.stop.is_set():
            now = now_ms()
            if self._follow_configuration() and now < at:  # what is due until the next tick by what is so now
                self._tick(TickWindow(now, at))
            if now >= at or at - now > 2 * seconds * 1_000:  # the second: the clock was set back
                self._tick(TickWindow(now, next_tick(now, seconds)))
                at = next_tick(now, seconds)
            self._take(timeout_s=min(0.5, max(0.001, (at - now_ms()) / 1_000)))
            if not self._ticks:
                self._tidy()
            if self._unsaved and time.monotonic() >= retry_at:
                retry_at = time.monotonic() + RETRY_AFTER_S
                self._try_to_save()
        self._store.patience_s, self._wait_s = patience_s, PLANNING_WAIT_S
        self._finish()
        self._save()

    def close(self) -> bool:
        """Release threads and connections; false when an errand is still under way."""
        self._workers.close()
        self._scene.close()
        self._keep_unsaved()
        try:
            with self._shared.exclusive():
                self._scene.budget(now_ms())  # what was settled or given back last
        except (LockedError, StoreError) as problem:
            self._report.say(str(problem))
        self._shared.close()
        return not self._ticks

    # -- the configuration

    def _follow_configuration(self) -> bool:
        """Take over a configuration that was changed, and say so; keep the one in force when it is wrong."""
        if self._watch is None:
            return False
        at_once, self.is_asked_to_reload = self.is_asked_to_reload, False
        found = self._watch.look(at_once=at_once)
        if isinstance(found, Wrong):
            self._note_wrong(found, is_asked=at_once)
        return isinstance(found, Config) and self._take_configuration(found, self._watch)

    def _note_wrong(self, wrong: Wrong, *, is_asked: bool) -> None:
        """Say it once, and each time that somebody asks; System shows the runs of a day, so one an hour tells it."""
        if wrong.is_news or is_asked:
            self._report.say(f"{wrong.why}\nThe configuration from before stays in force until that is mended")
        if wrong.is_news or time.monotonic() >= self._wrong_until:
            self._wrong_until = time.monotonic() + WRONG_NOTED_EVERY_S
            self._unsaved.append(self._configuration_run(wrong.why))
            self._try_to_save()

    def _configuration_run(self, why: str | None = None, rows: int = 0) -> Run:
        now = now_ms()
        return Run(CONFIGURATION, now, self._location, now, rows, 0, None if why is None else safe_error(why))

    def _take_configuration(self, config: Config, watch: ConfigWatch) -> bool:
        """Put another configuration in force; false when the store or another run do not let it be done yet."""
        old = self._scene
        room = make_room(config, self._in_use)
        try:
            fresh = old.prepare(config, keeps_connections=room.keeps_connections)
            targets = changed_targets(self._store, config, self._location, now_ms())
            with self._shared.exclusive(self._wait_s):
                old.hand_over(fresh)
                budget = fresh.budget(now_ms())
        except (StoreError, LockedError) as problem:
            watch.put_off()
            if str(problem) != self._said:
                self._said = str(problem)
                self._report.say(f"{problem}: the changed configuration waits for that")
            return False
        watch.take(config)
        self._scene, self._room = fresh, room
        self._workers.limit(room.most_parallel)
        self._keep_ms = config.collector.retention_days * DAY_MS
        self._report.say(f"{config.path} was changed and is in force now; {changes(old.config, config)}")
        self.say_notices(self._interval_s)
        self._unsaved = [row for row in self._unsaved if not isinstance(row, Target)]  # of a configuration in between
        self._unsaved += [*targets, *budget, self._configuration_run(rows=len(targets))]
        self._try_to_save()
        return True

    # -- ticks

    def _tick(self, window: TickWindow) -> None:
        """Start a loop's tick. When another run does not stop planning, the next one makes up for it."""
        try:
            with self._shared.exclusive(self._wait_s):
                _, ticks = self._plan(window)
        except LockedError as problem:
            self._report.say(f"{problem}: nothing is planned meanwhile")
            return
        self._start(ticks)

    def _plan(self, window: TickWindow) -> tuple[int | None, list[Tick]]:
        """When the next thing will be due (milliseconds UTC), and what is due now. The shared state is held."""
        nexts = []
        ticks = []
        for name in self._collectors:
            try:
                due = self._collectors[name](self._scene, window)
            except StoreError as problem:  # what others see meanwhile is kept in memory
                self._unplanned = problem
                self._scene.failed.add(name)
                self._report.say(f"{name}: nothing is planned meanwhile: {problem}")
                continue
            nexts += [due.next_at] if due.next_at is not None else []
            if not due.errands and not due.skipped:
                continue
            ticks.append(Tick(name, self._location, window.now, due, self._ended.put, self._report.seen))
        return min(nexts, default=None), ticks

    def _start(self, ticks: list[Tick]) -> None:
        for step in self._shared.clock_steps:
            self._report.say(describe(step))
        self._shared.clock_steps.clear()
        if self._shared.problem not in (None, self._said):
            self._report.say(str(self._shared.problem))
            self._said = self._shared.problem
        for tick in ticks:
            due = tick.due
            self._report.planned(len(due.errands), due.skipped)
            if due.missed:
                self._report.say(
                    f"{tick.collector}: {due.missed:,} that were due meanwhile were missed: this process was held up"
                )
            self._ticks.append(tick)
            self._record_at = time.monotonic() + RECORD_AFTER_S
            tick.start(self._workers, self.stop)

    def _take(self, timeout_s: float) -> None:
        """Wait for ticks to end, and record what is certain."""
        ended: list[Tick] = []
        try:
            ended.append(self._ended.get(timeout=timeout_s))
            while True:
                ended.append(self._ended.get_nowait())
        except queue.Empty:
            pass
        if not self._ticks or (not ended and time.monotonic() < self._record_at):
            return
        self._record_at = time.monotonic() + RECORD_AFTER_S
        try:
            with self._shared.exclusive(self._wait_s):
                for tick in self._ticks:
                    self._collect_rows(tick)
                for tick in ended:
                    self._end(tick)
        except LockedError as problem:  # the rows stay in their ticks, and are collected the next time
            self._report.say(str(problem))
            for tick in ended:
                self._ended.put(tick)
            return
        self._try_to_save()

    def _collect_rows(self, tick: Tick) -> None:
        rows, claims = tick.take_rows(self._cover)
        self._unsaved += rows
        self._unrecorded += claims
        self.broke = self.broke or any(isinstance(r, Probe) and r.outcome == "internal_error" for r in rows)
        if rows:
            self._unsaved += self._scene.budget(now_ms())
        for row in self._scene.rate_limits(now_ms()):
            self._unsaved.append(row)
            if row.rests_until is not None:
                self._report.say(f"{row.target} {rest_in_words(row.rests_until, row.reason)}")

    def _cover(self, ended: Ended) -> int:
        """How many slots an errand's probe decides. One that made none gives its slot back, unless
        it was refused.
        """
        claim, claims = ended.errand.claim, self._shared.claims
        if claim is None:
            return 1
        began = [finding.row.started_at for finding in ended.findings if isinstance(finding.row, Probe)]
        if not began:
            if claim.state != "refused":
                claims.drop(ended.errand.series, claim)
            return 1
        claims.settle(ended.errand.series, claim, max(began))
        return claim.slots

    def _end(self, tick: Tick) -> None:
        self._ticks.remove(tick)
        if tick.row_count or tick.errors or not self.stop.is_set():  # a tick that never began is no run
            self._unsaved += [tick.run_row(now_ms()), *self._scene.budget(now_ms())]
        (self._scene.failed.add if tick.errors else self._scene.failed.discard)(tick.collector)
        for error in tick.errors:
            self._report.say(f"{tick.collector}: {error}")

    def _finish(self) -> None:
        """After `stop`: give what is under way a moment, then end it."""
        if not self._ticks:
            return
        until = time.monotonic() + GRACE_S
        while self._ticks and time.monotonic() < until:
            self._take(timeout_s=0.1)
        if self._ticks:
            from collectors.http.deadline import end_all

            end_all()
        until = time.monotonic() + GRACE_S
        while self._ticks and time.monotonic() < until:
            self._take(timeout_s=0.1)

    # -- the store

    def _tidy(self) -> None:
        """Take in what waits, and prune some of the raw probes that are older than they are kept, once a day until none
        is left; reckoned from what has surely passed (`collectors.scheduler.clock`), whatever the clock says.
        """
        if self._spool is not None:
            self._spool.take_in(self._store, TIDY_S)
        clocks = read_clocks()
        newest = self._newest_at_start and self._newest_at_start + clocks.boot_ms - self._began.boot_ms
        passed = passed_ms(self._shared.clock, clocks, newest)
        if passed is None:
            return
        before = passed - self._keep_ms
        until = time.monotonic() + TIDY_S
        try:
            while before // DAY_MS != self._tidied_day and time.monotonic() < until:
                if not self._store.prune(before) and not self._compact(passed - RUNS_KEPT_MS):
                    self._tidied_day = before // DAY_MS
        except StoreError as problem:
            self._tidied_day = before // DAY_MS  # tried again tomorrow: what is too old is no harm meanwhile
            self._report.say(f"could not prune old probes: {problem}")

    def _compact(self, runs_before: int) -> int:
        return self._store.compact(runs_before) if isinstance(self._store, Compactable) else 0

    def _try_to_save(self) -> None:
        try:
            self._save()
        except StoreError as problem:
            self._lost += max(0, len(self._unsaved) - MOST_UNSAVED_ROWS)
            del self._unsaved[:-MOST_UNSAVED_ROWS]
            lost = f"; {self._lost} older ones had to be dropped" if self._lost else ""
            self._report.say(f"{problem}. {len(self._unsaved)} rows are kept in memory and tried again{lost}")

    def _keep_unsaved(self) -> None:
        """Keep what could not be recorded for the next run: its probes were paid for."""
        if self._spool is None:
            return
        self._spool.close()
        if self._unsaved and self._spool.save(self._unsaved):
            self._note_saved()

    def _save(self) -> None:
        """Write what was not written yet, in one transaction. Raises StoreError."""
        if not self._unsaved:
            return
        self._store.write(self._unsaved)
        self._say_what_was_refused()
        if any(isinstance(row, Model) for row in self._unsaved):
            self._scene.read_prices()
        self._note_saved()

    def _note_saved(self) -> None:
        for claim in self._unrecorded:
            claim.state = "recorded"
        for run in (row for row in self._unsaved if isinstance(row, Run)):
            known = self._shared.collector_runs.get(run.collector)
            if known is not None and known.run == self._shared.run:
                known.recorded = True
        self._unrecorded.clear()
        self._unsaved.clear()

    def _say_what_is_from_the_future(self) -> None:
        """Rows that a clock which was ahead left, and what it pruned: they are not believed, and not passed over in
        silence. Raises StoreError.
        """
        now = now_ms()
        count = late_probes(self._store, now)
        if count or self._store.kept_since() > horizon(now):
            self._report.say(
                f"{count:,} probes in the store are from the future: a clock was ahead when they were recorded, or "
                "this one is behind. `python -m collectors remove-future` shows them, and removes them"
            )

    def _say_what_was_refused(self) -> None:
        since = self._store.kept_since()
        count = sum(isinstance(row, Probe) and row.started_at < since for row in self._unsaved)
        if count:
            self.broke = True
            self._report.say(
                f"{count:,} probes were refused: the store prunes what is older than {iso(since)}. This clock is "
                "behind, or one that was ahead pruned: `python -m collectors remove-future` undoes that"
            )
