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
from typing import Any

from collectors.http.own_limits import own_limit
from collectors.http.proxies import is_loopback
from collectors.http.redaction import root_cause, safe_error
from collectors.scheduler.claims import NotDue, Planned, UnderWay
from collectors.scheduler.config import ProbeTarget
from collectors.scheduler.failures import needs_confirmation
from collectors.scheduler.lock import LockedError
from collectors.scheduler.prices import Price, is_routed
from collectors.scheduler.report import report_bug
from collectors.scheduler.scene import Contact, Due, Errand, Finding, Scene, SkippedError
from collectors.scheduler.schedule import TickWindow, schedule_of, series_key
from store.rows import MAY_BE_BILLED, Adaptation, Probe

USER_AGENT = "uptoken/1 (self-hosted model monitor)"
STILL_UNDER_WAY = "its last probe is still under way"
HELD_UP = "its slot passed while this process was held up"
WAITED_S = 0.5
"""A probe that waited this long for its turn may have been passed by slots, which it does not decide."""


def collect(scene: Scene, window: TickWindow) -> Due:
    """The probes that are due, those that are skipped, and when the next one will be due."""
    due = Due()
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
                    next_at.append(plan.next_at)
                    continue
                if isinstance(plan, UnderWay):
                    due.skipped.append((target.name, STILL_UNDER_WAY))
                    continue
                missed += plan.missed
                reserved = Reservation(scene.most_it_costs(target, profile), window.now)
                reason = scene.ledger.reserve(target, reserved.at_most_usd, reserved.at)
                if reason is None:
                    due.errands.append(_errand(scene, target, profile, every_s, plan, reserved))
                    wanted.append(target)
                else:
                    plan.claim.state = "refused"
                    due.skipped.append((target.name, reason))
    return replace(due, next_at=min(next_at, default=None), missed=missed, prepare=lambda: _prepare(scene, wanted))


def _prepare(scene: Scene, targets: list[ProbeTarget]) -> None:
    """Load what a probe needs before any of them is timed or has a thread: a process that a timer starts has nothing
    yet, and what one probe loads would be in another one's times.

    Of an import that fails in a thread for lack of a descriptor the others would see half a module. The two threads
    that watch come first, too: without them nothing can be probed.
    """
    import encodings.idna  # noqa: F401  for names that are looked up

    import collectors.http.exchange
    import collectors.http.question  # noqa: F401
    from collectors.http.deadline import watch

    with suppress(RuntimeError):  # then each probe says so
        watch()
        scene.lag.start()
    fresh = [scene.line(target) for target in targets if not scene.has_line(target)]
    if fresh:
        gc.collect()
        gc.freeze()  # what is loaded stays: looking through it for garbage would stop every probe for milliseconds


def _plans(
    scene: Scene, target: ProbeTarget, profile: str, every_s: float, window: TickWindow
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


@dataclass(frozen=True)
class Reservation:
    """What was set aside for a probe, and when (milliseconds UTC)."""

    at_most_usd: Decimal
    at: int


def _errand(
    scene: Scene, target: ProbeTarget, profile: str, every_s: float, plan: Planned, reserved: Reservation
) -> Errand:
    series, claim = series_key(target.name, profile), plan.claim

    def cancel() -> None:
        scene.ledger.cancel(target, reserved.at_most_usd, reserved.at)

    def go(stop: threading.Event) -> list[Finding]:
        if _now_ms() - claim.at >= claim.interval_ms:
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
            scene.shared.claims.restart(claim, _now_ms())

        try:
            return _decide(scene, target, profile, every_s, reserved, stop, restart)
        finally:
            scene.shared.claims.end(series, claim, round((time.monotonic() - began_s) * 1_000))

    def broken(problem: BaseException) -> list[Finding]:
        return [Finding(_not_made(scene, target, profile, every_s, claim.at, problem))]

    return Errand(target.name, go, (claim.at - reserved.at) / 1_000, series, claim, cancel, broken)


def _begin(scene: Scene, series: str, plan: Planned) -> bool:
    if not plan.waits:
        return scene.shared.claims.begin(series, plan.claim)
    try:
        with scene.shared.exclusive():
            return scene.shared.claims.begin(series, plan.claim, scene.shared.lives)
    except LockedError:
        return False


def _decide(
    scene: Scene,
    target: ProbeTarget,
    profile: str,
    every_s: float,
    reserved: Reservation,
    stop: threading.Event,
    restart: Callable[[], None],
) -> list[Finding]:
    """One probe and, when it failed outside an incident, the one that confirms or clears it, which then decides."""
    series = series_key(target.name, profile)
    first = _probe_in_turn(scene, target, profile, every_s, reserved, stop, restart)
    outcome = _outcome(first)
    if stop.is_set() and outcome in (None, "timeout"):
        return []  # ended by us, so it says nothing about the target
    needs_second = needs_confirmation(outcome, scene.failures.get(series, 0))
    scene.note_outcome(series, outcome)
    if not needs_second or stop.wait(scene.config.collector.confirm_after):
        return first
    again = Reservation(scene.most_it_costs(target, profile), _now_ms())
    if not _may_confirm(scene, target, again):
        return first
    second = _probe_in_turn(scene, target, profile, every_s, again, stop)
    outcome = _outcome(second)
    if stop.is_set() and outcome in (None, "timeout"):
        return first
    scene.note_outcome(series, outcome)
    undecided = [replace(f, row=replace(f.row, stands_for_s=0.0)) if isinstance(f.row, Probe) else f for f in first]
    return undecided + second


def _may_confirm(scene: Scene, target: ProbeTarget, again: Reservation) -> bool:
    try:
        return scene.ledger.reserve(target, again.at_most_usd, again.at) is None
    except LockedError:
        return False


def _probe_in_turn(
    scene: Scene,
    target: ProbeTarget,
    profile: str,
    every_s: float,
    reserved: Reservation,
    stop: threading.Event,
    restart: Callable[[], None] = lambda: None,
) -> list[Finding]:
    """Probe when nobody else's probe would slow it down; `restart` is called when that took a while."""
    began = time.monotonic()
    try:
        with scene.seats.take(target, stop) as is_ready:
            if not is_ready:
                scene.ledger.cancel(target, reserved.at_most_usd, reserved.at)
                return []
            if time.monotonic() - began > WAITED_S:
                restart()
            return probe_once(scene, target, profile, every_s, reserved)
    except Exception as problem:  # noqa: BLE001  a bug of ours is a row, too, and no outage of the target
        if own_limit(problem) is None:
            report_bug(target.name, problem)
        else:
            scene.ledger.settle(reserved.at_most_usd, 0.0, reserved.at)  # nothing was sent
        return [Finding(_not_made(scene, target, profile, every_s, _now_ms(), problem))]


def _outcome(findings: list[Finding]) -> str | None:
    return next((finding.row.outcome for finding in findings if isinstance(finding.row, Probe)), None)


def _not_made(
    scene: Scene, target: ProbeTarget, profile: str, every_s: float, at: int, problem: BaseException
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
    scene: Scene, target: ProbeTarget, profile: str, every_s: float, reserved: Reservation | None = None
) -> list[Finding]:
    """Make one probe; the findings are its row and, when the server refused a field, what to leave out next time.

    What it cost takes the place of what was `reserved` for it, if anything was.
    """
    from collectors.http.adaptations import adapt
    from collectors.http.exchange import Ask, exchange
    from collectors.http.question import ask

    # a number to ask for is no secret
    question = ask(profile, target.check, random.Random())  # nosec B311
    where = (target.name, target.base_url, target.model)
    body = adapt(request_body(scene, target, profile, question.prompt), scene.refused.get(where, []))
    secrets = (target.key,) if target.key else ()
    wanted = Ask(body, request_headers(scene, target), target.timeout_s, secrets)
    line = scene.line(target)
    started_at, watch = _now_ms(), scene.lag.begin()
    try:
        result = exchange(line, wanted)
    finally:
        lag_ms = scene.lag.end(watch)
        if not scene.keeps_connections:
            line.close()
    reply = result.reply
    used = reply.usage
    cost_usd = _cost(used.cost_usd, scene.price(target), used.prompt_tokens, result.completion_tokens)
    billed_usd = cost_usd if cost_usd is not None or result.outcome in MAY_BE_BILLED else 0.0
    if reserved is not None:
        scene.ledger.settle(reserved.at_most_usd, billed_usd, reserved.at)
    row = Probe(
        target=target.name,
        started_at=started_at,
        location=scene.location,
        profile=profile,
        stands_for_s=every_s,
        outcome=result.outcome,
        http_status=result.http_status,
        lag_ms=round(lag_ms, 3),
        connect_ms=_rounded(result.connect_ms),
        ttft_ms=_rounded(result.ttft_ms),
        total_ms=_rounded(result.total_ms),
        tokens_per_second=_rounded(result.tokens_per_second),
        prompt_tokens=used.prompt_tokens,
        completion_tokens=result.completion_tokens,
        reasoning_tokens=used.reasoning_tokens,
        cached_tokens=used.cached_tokens,
        tokens_source=result.tokens_source,
        cost_usd=cost_usd,
        answer_ok=question.answered_by(reply.text) if result.outcome == "ok" else None,
        provider=reply.provider,
        served_model=reply.served_model,
        finish_reason=reply.finish_reason,
        route=reply.route,
        error=result.error,
    )
    host = line.first_host  # a proxy's, where there is one: whether the target itself was reached, only the proxy knows
    contact = None
    if host is not None and not is_loopback(host) and not result.own_limit:
        contact = Contact(host, result.unreached, result.own_network)
    refusals = [Adaptation(*where, name, instead, started_at) for name, instead in result.adaptations]
    for refusal in refusals:
        scene.note_refusal(refusal)
    return [Finding(row, contact), *(Finding(refusal) for refusal in refusals)]


def request_body(scene: Scene, target: ProbeTarget, profile: str, prompt: str) -> dict[str, Any]:
    """The JSON that a probe sends."""
    from collectors.http.question import MAX_TOKENS

    body: dict[str, Any] = {
        "model": target.model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": MAX_TOKENS[profile],
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if target.provider is not None:
        body["provider"] = {"only": [target.provider], "allow_fallbacks": False}
    return body


def request_headers(scene: Scene, target: ProbeTarget) -> dict[str, str]:
    """The headers that a probe sends, the key among them."""
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream", "User-Agent": USER_AGENT}
    if target.key is not None:
        headers["Authorization"] = f"Bearer {target.key}"
    if is_routed(target, scene.config):
        headers["X-OpenRouter-Metadata"] = "enabled"
    return headers | dict(target.headers)


def _cost(said: float | None, price: Price | None, prompt: int | None, completion: int | None) -> float | None:
    if said is not None:
        return said
    if price is None or prompt is None or completion is None:
        return None
    return float(price.cost(prompt, completion))


def _rounded(value: float | None) -> float | None:
    """To the microsecond: what is behind it is noise, and takes room in the store."""
    return None if value is None else round(value, 3)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
