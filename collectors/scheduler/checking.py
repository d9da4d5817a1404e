"""The checks of one tick: which targets are due, and the requests of each check, every one within the budget."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from collectors.contract import CheckCollector, CheckResult, CheckTask, Result, SkippedError
from collectors.costs import billed_usd, cost_of_exchange
from collectors.http.own_limits import own_limit
from collectors.http.redaction import root_cause, safe_error
from collectors.prices import is_routed
from collectors.scheduler.budget import Reservation
from collectors.scheduler.claims import Claim, NotDue, Planned, UnderWay
from collectors.scheduler.lock import PERMIT_POLL_S, LockedError
from collectors.scheduler.plan import Plan, ProbeJob
from collectors.scheduler.probing import HELD_UP, ProbeSeries, begin_slot
from collectors.scheduler.rate_limit_state import ResponseLimits
from collectors.scheduler.schedule import TickWindow, series_key
from collectors.scheduler.state import SchedulerState
from settings.targets import ProbeTarget
from store import StoreError
from store.clock import now_ms
from store.schema import Adaptation, Row

if TYPE_CHECKING:  # `requests` takes 0.13 s to import: a run with nothing due does without
    from collectors.http.exchange import Exchange, ProbeRequest

MakeCheck = Callable[[CheckTask], CheckResult]


def plan_checks(state: SchedulerState, name: str, collector: CheckCollector, window: TickWindow) -> Plan:
    """The checks that are due, those that are skipped, and when the next one will be due. The shared state is held.
    Raises StoreError.
    """
    plan = Plan(prepare=collector.prepare)
    claimed: list[tuple[str, Claim]] = []
    next_at: list[int] = []
    try:
        for target in state.config.targets:
            every_s = None if target.waits_for_key else _pace(state, name, collector, target, window.now)
            if every_s is None:
                continue
            series = ProbeSeries(target, name, every_s)
            newest = state.newest_checks.get(series.key)
            due = replace(window, all=True) if series.key in state.due_at_once else window
            planned = state.shared.claims.plan(series.key, series.schedule, due, newest, state.shared.lives)
            if isinstance(planned, NotDue):
                next_at.append(planned.next_at)
            elif isinstance(planned, UnderWay):
                plan.skipped.append((target.name, STILL_UNDER_WAY))
            elif reason := _reason_to_wait(state, target, planned.claim.at):
                state.shared.claims.drop(series.key, planned.claim)  # due until the wait is over, and not a day later
                if window.all:
                    plan.skipped.append((target.name, reason))
            else:
                claimed.append((series.key, planned.claim))
                plan.jobs.append(_job(state, collector, series, planned, window))
    except StoreError:  # nothing of this plan is run: its slots are open again
        for key, claim in claimed:
            state.shared.claims.drop(key, claim)
        raise
    state.due_at_once.difference_update(key for key, _ in claimed)
    return replace(plan, next_at=min(next_at, default=None))


def _pace(state: SchedulerState, name: str, collector: CheckCollector, target: ProbeTarget, now: int) -> float | None:
    """How often a target is checked: read from the store once, then updated by each check."""
    key = series_key(target.name, name)
    if key not in state.paces:
        state.note_pace(key, collector.pace(state.store, target, state.location, now))
    return state.paces[key]


def _reason_to_wait(state: SchedulerState, target: ProbeTarget, at: int) -> str | None:
    state.pauses.refresh()  # where no probes are planned, nobody else does
    reason = state.pauses.reason(target, at) or state.shared.rate_limits.rest_reason(target, at)
    return reason or (IS_DOWN if state.is_failing(target) else None)


def _job(
    state: SchedulerState, collector: CheckCollector, series: ProbeSeries, planned: Planned, window: TickWindow
) -> ProbeJob:
    target = series.target
    check = collector.plan(state.store, target, state.location, window.now)

    def make_failed_row(problem: BaseException) -> list[Result]:
        limit, key = own_limit(problem), target.key
        outcome = "internal_error" if limit is None else "offline"
        error = limit or safe_error(root_cause(problem), (key,) if key else ()) or outcome
        return [Result(collector.failed_row(target, state.location, planned.claim.at, outcome, error))]

    run = _CheckRun(state, check, series, planned)
    delay_s = (planned.claim.at - window.now) / 1_000
    return ProbeJob(target.name, run.run, delay_s, results_of=make_failed_row, series=series.key, claim=planned.claim)


class _CheckRun:
    """One check of one target. Each of its requests waits for its turn: a long check delays no probe for long."""

    def __init__(self, state: SchedulerState, check: MakeCheck, series: ProbeSeries, planned: Planned) -> None:
        self._state = state
        self._check = check
        self._series = series
        self._planned = planned
        self._adaptations: list[Row] = []
        self._has_sent = False
        self._stop = threading.Event()

    def run(self, stop: threading.Event) -> list[Result]:
        """Make the check, and return its rows. Raises SkippedError."""
        state, series, claim = self._state, self._series, self._planned.claim
        if not state.is_wanted(series.target):
            return []
        if now_ms() - claim.at >= claim.interval_ms:
            raise SkippedError(HELD_UP)
        if not begin_slot(state, series, self._planned):
            raise SkippedError(STILL_UNDER_WAY)
        try:
            self._stop = stop
            result = self._check(self._task())
        except SkippedError:
            if stop.is_set():
                return []
            if state.is_failing(series.target):
                state.shared.claims.drop(series.key, claim)  # due until it answers, and not a day later
                raise
            claim.state = "refused"  # the slot is not tried again
            raise
        finally:
            state.shared.claims.end(series.key, claim, 0)
        state.paces[series.key] = result.every_s
        return [Result(row) for row in (*result.rows, *self._adaptations)]

    def _task(self) -> CheckTask:
        state, target = self._state, self._series.target
        price = state.price(target)
        return CheckTask(
            target,
            state.location,
            self._send,
            lambda result, at: cost_of_exchange(target, price, result, at),
            list(state.changes(target)),
            is_routed(target, state.config),
            price,
            state.context_tokens(target),
        )

    def _send(
        self, request: ProbeRequest, profile: str, prompt_tokens: int | None = None, *, at_once: bool = False
    ) -> Exchange:
        """Send one request in its turn. Raises SkippedError."""
        state, target = self._state, self._series.target
        if not at_once:
            self._let_probes_first()
        self._has_sent = True
        with state.concurrency.hold(target, self._stop) as is_ready:
            if not is_ready or self._stop.is_set():
                raise SkippedError(ENDS)
            try:
                return self._exchange(request, profile, prompt_tokens)
            finally:
                if not state.keeps_connections:
                    state.connection(target).close()

    def _let_probes_first(self) -> None:
        """Wait for the target's probes that are due. A target that hangs would hold them up for as long as a request
        may take. Raises SkippedError when they failed.
        """
        state, target = self._state, self._series.target
        if self._has_sent:
            self._stop.wait(OTHERS_FIRST_S)
        series = [series_key(target.name, profile) for profile, _ in target.schedules]
        while any(state.shared.claims.is_due(key, now_ms() + SOON_MS) for key in series):
            if self._stop.wait(PERMIT_POLL_S):
                break
        if state.is_failing(target):
            raise SkippedError(IS_DOWN)

    def _exchange(self, request: ProbeRequest, profile: str, prompt_tokens: int | None) -> Exchange:
        """Send one request: its cost is reserved before and booked after. Raises SkippedError."""
        from collectors.http.exchange import exchange

        state, target, began_at = self._state, self._series.target, now_ms()
        usd = state.max_check_cost(target, profile, prompt_tokens=prompt_tokens)
        try:
            with state.shared.exclusive():
                reason = state.shared.rate_limits.rest_reason(target, began_at)
                reason = reason or state.budget.reserve(target, usd, began_at)
        except LockedError as problem:
            reason = str(problem)
        if reason is not None:
            raise SkippedError(reason)
        reservation = Reservation(state.budget, target, usd, began_at)
        request = replace(
            request,
            affords=lambda more: reservation.raise_to(state.max_check_cost(target, profile, more, prompt_tokens)),
        )
        try:
            result = exchange(state.connection(target), request)
        except Exception as problem:
            if own_limit(problem) is not None:
                reservation.settle(0.0)  # nothing was sent
            raise
        usd_known = cost_of_exchange(target, state.price(target), result, began_at)
        reservation.settle(billed_usd(usd_known, result.outcome))
        state.note_check_cost(target, prompt_tokens, began_at, usd_known)
        if self._stop.is_set() and result.outcome == "timeout":
            raise SkippedError(ENDS)  # ended by us, so it says nothing about the target
        self._remember(result, began_at)
        return result

    def _remember(self, result: Exchange, began_at: int) -> None:
        state, target = self._state, self._series.target
        for field, instead in result.adaptations:
            if field not in PART_OF_CHECK:
                row = Adaptation(target.name, target.base_url, target.model, field, instead, began_at)
                state.note_adaptation(row)
                self._adaptations.append(row)
        limits = ResponseLimits(began_at, result.http_status, result.outcome, result.wait_ms, result.limits.figures)
        if state.shared.rate_limits.record(target, limits, now_ms()):
            with suppress(LockedError), state.shared.exclusive():
                pass  # writes the rest, so that other runs keep to it at once


ENDS = "the process ends"
STILL_UNDER_WAY = "its last check is still running"
OTHERS_FIRST_S = 5 * PERMIT_POLL_S
"""Between two requests of a check, for a probe that waits: it looks for its turn that often."""
SOON_MS = 1_000
"""A request of a check waits for a probe that starts so soon."""
IS_DOWN = "its last probe failed"
PART_OF_CHECK = frozenset(
    {
        *("logprobs", "top_logprobs", "include", "generationConfig.responseLogprobs", "generationConfig.logprobs"),
        *("tools", "response_format", "seed", "stop"),
    }
)
"""Fields that only checks send: a server that refuses them is a check's result, and no adaptation of probes."""
