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

from collectors.contract import SLOT_ROWS, CheckCollector, Collector, MakeAlerting, ProbeCollector
from collectors.http.heartbeat import Heartbeat
from collectors.http.redaction import safe_error
from collectors.scheduler.alert_hook import AlertHook
from collectors.scheduler.checking import plan_checks
from collectors.scheduler.clock import describe
from collectors.scheduler.config_watch import ConfigWatch, InvalidConfig
from collectors.scheduler.console import ConsoleReport
from collectors.scheduler.lock import LockedError
from collectors.scheduler.notices import describe_changes, keys_missing, silent_channels, slow_ticks
from collectors.scheduler.periodic import plan_periodic
from collectors.scheduler.plan import Plan, ProbeJob
from collectors.scheduler.probing import plan_probes
from collectors.scheduler.process_limits import measure_usage, raise_limits
from collectors.scheduler.pruning import Pruner
from collectors.scheduler.rate_limit_state import describe_rest
from collectors.scheduler.recorder import Recorder
from collectors.scheduler.schedule import TickWindow, next_tick
from collectors.scheduler.shared_state import PLANNING_WAIT_S, SharedState
from collectors.scheduler.state import SchedulerState
from collectors.scheduler.target_rows import changed_targets
from collectors.scheduler.tick import Ended, Tick
from collectors.scheduler.workers import Workers
from settings.targets import Config
from store import Selection, Store, StoreError
from store.clock import now_ms
from store.horizon import horizon, late_probes
from store.outcomes import CONFIGURATION
from store.schema import RUNS, Run

INVALID_NOTED_EVERY_S = 3_600.0
GRACE_S = 2.0
IMPORT_S = 2.0
"""How long a run writes what earlier ones could not, before it plans; the rest follows between ticks."""
IMPORT_BETWEEN_TICKS_S = 0.1
RETRY_AFTER_S = 5.0
BETWEEN_TICKS_S = 0.25
"""How long a loop waits for a store that another program holds: its next ticks should not be late for it."""
RECORD_AFTER_S = 1.0
"""A tick that is still open after this is recorded as far as it got: a target that hangs delays nobody else's rows."""
ALERTS_S = 20.0
"""How long a run that is about to end sends alerts. What is pending then is left to the next one."""
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
        collectors: Mapping[str, Collector],
        shared: SharedState | None = None,
        watch: ConfigWatch | None = None,
        make_alerting: MakeAlerting | None = None,
    ) -> None:
        """`collectors`: those that run, by name. `shared`: what overlapping runs have in common; without it this one is
        alone. `watch`: whether the configuration has changed since; without it nobody looks. `make_alerting`: what
        tells of the results; without it nobody is told.

        Raises StoreError, LockedError.
        """
        self._store = store
        self._report = report
        self._location = location
        self._collectors = collectors
        self._probes = any(isinstance(collector, ProbeCollector) for collector in collectors.values())
        self._ended: queue.Queue[Tick] = queue.Queue()  # a SimpleQueue waits for ever when a signal meets its timeout
        self._ticks: list[Tick] = []
        self._record_at = 0.0
        self._wait_s = PLANNING_WAIT_S
        self._last_problem: str | None = None
        self._plan_error: StoreError | None = None
        self._watch = watch
        self._invalid_noted_until = 0.0
        self._interval_s: float | None = None
        self._notices: list[str] = []
        self.stop = threading.Event()
        self.is_asked_to_reload = False
        """The configuration is to be read at once. No event: a signal's handler may meet its own thread changing it."""
        self._shared = shared or SharedState(None, location)
        self._recorder = Recorder(store, self._shared, report, lambda: self._state.read_prices())
        store.patience_s, patience_s = BETWEEN_TICKS_S, store.patience_s
        self._recorder.import_spooled(IMPORT_S)
        store.patience_s = patience_s
        self._heartbeat = Heartbeat(config.heartbeat, report.say)
        self._usage = measure_usage()
        self._limits = raise_limits(config, self._usage)
        keeps_connections = self._limits.keeps_connections
        self._state = SchedulerState(config, store, self._shared, collectors, keeps_connections=keeps_connections)
        self._pruner = Pruner(store, report, self._state.newest_anywhere, config.collector.retention_days)
        self._workers = Workers(self._limits.max_parallel)
        self._alerts = AlertHook(make_alerting, config, location, self._recorder)
        self._record_start()

    def _record_start(self) -> None:
        """Record the targets, and that the configuration is right again when the last run's was not."""
        changed = changed_targets(self._store, self._state.config, self._location, now_ms())
        if changed:
            self._store.write(changed)
        self._report_future_rows()
        rows = self._store.read(RUNS, Selection(targets=(CONFIGURATION,)), newest_first=True, limit=100)
        newest = next((run for run in (Run(*row) for row in rows) if run.location == self._location), None)
        if newest is not None and newest.error is not None:
            self._recorder.add([self._configuration_run()])

    @property
    def is_broken(self) -> bool:
        """Uptoken itself failed while probing, or the store refused probes."""
        return self._recorder.is_broken

    def report_notices(self, interval_s: float | None) -> None:
        """Report what a person should know about the configuration, and did not read about the one before.
        `interval_s`: of a loop's ticks.
        """
        self._interval_s, config = interval_s, self._state.config
        known, slow = self._notices, [] if interval_s is None else slow_ticks(config, interval_s)
        self._notices = [*keys_missing(config), *silent_channels(config), *self._limits.warnings, *slow]
        for text in self._notices:
            if text not in known:
                self._report.say(text)

    def run_once(self, *, everything: bool = False) -> int | None:
        """Make one tick. Returns null when something was due, else when something will be (milliseconds UTC).

        While a probe hangs, this run makes the ticks that its timer does not start in the meantime.
        Raises StoreError when the rows could not be recorded, LockedError when another run does not stop planning.
        """
        try:
            later = self._run_once(everything=everything)
        except BaseException:
            self._heartbeat.has_failed = True
            raise
        finally:
            self._heartbeat.beat()
        return later

    def _run_once(self, *, everything: bool) -> int | None:
        now = now_ms()
        with self._shared.exclusive():
            step_s = self._timer_step_s() if self._probes else None
            if self._probes:
                self._shared.note_timer_run(now)
            later, ticks = self._plan(TickWindow(now, now, everything))
        self._start(ticks)
        idle = not self._ticks
        take_over_at = time.monotonic() + TAKE_OVER_AFTER * step_s if step_s else None
        while self._ticks and not self.stop.is_set():
            self._record_ended(timeout_s=0.2)
            if step_s and take_over_at and time.monotonic() >= take_over_at and self._ticks:
                take_over_at += step_s
                self._take_over(step_s)
        self._end_ticks()
        try:
            self._recorder.save()
        finally:  # who is told of a target that is down wants to know, whether or not it could be recorded
            self._alerts.finish(ALERTS_S, self.stop, final=True)
        if not idle:
            self._maintain_store()
        if self._plan_error is not None:
            raise self._plan_error
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
        shortest_s = min((target.every_s for target in self._state.config.targets), default=None)
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
                self._state.read_series()
                self._shared.note_timer_run(now - round((TAKE_OVER_AFTER - 1) * step_s * 1_000))
                _, ticks = self._plan(TickWindow(now, now))
        except (LockedError, StoreError) as problem:  # what this run has seen is to be recorded all the same
            self._report.say(f"{problem}: nothing more is planned until then")
            return
        self._start(ticks)

    def run_every(self, seconds: float, *, everything: bool = False) -> None:
        """Tick at each multiple of `seconds` on the clock until `stop` is set. Raises StoreError as `run_once` does."""
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
            self._record_ended(timeout_s=min(0.5, max(0.001, (at - now_ms()) / 1_000)))
            self._alerts.work()
            if not self._ticks:
                self._maintain_store()
            if self._recorder.has_rows and time.monotonic() >= retry_at:
                retry_at = time.monotonic() + RETRY_AFTER_S
                self._recorder.try_to_save()
        self._store.patience_s, self._wait_s = patience_s, PLANNING_WAIT_S
        self._end_ticks()
        self._alerts.finish(ALERTS_S, self.stop, final=False)
        self._recorder.save()

    def close(self) -> bool:
        """Release threads and connections; false when a job is still running."""
        self._heartbeat.close()
        self._workers.close()
        self._state.close()
        self._alerts.close()
        self._recorder.close()
        try:
            with self._shared.exclusive():
                self._state.changed_budget(now_ms())  # what was settled or given back last
        except (LockedError, StoreError) as problem:
            self._report.say(str(problem))
        self._shared.close()
        return not self._ticks

    # -- the configuration

    def _follow_configuration(self) -> bool:
        """Put a changed configuration in force; keep the one before while it is invalid."""
        if self._watch is None:
            return False
        at_once, self.is_asked_to_reload = self.is_asked_to_reload, False
        config = self._watch.look(at_once=at_once)
        if isinstance(config, InvalidConfig):
            self._note_invalid(config, is_asked=at_once)
        return isinstance(config, Config) and self._apply_configuration(config, self._watch)

    def _note_invalid(self, invalid: InvalidConfig, *, is_asked: bool) -> None:
        """Report it once, and each time that somebody asks; an hourly row is enough for System, which shows a day."""
        if invalid.is_news or is_asked:
            self._report.say(f"{invalid.error}\nThe previous configuration stays in force until this is fixed")
        if invalid.is_news or time.monotonic() >= self._invalid_noted_until:
            self._invalid_noted_until = time.monotonic() + INVALID_NOTED_EVERY_S
            self._recorder.add([self._configuration_run(invalid.error)])
            self._recorder.try_to_save()

    def _configuration_run(self, error: str | None = None, rows: int = 0) -> Run:
        now = now_ms()
        return Run(CONFIGURATION, now, self._location, now, rows, 0, None if error is None else safe_error(error))

    def _apply_configuration(self, config: Config, watch: ConfigWatch) -> bool:
        """Put another configuration in force; false when the store or another run prevents it for now."""
        old = self._state
        limits = raise_limits(config, self._usage)
        try:
            state = old.with_config(config, keeps_connections=limits.keeps_connections)
            targets = changed_targets(self._store, config, self._location, now_ms())
            with self._shared.exclusive(self._wait_s):
                old.hand_over(state)
                budget = state.changed_budget(now_ms())
        except (StoreError, LockedError) as problem:
            watch.postpone()
            if str(problem) != self._last_problem:
                self._last_problem = str(problem)
                self._report.say(f"{problem}: the changed configuration is applied after that")
            return False
        watch.confirm(config)
        self._state, self._limits = state, limits
        self._workers.limit(limits.max_parallel)
        self._pruner.retention_days = config.collector.retention_days
        self._heartbeat.settings = config.heartbeat
        self._report.say(f"applied the changed {config.path}; {describe_changes(old.config, config)}")
        self.report_notices(self._interval_s)
        self._alerts.reconfigure(config)
        self._recorder.replace_targets(targets)
        self._recorder.add([*budget, self._configuration_run(rows=len(targets))])
        self._recorder.try_to_save()
        return True

    # -- ticks

    def _tick(self, window: TickWindow) -> None:
        """Start a loop's tick. When another run does not stop planning, the next one makes up for it."""
        try:
            with self._shared.exclusive(self._wait_s):
                _, ticks = self._plan(window)
        except LockedError as problem:
            self._report.say(f"{problem}: nothing is planned until then")
            self._heartbeat.has_failed = True
        else:
            self._start(ticks)
        self._heartbeat.beat()

    def _plan(self, window: TickWindow) -> tuple[int | None, list[Tick]]:
        """When the next thing will be due (milliseconds UTC), and what is due now. The shared state is held."""
        next_times = []
        ticks = []
        for name, collector in self._collectors.items():
            try:
                plan = self._plan_collector(name, collector, window)
            except StoreError as problem:  # the rows of the other collectors are kept in memory
                self._plan_error, self._heartbeat.has_failed = problem, True
                self._state.failed.add(name)
                self._report.say(f"{name}: nothing is planned: {problem}")
                continue
            next_times += [plan.next_at] if plan.next_at is not None else []
            if plan.jobs or plan.skipped:
                ticks.append(Tick(name, self._location, window.now, plan, self._ended.put, self._report.show_results))
        return min(next_times, default=None), ticks

    def _plan_collector(self, name: str, collector: Collector, window: TickWindow) -> Plan:
        if isinstance(collector, ProbeCollector):
            return plan_probes(self._state, collector, window)
        if isinstance(collector, CheckCollector):
            return plan_checks(self._state, name, collector, window)
        return plan_periodic(self._state, name, collector, window)

    def _start(self, ticks: list[Tick]) -> None:
        for step in self._shared.clock_steps:
            self._report.say(describe(step))
        self._shared.clock_steps.clear()
        if self._shared.problem not in (None, self._last_problem):
            self._report.say(str(self._shared.problem))
            self._last_problem = self._shared.problem
        for tick in ticks:
            plan = tick.plan
            self._report.show_plan(len(plan.jobs), plan.skipped)
            if plan.missed:
                self._report.say(f"{tick.collector}: missed {plan.missed:,} slots while this process was held up")
            self._ticks.append(tick)
            self._record_at = time.monotonic() + RECORD_AFTER_S
            tick.start(self._workers, self.stop)

    def _record_ended(self, timeout_s: float) -> None:
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
                    self._take_rows(tick)
                for tick in ended:
                    self._close_tick(tick)
        except LockedError as problem:  # the rows stay in their ticks until the next time
            self._report.say(str(problem))
            for tick in ended:
                self._ended.put(tick)
            return
        self._recorder.try_to_save()
        self._heartbeat.has_failed |= self._recorder.has_rows

    def _take_rows(self, tick: Tick) -> None:
        rows, claims = tick.take_rows(self._settle_claim)
        self._recorder.add(rows, claims)
        self._alerts.observe(rows)
        if rows:
            self._recorder.add(self._state.changed_budget(now_ms()))
        limits = self._shared.rate_limits.changed_rows(self._location, now_ms())
        self._recorder.add(limits)
        for row in limits:
            if row.rests_until is not None:
                self._report.say(f"{row.target} {describe_rest(row.rests_until, row.reason)}")

    def _settle_claim(self, ended: Ended) -> int:
        """How many slots a job's probe decides. A job that made no probe gives its slot back, unless it was refused."""
        job, claims = ended.job, self._shared.claims
        if not isinstance(job, ProbeJob) or job.claim is None:
            return 1
        starts = [result.row.started_at for result in ended.results if isinstance(result.row, SLOT_ROWS)]
        if not starts:
            if job.claim.state != "refused":
                claims.drop(job.series, job.claim)
            return 1
        claims.settle(job.series, job.claim, max(starts))
        return job.claim.slots

    def _close_tick(self, tick: Tick) -> None:
        self._ticks.remove(tick)
        if tick.row_count or tick.errors or not self.stop.is_set():  # a tick that never began is no run
            self._recorder.add([tick.run_row(now_ms()), *self._state.changed_budget(now_ms())])
        (self._state.failed.add if tick.errors else self._state.failed.discard)(tick.collector)
        is_ours = isinstance(self._collectors[tick.collector], ProbeCollector)  # a list that a server refuses is not
        self._heartbeat.has_failed |= is_ours and bool(tick.errors)
        for error in tick.errors:
            self._report.say(f"{tick.collector}: {error}")

    def _end_ticks(self) -> None:
        """Give running jobs a moment, then end them."""
        if not self._ticks:
            return
        until = time.monotonic() + GRACE_S
        while self._ticks and time.monotonic() < until:
            self._record_ended(timeout_s=0.1)
        if self._ticks:
            from collectors.http.deadline import end_all

            end_all()
        until = time.monotonic() + GRACE_S
        while self._ticks and time.monotonic() < until:
            self._record_ended(timeout_s=0.1)

    def _maintain_store(self) -> None:
        self._recorder.import_spooled(IMPORT_BETWEEN_TICKS_S)
        self._pruner.prune(self._shared.clock)

    def _report_future_rows(self) -> None:
        """Report rows that a clock which was ahead left, and what it pruned. Raises StoreError."""
        now = now_ms()
        count = late_probes(self._store, now)
        if count or self._store.kept_since() > horizon(now):
            self._report.say(
                f"{count:,} probes in the store are dated in the future: a clock was ahead when they were recorded, or "
                "this one is behind. `python -m collectors remove-future` shows them, and removes them"
            )
