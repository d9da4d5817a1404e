"""The probes of one tick: which are due, what is set aside for them, and whether a failure is confirmed.

A probe that failed outside an incident is repeated, and the second one decides its slot. A slot of a target that is
paused is decided without one.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal

from collectors.contract import ProbeCollector, ProbeResult, ProbeTask, Result, SkippedError
from collectors.http.own_limits import own_limit
from collectors.http.redaction import root_cause, safe_error
from collectors.prices import is_routed
from collectors.scheduler.budget import Reservation
from collectors.scheduler.claims import NotDue, Planned, UnderWay
from collectors.scheduler.console import report_bug
from collectors.scheduler.failures import needs_confirmation
from collectors.scheduler.lock import LockedError
from collectors.scheduler.plan import Plan, ProbeJob
from collectors.scheduler.rate_limit_state import ResponseLimits
from collectors.scheduler.schedule import Schedule, TickWindow, schedule_of, series_key
from collectors.scheduler.state import SchedulerState
from settings.targets import ProbeTarget
from store.clock import now_ms
from store.outcomes import PAUSED
from store.schema import Probe

STILL_UNDER_WAY = "its last probe is still running or waiting for its turn"
HELD_UP = "its slot passed while this process was held up"
LONGEST_PAUSE_S = 60.0
"""A confirmation waits at most so long, or half an interval, for its target's rest to end; else the failure decides."""
WAITED_S = 0.5
"""While a probe waited this long for its turn, slots may have passed, which it does not decide."""

MakeProbe = Callable[[ProbeTask], ProbeResult]


@dataclass(frozen=True)
class ProbeSeries:
    """One profile of one target, and its interval."""

    target: ProbeTarget
    profile: str
    every_s: float

    @property
    def key(self) -> str:
        """Its name within its location."""
        return series_key(self.target.name, self.profile)

    @property
    def schedule(self) -> Schedule:
        """Its slots."""
        return schedule_of(self.target.name, self.profile, self.every_s)


def plan_probes(state: SchedulerState, collector: ProbeCollector, window: TickWindow) -> Plan:
    """The probes that are due, those that are skipped, and when the next one will be due. The shared state is held.
    Raises StoreError.
    """
    plan = Plan()
    next_at: list[int] = []
    targets: list[ProbeTarget] = []
    missed = 0
    state.budget.start_day(window.now)  # which may fail, before anything is claimed
    state.pauses.refresh()
    for series in _all_series(state):
        for planned in _plan_series(state, series, window):
            if isinstance(planned, NotDue):
                next_at.append(_after_rest(state, series, planned.next_at))
            elif isinstance(planned, UnderWay):
                plan.skipped.append((series.target.name, STILL_UNDER_WAY))
            else:
                missed += planned.missed
                pause = state.pauses.reason(series.target, planned.claim.at)
                if pause is not None:
                    plan.jobs.append(_paused_job(state, series, planned, window, pause))
                    continue
                job = _reserve(state, collector, series, planned, window)
                if isinstance(job, ProbeJob):
                    plan.jobs.append(job)
                    targets.append(series.target)
                else:
                    planned.claim.state = "refused"
                    plan.skipped.append((series.target.name, job))
    prepare = _preparation(state, collector, targets)
    return replace(plan, next_at=min(next_at, default=None), missed=missed, prepare=prepare)


def _all_series(state: SchedulerState) -> Iterator[ProbeSeries]:
    for target in state.config.targets:
        if not target.waits_for_key:
            for profile, every_s in target.schedules:
                yield ProbeSeries(target, profile, every_s)


def _plan_series(
    state: SchedulerState, series: ProbeSeries, window: TickWindow
) -> Iterator[Planned | UnderWay | NotDue]:
    """What is due of a series. A loop that decides a slot late decides the next one at its beginning, in the same tick:
    else it would be late for every slot from then on, and by its tick's own jitter lose one now and then.
    """
    schedule, newest = series.schedule, state.newest.get(series.key)
    planned = state.shared.claims.plan(series.key, schedule, window, newest, state.shared.lives)
    yield planned
    if isinstance(planned, Planned) and planned.is_late and schedule.interval_ms >= window.until - window.now:
        yield state.shared.claims.plan(series.key, schedule, window, newest, state.shared.lives)


def _after_rest(state: SchedulerState, series: ProbeSeries, at: int) -> int:
    """When a series that would be due at a moment really is: at its first slot after its target's rest."""
    remaining_s = state.shared.rate_limits.remaining_rest_s(series.target, at)
    if not remaining_s:
        return at
    return series.schedule.begins(series.schedule.slot_at(at + round(remaining_s * 1_000) - 1) + 1)


def _reserve(
    state: SchedulerState, collector: ProbeCollector, series: ProbeSeries, planned: Planned, window: TickWindow
) -> ProbeJob | str:
    """The job of a planned probe, with its cost set aside; else why it is skipped. A person who asks (`--all`) gets a
    probe whether its target rests or not.
    """
    if not window.all and (rest := state.shared.rate_limits.rest_reason(series.target, planned.claim.at)):
        return rest
    usd = state.max_probe_cost(series.target, series.profile)
    reason = state.budget.reserve(series.target, usd, window.now)
    if reason is not None:
        return reason
    reservation = Reservation(state.budget, series.target, usd, window.now)
    run = _ProbeRun(state, collector.probe, series, planned, reservation, ignores_rest=window.all)
    return ProbeJob(
        series.target.name,
        run.run,
        (planned.claim.at - window.now) / 1_000,
        reservation.cancel,
        lambda problem: [Result(_failed_row(state, series, planned.claim.at, problem))],
        series.key,
        planned.claim,
    )


def _paused_job(
    state: SchedulerState, series: ProbeSeries, planned: Planned, window: TickWindow, reason: str
) -> ProbeJob:
    """The job of a slot in which nothing is sent. A probe that is still under way from before decides it."""

    def run(_stop: threading.Event) -> list[Result]:
        at = now_ms()
        if not state.is_wanted(series.target):
            return []
        if at - planned.claim.at >= planned.claim.interval_ms:
            raise SkippedError(HELD_UP)
        if not begin_slot(state, series, planned):
            raise SkippedError(STILL_UNDER_WAY)
        state.shared.claims.end(series.key, planned.claim, 0)
        return [Result(_unmeasured_row(state, series, at, PAUSED, reason))]

    delay_s = (planned.claim.at - window.now) / 1_000
    return ProbeJob(series.target.name, run, delay_s, series=series.key, claim=planned.claim)


def begin_slot(state: SchedulerState, series: ProbeSeries, planned: Planned) -> bool:
    """Say that a planned slot begins; false when the last probe of its series is still under way."""
    shared = state.shared
    if not planned.waits:
        return shared.claims.begin(series.key, planned.claim)
    try:
        with shared.exclusive():
            return shared.claims.begin(series.key, planned.claim, shared.lives)
    except LockedError:
        return False


def _preparation(state: SchedulerState, collector: ProbeCollector, targets: list[ProbeTarget]) -> Callable[[], None]:
    """Load what a probe needs before any of them is timed or has a thread: a process that a timer starts has nothing
    yet, and what one probe loads would be in another one's times.

    When an import fails in a thread for lack of a descriptor, the others would see half a module. The two threads that
    watch come first, too: without them nothing can be probed.
    """

    def prepare() -> None:
        with suppress(RuntimeError):  # then each probe says so
            collector.prepare()
            state.lag.start()
        fresh = [state.connection(target) for target in targets if not state.has_connection(target)]
        if fresh:
            gc.collect()
            gc.freeze()  # what is loaded stays: looking through it for garbage would stop every probe for milliseconds

    return prepare


class _ProbeRun:
    """One probe of a series that was planned and reserved and, when it failed outside an incident, its confirmation."""

    def __init__(
        self,
        state: SchedulerState,
        probe: MakeProbe,
        series: ProbeSeries,
        planned: Planned,
        reservation: Reservation,
        *,
        ignores_rest: bool,
    ) -> None:
        self._state = state
        self._probe = probe
        self._series = series
        self._planned = planned
        self._reservation = reservation
        self._ignores_rest = ignores_rest
        self._began_s = 0.0

    def run(self, stop: threading.Event) -> list[Result]:
        """Probe, and return the rows. Raises SkippedError."""
        state, claim = self._state, self._planned.claim
        if not state.is_wanted(self._series.target):  # the configuration has changed: its slot is open again
            self._reservation.cancel()
            return []
        if now_ms() - claim.at >= claim.interval_ms:
            self._reservation.cancel()
            raise SkippedError(HELD_UP)
        if not begin_slot(state, self._series, self._planned):
            self._reservation.cancel()
            raise SkippedError(STILL_UNDER_WAY)
        self._began_s = time.monotonic()
        try:
            return self._decide(stop)
        except SkippedError:  # its server asked for a rest meanwhile: the slot is not tried again
            claim.state = "refused"
            raise
        finally:
            state.shared.claims.end(self._series.key, claim, round((time.monotonic() - self._began_s) * 1_000))

    def _decide(self, stop: threading.Event) -> list[Result]:
        """One probe and, when it failed outside an incident, the one that confirms or clears it, which then decides."""
        state, series = self._state, self._series
        first = self._probe_in_turn(self._reservation, stop, is_confirmation=False)
        outcome = _outcome(first)
        if stop.is_set() and outcome in (None, "timeout"):
            return []  # ended by us, so it says nothing about the target
        is_to_be_confirmed = needs_confirmation(outcome, state.failures.get(series.key, 0))
        state.note_outcome(series.key, outcome)
        if not is_to_be_confirmed or not self._pause(stop):
            return first
        usd, now = state.max_probe_cost(series.target, series.profile), now_ms()
        reservation = Reservation(state.budget, series.target, usd, now)
        if not self._may_confirm(usd, now):
            return first
        try:
            second = self._probe_in_turn(reservation, stop, is_confirmation=True)
        except SkippedError:
            return first
        outcome = _outcome(second)
        if stop.is_set() and outcome in (None, "timeout"):
            return first
        state.note_outcome(series.key, outcome)
        return [_undecided(result) for result in first] + second

    def _pause(self, stop: threading.Event) -> bool:
        """Wait before the confirmation; false when the wait would be too long, or `stop` came."""
        configured_s = self._state.config.collector.confirm_after
        pause_s = max(configured_s, self._state.shared.rate_limits.remaining_rest_s(self._series.target, now_ms()))
        longest_s = max(configured_s, min(self._series.every_s / 2, LONGEST_PAUSE_S))
        return pause_s <= longest_s and not stop.wait(pause_s)

    def _may_confirm(self, usd: Decimal, now: int) -> bool:
        target = self._series.target
        try:
            with self._state.shared.exclusive():  # other runs may have been asked to rest meanwhile
                if self._state.shared.rate_limits.rest_reason(target, now) is not None:
                    return False
                return self._state.budget.reserve(target, usd, now) is None
        except LockedError:
            return False

    def _probe_in_turn(self, reservation: Reservation, stop: threading.Event, *, is_confirmation: bool) -> list[Result]:
        """Probe when no other probe would slow it down. Raises SkippedError when the target's server asked for a rest
        meanwhile.
        """
        state, series, waited_since = self._state, self._series, time.monotonic()
        try:
            with state.concurrency.hold(series.target, stop) as is_ready:
                if not is_ready:
                    reservation.cancel()
                    return []
                rest = state.shared.rate_limits.rest_reason(series.target, now_ms())
                if rest and (is_confirmation or not self._ignores_rest):
                    reservation.cancel()
                    raise SkippedError(rest)
                if time.monotonic() - waited_since > WAITED_S and not is_confirmation:
                    self._restart()
                return make_probe(state, self._probe, series, reservation)
        except SkippedError:
            raise
        except Exception as problem:  # noqa: BLE001  a bug of ours is a row, too, and no outage of the target
            if own_limit(problem) is None:
                report_bug(series.target.name, problem)
            else:
                reservation.settle(0.0)  # nothing was sent
            return [Result(_failed_row(state, series, now_ms(), problem))]

    def _restart(self) -> None:
        """The probe begins only now: slots that passed while it waited are not its own."""
        self._began_s = time.monotonic()
        shared = self._state.shared
        with suppress(LockedError), shared.exclusive():
            pass  # reads what other runs added to the claim while this one waited
        shared.claims.restart(self._planned.claim, now_ms())


def make_probe(
    state: SchedulerState, probe: MakeProbe, series: ProbeSeries, reservation: Reservation | None = None
) -> list[Result]:
    """Make one probe now, and remember what it showed. Its cost takes the place of what was reserved for it."""
    target = series.target
    task = ProbeTask(
        target=target,
        profile=series.profile,
        location=state.location,
        every_s=series.every_s,
        connection=state.connection(target),
        lag=state.lag,
        is_routed=is_routed(target, state.config),
        keeps_connection=state.keeps_connections,
        changes=list(state.changes(target)),
        price=state.price(target),
    )
    if reservation is not None:
        task = replace(
            task, affords=lambda more: reservation.raise_to(state.max_probe_cost(target, series.profile, more))
        )
    result = probe(task)
    if reservation is not None:
        reservation.settle(result.billed_usd)
    _remember(state, series, result)
    adaptations = [Result(adaptation) for adaptation in result.adaptations]
    shown = result.certificate
    certificates = [Result(shown)] if shown is not None and state.is_news(shown) else []
    return [Result(result.row, result.reachability), *adaptations, *certificates]


def _remember(state: SchedulerState, series: ProbeSeries, result: ProbeResult) -> None:
    row = result.row
    if row.served_model:
        state.served_models[row.target] = row.served_model
    state.note_cost(series.key, row.started_at, row.cost_usd)
    for adaptation in result.adaptations:
        state.note_adaptation(adaptation)
    limits = ResponseLimits(row.started_at, row.http_status, row.outcome, result.wait_ms, result.limits.figures)
    if state.shared.rate_limits.record(series.target, limits, now_ms()):
        with suppress(LockedError), state.shared.exclusive():
            pass  # writes it, so that other runs know it at once


def _outcome(results: list[Result]) -> str | None:
    return next((result.row.outcome for result in results if isinstance(result.row, Probe)), None)


def _undecided(result: Result) -> Result:
    return replace(result, row=replace(result.row, stands_for_s=0.0)) if isinstance(result.row, Probe) else result


def _failed_row(state: SchedulerState, series: ProbeSeries, at: int, problem: BaseException) -> Probe:
    """The row of a probe that this machine was not able to make, or that failed because of a bug of ours."""
    limit, key = own_limit(problem), series.target.key
    error = limit or safe_error(root_cause(problem), (key,) if key else ())
    return _unmeasured_row(state, series, at, "internal_error" if limit is None else "offline", error)


def _unmeasured_row(state: SchedulerState, series: ProbeSeries, at: int, outcome: str, error: str | None) -> Probe:
    return Probe(
        target=series.target.name,
        started_at=at,
        location=state.location,
        profile=series.profile,
        stands_for_s=series.every_s,
        outcome=outcome,
        error=error,
    )
