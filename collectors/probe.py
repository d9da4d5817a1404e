"""The main collector: one small streamed request to each target that is due."""

from __future__ import annotations

import gc
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from collectors.http.adaptations import Change
from collectors.http.own_limits import own_limit
from collectors.http.redaction import root_cause, safe_error
from collectors.http.usage import Usage
from collectors.request import dialect_of, request_body, request_headers
from collectors.scheduler.claims import NotDue, Planned, UnderWay
from collectors.scheduler.console import report_bug
from collectors.scheduler.context import CollectorContext, Job, Plan, Reachability, Result, SkippedError
from collectors.scheduler.failures import needs_confirmation
from collectors.scheduler.lock import LockedError
from collectors.scheduler.prices import is_plausible_usd, is_routed
from collectors.scheduler.rests import Heard
from collectors.scheduler.schedule import TickWindow, schedule_of, series_key
from routing.prices import BilledTokens, Price
from settings.addresses import is_loopback
from settings.targets import ProbeTarget
from store.clock import now_ms
from store.outcomes import MAY_BE_BILLED
from store.schema import Adaptation, Probe

if TYPE_CHECKING:  # `requests` takes 0.13 s to import: a run with nothing due does without
    from collectors.http.exchange import Exchange

STILL_UNDER_WAY = "its last probe is still under way"
HELD_UP = "its slot passed while this process was held up"
LONGEST_PAUSE_S = 60.0
"""A confirmation waits at most so long, or half an interval, for its target's rest to end; else the failure decides."""
WAITED_S = 0.5
"""A probe that waited this long for its turn may have been passed by slots, which it does not decide."""


def collect(scene: CollectorContext, window: TickWindow) -> Plan:
    """The probes that are due, those that are skipped, and when the next one will be due."""
    due = Plan()
    next_at: list[int] = []
    wanted: list[ProbeTarget] = []
    missed = 0
    scene.ledger.turn_page(window.now)  # which may fail, before anything is claimed
    for target in scene.config.targets:
        if target.waits_for_key:
            continue
        for profile, every_s in target.schedules:
            for plan in _plans(scene, target, profile, every_s, window):
                if isinstance(plan, NotDue):
                    next_at.append(_after_rest(scene, target, profile, every_s, plan.next_at))
                    continue
                if isinstance(plan, UnderWay):
                    due.skipped.append((target.name, STILL_UNDER_WAY))
                    continue
                missed += plan.missed
                if not window.all and (
                    rest := scene.shared.rests.why(target, plan.claim.at)
                ):  # a person who asks gets one
                    plan.claim.state = "refused"
                    due.skipped.append((target.name, rest))
                    continue
                reserved = Reservation(scene.most_it_costs(target, profile), window.now)
                reason = scene.ledger.reserve(target, reserved.at_most_usd, reserved.at)
                if reason is None:
                    due.errands.append(_errand(scene, target, profile, every_s, plan, reserved, window.all))
                    wanted.append(target)
                else:
                    plan.claim.state = "refused"
                    due.skipped.append((target.name, reason))
    return replace(due, next_at=min(next_at, default=None), missed=missed, prepare=lambda: _prepare(scene, wanted))


def _prepare(scene: CollectorContext, targets: list[ProbeTarget]) -> None:
    """Load what a probe needs before any of them is timed or has a thread: a process that a timer starts has nothing
    yet, and what one probe loads would be in another one's times.

    Of an import that fails in a thread for lack of a descriptor the others would see half a module. The two threads
    that watch come first, too: without them nothing can be probed.
    """
    import encodings.idna  # noqa: F401  for names that are looked up

    import collectors.http.exchange
    import collectors.http.prompt  # noqa: F401
    from collectors.http.deadline import watch

    with suppress(RuntimeError):  # then each probe says so
        watch()
        scene.lag.start()
    fresh = [scene.line(target) for target in targets if not scene.has_line(target)]
    if fresh:
        gc.collect()
        gc.freeze()  # what is loaded stays: looking through it for garbage would stop every probe for milliseconds


def _plans(
    scene: CollectorContext, target: ProbeTarget, profile: str, every_s: float, window: TickWindow
) -> Iterator[Planned | UnderWay | NotDue]:
    """What is due of a series. A loop that decides a slot late decides the next one at its beginning, in the same tick:
    else it would be late for every slot from then on, and by its tick's own jitter lose one now and then.
    """
    series, schedule = series_key(target.name, profile), schedule_of(target.name, profile, every_s)
    newest = scene.newest.get(series)
    plan = scene.shared.claims.plan(series, schedule, window, newest, scene.shared.lives)
    yield plan
    if isinstance(plan, Planned) and plan.is_late and schedule.interval_ms >= window.until - window.now:
        yield scene.shared.claims.plan(series, schedule, window, newest, scene.shared.lives)


def _after_rest(scene: CollectorContext, target: ProbeTarget, profile: str, every_s: float, at: int) -> int:
    """When a target that would be due at a moment really is: at its first slot after its rest."""
    left_s = scene.shared.rests.left_s(target, at)
    if not left_s:
        return at
    schedule = schedule_of(target.name, profile, every_s)
    return schedule.begins(schedule.slot_at(at + round(left_s * 1_000) - 1) + 1)


@dataclass(frozen=True)
class Reservation:
    """What was set aside for a probe, and when (milliseconds UTC)."""

    at_most_usd: Decimal
    at: int


def _errand(
    scene: CollectorContext,
    target: ProbeTarget,
    profile: str,
    every_s: float,
    plan: Planned,
    reserved: Reservation,
    is_asked: bool,
) -> Job:
    """`is_asked`: a person wants this probe, whether its target rests or not."""
    series, claim = series_key(target.name, profile), plan.claim

    def cancel() -> None:
        scene.ledger.cancel(target, reserved.at_most_usd, reserved.at)

    def go(stop: threading.Event) -> list[Result]:
        if not scene.is_wanted(target):  # the configuration was changed: its slot is open again
            cancel()
            return []
        if now_ms() - claim.at >= claim.interval_ms:
            cancel()
            raise SkippedError(HELD_UP)
        if not _begin(scene, series, plan):
            cancel()
            raise SkippedError(STILL_UNDER_WAY)
        began_s = time.monotonic()

        def restart() -> None:
            nonlocal began_s
            began_s = time.monotonic()
            with suppress(LockedError), scene.shared.exclusive():
                pass  # what other runs added to the claim while this one waited
            scene.shared.claims.restart(claim, now_ms())

        try:
            return _decide(scene, target, profile, every_s, reserved, stop, restart, is_asked)
        except SkippedError:  # its target was asked to rest meanwhile: the slot is not tried again
            claim.state = "refused"
            raise
        finally:
            scene.shared.claims.end(series, claim, round((time.monotonic() - began_s) * 1_000))

    def broken(problem: BaseException) -> list[Result]:
        return [Result(_not_made(scene, target, profile, every_s, claim.at, problem))]

    return Job(target.name, go, (claim.at - reserved.at) / 1_000, series, claim, cancel, broken)


def _begin(scene: CollectorContext, series: str, plan: Planned) -> bool:
    if not plan.waits:
        return scene.shared.claims.begin(series, plan.claim)
    try:
        with scene.shared.exclusive():
            return scene.shared.claims.begin(series, plan.claim, scene.shared.lives)
    except LockedError:
        return False


def _decide(
    scene: CollectorContext,
    target: ProbeTarget,
    profile: str,
    every_s: float,
    reserved: Reservation,
    stop: threading.Event,
    restart: Callable[[], None],
    is_asked: bool,
) -> list[Result]:
    """One probe and, when it failed outside an incident, the one that confirms or clears it, which then decides."""
    series = series_key(target.name, profile)
    first = _probe_in_turn(scene, target, profile, every_s, reserved, stop, restart, is_asked)
    outcome = _outcome(first)
    if stop.is_set() and outcome in (None, "timeout"):
        return []  # ended by us, so it says nothing about the target
    needs_second = needs_confirmation(outcome, scene.failures.get(series, 0))
    scene.note_outcome(series, outcome)
    pause_s = max(scene.config.collector.confirm_after, scene.shared.rests.left_s(target, now_ms()))
    is_too_long = pause_s > max(scene.config.collector.confirm_after, min(every_s / 2, LONGEST_PAUSE_S))
    if not needs_second or is_too_long or stop.wait(pause_s):
        return first
    again = Reservation(scene.most_it_costs(target, profile), now_ms())
    if not _may_confirm(scene, target, again):
        return first
    try:
        second = _probe_in_turn(scene, target, profile, every_s, again, stop)
    except SkippedError:
        return first
    outcome = _outcome(second)
    if stop.is_set() and outcome in (None, "timeout"):
        return first
    scene.note_outcome(series, outcome)
    undecided = [replace(f, row=replace(f.row, stands_for_s=0.0)) if isinstance(f.row, Probe) else f for f in first]
    return undecided + second


def _may_confirm(scene: CollectorContext, target: ProbeTarget, again: Reservation) -> bool:
    try:
        with scene.shared.exclusive():  # other runs may have been asked to rest meanwhile
            if scene.shared.rests.why(target, again.at) is not None:
                return False
            return scene.ledger.reserve(target, again.at_most_usd, again.at) is None
    except LockedError:
        return False


def _probe_in_turn(
    scene: CollectorContext,
    target: ProbeTarget,
    profile: str,
    every_s: float,
    reserved: Reservation,
    stop: threading.Event,
    restart: Callable[[], None] = lambda: None,
    is_asked: bool = False,
) -> list[Result]:
    """Probe when nobody else's probe would slow it down; `restart` is called when that took a while. Raises
    SkippedError when the target's server asked for a rest meanwhile.
    """
    began = time.monotonic()
    try:
        with scene.seats.take(target, stop) as is_ready:
            if not is_ready:
                scene.ledger.cancel(target, reserved.at_most_usd, reserved.at)
                return []
            if not is_asked and (rest := scene.shared.rests.why(target, now_ms())):
                scene.ledger.cancel(target, reserved.at_most_usd, reserved.at)
                raise SkippedError(rest)
            if time.monotonic() - began > WAITED_S:
                restart()
            return probe_once(scene, target, profile, every_s, reserved)
    except SkippedError:
        raise
    except Exception as problem:  # noqa: BLE001  a bug of ours is a row, too, and no outage of the target
        if own_limit(problem) is None:
            report_bug(target.name, problem)
        else:
            scene.ledger.settle(reserved.at_most_usd, 0.0, reserved.at)  # nothing was sent
        return [Result(_not_made(scene, target, profile, every_s, now_ms(), problem))]


def _outcome(findings: list[Result]) -> str | None:
    return next((finding.row.outcome for finding in findings if isinstance(finding.row, Probe)), None)


def _not_made(
    scene: CollectorContext, target: ProbeTarget, profile: str, every_s: float, at: int, problem: BaseException
) -> Probe:
    """The row of a probe that this machine was not able to make, or that failed by a bug of ours."""
    limit = own_limit(problem)
    return Probe(
        target=target.name,
        started_at=at,
        location=scene.location,
        profile=profile,
        stands_for_s=every_s,
        outcome="internal_error" if limit is None else "offline",
        error=limit or safe_error(root_cause(problem), (target.key,) if target.key else ()),
    )


def probe_once(
    scene: CollectorContext, target: ProbeTarget, profile: str, every_s: float, reserved: Reservation | None = None
) -> list[Result]:
    """Make one probe; the findings are its row and, when the server refused a field, what to leave out next time.

    What it cost takes the place of what was `reserved` for it, if anything was.
    """
    from collectors.http.exchange import ProbeRequest, exchange
    from collectors.http.prompt import ask

    # a number to ask for is no secret
    question = ask(profile, target.check, random.Random())  # nosec B311
    where = (target.name, target.base_url, target.model)
    dialect = dialect_of(target)
    body = request_body(target, profile, question.prompt, scene.refused.get(where, []))
    headers = request_headers(target)
    if is_routed(target, scene.config):
        headers = {"X-OpenRouter-Metadata": "enabled"} | headers
    secrets = (target.key,) if target.key else ()
    more_usd = Decimal(0)

    def affords(changes: list[Change]) -> bool:
        nonlocal more_usd
        if reserved is None:
            return True
        more = scene.most_it_costs(target, profile, changes) - reserved.at_most_usd - more_usd
        if more <= 0:
            return True
        with suppress(LockedError):
            if scene.ledger.reserve_more(more, now_ms()):
                more_usd += more
                return True
        return False

    wanted = ProbeRequest(body, headers, target.timeout_s, secrets, dialect, target.max_tokens, affords)
    line = scene.line(target)
    started_at, watch = now_ms(), scene.lag.begin()
    try:
        result = exchange(line, wanted)
    finally:
        lag_ms = scene.lag.end(watch)
        if not scene.keeps_connections:
            line.close()
    reply = result.reply
    if reply.served_model:
        scene.served_models[target.name] = reply.served_model
    used, cost_usd = _pay(scene, target, profile, result, started_at, reserved, more_usd)
    row = replace(
        _row(scene, target, profile, result, used),
        started_at=started_at,
        stands_for_s=every_s,
        lag_ms=round(lag_ms, 3),
        cost_usd=cost_usd,
        answer_ok=question.answered_by(reply.text) if result.outcome == "ok" else None,
    )
    host = line.first_host  # a proxy's, where there is one: whether the target itself was reached, only the proxy knows
    contact = None
    if host is not None and not is_loopback(host) and not result.own_limit:
        contact = Reachability(host, result.unreached, result.own_network)
    heard = Heard(started_at, result.http_status, result.outcome, result.wait_ms, result.limits.figures)
    if scene.shared.rests.hear(target, heard, now_ms()):
        with suppress(LockedError), scene.shared.exclusive():
            pass  # other runs know it at once
    refusals = [Adaptation(*where, name, instead, started_at) for name, instead in result.adaptations]
    for refusal in refusals:
        scene.note_refusal(refusal)
    return [Result(row, contact), *(Result(refusal) for refusal in refusals)]


def _pay(
    scene: CollectorContext,
    target: ProbeTarget,
    profile: str,
    result: Exchange,
    started_at: int,
    reserved: Reservation | None,
    more_usd: Decimal,
) -> tuple[Usage, float | None]:
    """The usage as far as it is believed and what it cost, which takes the place of what was reserved."""
    used = result.reply.usage
    billed_output = result.completion_tokens if dialect_of(target).makes_text else 0
    price = scene.price(target)
    if not is_plausible_usd(used.cost_usd, price, used.prompt_tokens, max(billed_output or 0, target.max_tokens)):
        used = replace(used, cost_usd=None)  # in a unit of the server's own
    cost_usd = cost_of(used, billed_output, price, started_at)
    scene.note_cost(series_key(target.name, profile), started_at, cost_usd)
    billed_usd = cost_usd if cost_usd is not None or result.outcome in MAY_BE_BILLED else 0.0
    if reserved is not None:
        scene.ledger.settle(reserved.at_most_usd + more_usd, billed_usd, reserved.at)
    return used, cost_usd


def _row(scene: CollectorContext, target: ProbeTarget, profile: str, result: Exchange, used: Usage) -> Probe:
    """What the exchange says; `started_at`, `stands_for_s`, `lag_ms`, `cost_usd` and `answer_ok` are not its own."""
    reply = result.reply
    return Probe(
        target=target.name,
        started_at=0,
        location=scene.location,
        profile=profile,
        stands_for_s=0.0,
        outcome=result.outcome,
        http_status=result.http_status,
        connect_ms=_rounded(result.connect_ms),
        ttft_ms=_rounded(result.ttft_ms),
        total_ms=_rounded(result.total_ms),
        tokens_per_second=_rounded(result.tokens_per_second),
        prompt_tokens=used.prompt_tokens,
        completion_tokens=result.completion_tokens,
        reasoning_tokens=used.reasoning_tokens,
        cached_tokens=used.cached_tokens,
        tokens_source=result.tokens_source,
        provider=reply.provider,
        served_model=reply.served_model,
        finish_reason=reply.finish_reason,
        route=reply.route,
        error=result.error,
        first_answer_ms=_rounded(result.first_answer_ms),
        itl_p50_ms=_rounded(result.itl_p50_ms) if profile == "throughput" else None,
        itl_p99_ms=_rounded(result.itl_p99_ms) if profile == "throughput" else None,
        system_fingerprint=reply.system_fingerprint,
    )


def cost_of(used: Usage, completion_tokens: int | None, price: Price | None, at: int) -> float | None:
    """What the response says that it cost, else its tokens at the price of that moment; null where neither is known."""
    if used.cost_usd is not None:
        return used.cost_usd
    if price is None or used.prompt_tokens is None or completion_tokens is None:
        return None
    billed = BilledTokens(
        used.prompt_tokens,
        completion_tokens,
        used.cached_tokens or 0,
        used.cache_write_tokens or 0,
        used.cache_write_1h_tokens or 0,
        used.reasoning_tokens or 0,
    )
    return float(price.cost(billed, at))


def _rounded(value: float | None) -> float | None:
    """To the microsecond: what is behind it is noise, and takes room in the store."""
    return None if value is None else round(value, 3)
