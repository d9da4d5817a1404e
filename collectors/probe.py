"""The main collector: one small streamed request to each target that is due."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import replace
from typing import Any

from collectors.http.proxies import is_loopback
from collectors.scheduler.config import ProbeTarget
from collectors.scheduler.prices import Price, is_routed
from collectors.scheduler.scene import Contact, Due, Errand, Finding, Moment, Scene
from collectors.scheduler.schedule import is_due, next_due, slot_of
from store.rows import DOWN, MAY_BE_BILLED, Adaptation, Probe

USER_AGENT = "uptoken/1 (self-hosted model monitor)"


def collect(scene: Scene, moment: Moment) -> Due:
    """The probes that are due, those that are left out, and when the next one will be due."""
    due = Due()
    next_at: list[int] = []
    missed = 0
    for target in scene.config.targets:
        if target.waits_for_key:
            continue
        for profile, every_s in target.schedules:
            last = scene.last_at.get((target.name, profile))
            starts_at = _start(target.name, profile, every_s, last, moment)
            if starts_at is None:
                next_at.append(next_due(target.name, profile, every_s, last, moment.now))
                continue
            scene.last_at[target.name, profile] = starts_at
            missed += _missed(scene, target.name, profile, every_s, starts_at)
            reason = _refusal(scene, target, profile, moment.now)
            if reason is None:
                due.errands.append(_errand(scene, target, profile, every_s, (starts_at - moment.now) / 1_000))
            else:
                due.skipped.append((target.name, reason))
    return replace(due, next_at=min(next_at, default=None), missed=missed)


def _missed(scene: Scene, name: str, profile: str, every_s: float, starts_at: int) -> int:
    """How many slots went by since the one that this process last planned a probe for."""
    before, scene.planned_at[name, profile] = scene.planned_at.get((name, profile)), starts_at
    if before is None:
        return 0
    return max(0, slot_of(name, profile, every_s, starts_at) - slot_of(name, profile, every_s, before) - 1)


def _start(name: str, profile: str, every_s: float, last: int | None, moment: Moment) -> int | None:
    """When to start it, if it is due: at its own moment in a loop that plans ahead, at once in a single run."""
    if moment.until > moment.now and not moment.all:
        starts_at = max(moment.now, next_due(name, profile, every_s, last, moment.now))
        return starts_at if starts_at < moment.until else None
    return moment.now if moment.all or is_due(name, profile, every_s, last, moment.now) else None


def _refusal(scene: Scene, target: ProbeTarget, profile: str, now: int) -> str | None:
    if (target.name, profile) in scene.in_flight:
        return "its last probe is still under way"
    return scene.ledger.reserve(target, scene.most_it_costs(target, profile), now)


def _errand(scene: Scene, target: ProbeTarget, profile: str, every_s: float, delay_s: float) -> Errand:
    scene.in_flight.add((target.name, profile))

    def go(stop: threading.Event) -> list[Finding]:
        try:
            return _observed(scene, target, profile, every_s, stop)
        finally:
            scene.in_flight.discard((target.name, profile))

    return Errand(target.name, go, delay_s)


def _observed(scene: Scene, target: ProbeTarget, profile: str, every_s: float, stop: threading.Event) -> list[Finding]:
    """One probe and, when it failed, the one that confirms or clears it: the second then decides the slot."""
    with scene.turn(target):
        first = probe_once(scene, target, profile, every_s)
    if stop.is_set() and _outcome(first) == "timeout":
        return []  # ended by us, so it says nothing about the target
    if _outcome(first) not in DOWN or stop.wait(scene.config.collector.confirm_after):
        return first
    if scene.ledger.reserve(target, scene.most_it_costs(target, profile), _now_ms()) is not None:
        return first
    with scene.turn(target):
        second = probe_once(scene, target, profile, every_s)
    if stop.is_set() and _outcome(second) == "timeout":
        return first
    undecided = [replace(f, row=replace(f.row, stands_for_s=0.0)) if isinstance(f.row, Probe) else f for f in first]
    return undecided + second


def _outcome(findings: list[Finding]) -> str:
    return next(finding.row.outcome for finding in findings if isinstance(finding.row, Probe))


def probe_once(scene: Scene, target: ProbeTarget, profile: str, every_s: float) -> list[Finding]:
    """Make one probe; the findings are its row and, when the server refused a field, what to leave out next time."""
    from collectors.http.exchange import Ask, adapt, exchange
    from collectors.http.question import ask

    # a sum to ask for is no secret
    question = ask(profile, random.Random())  # nosec B311
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
    reply = result.reply
    cost_usd = _cost(reply.cost_usd, scene.price(target), reply.prompt_tokens, result.completion_tokens)
    billed_usd = cost_usd if cost_usd is not None or result.outcome in MAY_BE_BILLED else 0.0
    scene.ledger.settle(scene.most_it_costs(target, profile), billed_usd)
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
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=result.completion_tokens,
        reasoning_tokens=reply.reasoning_tokens,
        cached_tokens=reply.cached_tokens,
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
    contact = None if host is None or is_loopback(host) else Contact(host, result.unreached, result.own_network)
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
