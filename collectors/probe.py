"""The main collector: one small streamed request to a target, and the row it leaves."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from collectors.contract import ProbeResult, ProbeTask, Reachability
from collectors.costs import billed_output, billed_usd, cost_of, plausible_usage
from collectors.http.usage import Usage
from collectors.request import dialect_of, request_body, request_headers
from settings.addresses import certificate_host, is_loopback
from store.clock import now_ms
from store.schema import Adaptation, Certificate, Probe

if TYPE_CHECKING:  # `requests` takes 0.13 s to import: a run with nothing due does without
    from collectors.http.exchange import Exchange, ProbeRequest


def prepare() -> None:
    """Import what a probe needs, and start the thread that ends probes in time. Raises RuntimeError when the system
    starts no more threads.
    """
    import encodings.idna  # noqa: F401  for names that are looked up

    import collectors.http.exchange
    import collectors.http.prompt  # noqa: F401
    from collectors.http.deadline import watch

    watch()


def probe_once(task: ProbeTask) -> ProbeResult:
    """Make one probe."""
    from collectors.http.exchange import exchange
    from collectors.http.prompt import make_prompt

    target = task.target
    # a number to ask for is no secret
    prompt = make_prompt(task.profile, target.check, random.Random())  # nosec B311
    request = _request(task, prompt.prompt)
    started_at, watch = now_ms(), task.lag.begin()
    try:
        result = exchange(task.connection, request)
    finally:
        lag_ms = task.lag.end(watch)
        if not task.keeps_connection:
            task.connection.close()
    used = plausible_usage(target, task.price, result)
    cost_usd = cost_of(used, billed_output(target, result), task.price, started_at)
    row = replace(
        _row(task, result, used, started_at),
        lag_ms=round(lag_ms, 3),
        cost_usd=cost_usd,
        answer_ok=prompt.answered_by(result.response.text) if result.outcome == "ok" else None,
    )
    where = (target.name, target.base_url, target.model)
    return ProbeResult(
        row,
        _reachability(task, result),
        billed_usd=billed_usd(cost_usd, result.outcome),
        wait_ms=result.wait_ms,
        limits=result.limits,
        adaptations=tuple(Adaptation(*where, name, instead, started_at) for name, instead in result.adaptations),
        certificate=_certificate(task, started_at),
    )


def _certificate(task: ProbeTask, seen_at: int) -> Certificate | None:
    host, shown = certificate_host(task.target.base_url), task.connection.take_certificate()
    if host is None or shown is None:
        return None
    return Certificate(host, task.location, seen_at, shown.expires_at, shown.issuer)


def _request(task: ProbeTask, prompt: str) -> ProbeRequest:
    from collectors.http.exchange import ProbeRequest

    target = task.target
    return ProbeRequest(
        request_body(target, task.profile, prompt, task.changes),
        ({"X-OpenRouter-Metadata": "enabled"} if task.is_routed else {}) | request_headers(target),
        target.timeout_s,
        (target.key,) if target.key else (),
        dialect_of(target),
        target.max_tokens,
        task.affords,
    )


def _reachability(task: ProbeTask, result: Exchange) -> Reachability | None:
    # a proxy's host, where there is one: whether the target itself was reached, only the proxy knows
    host = task.connection.first_host
    if host is None or is_loopback(host) or result.own_limit:
        return None
    return Reachability(host, result.unreached, result.own_network)


def _row(task: ProbeTask, result: Exchange, used: Usage, started_at: int) -> Probe:
    """What the exchange shows; not `lag_ms`, `cost_usd` and `answer_ok`."""
    response = result.response
    return Probe(
        target=task.target.name,
        started_at=started_at,
        location=task.location,
        profile=task.profile,
        stands_for_s=task.every_s,
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
        provider=response.provider,
        served_model=response.served_model,
        finish_reason=response.finish_reason,
        route=response.route,
        error=result.error,
        first_answer_ms=_rounded(result.first_answer_ms),
        itl_p50_ms=_rounded(result.itl_p50_ms) if task.profile == "throughput" else None,
        itl_p99_ms=_rounded(result.itl_p99_ms) if task.profile == "throughput" else None,
        system_fingerprint=response.system_fingerprint,
    )


def _rounded(value: float | None) -> float | None:
    """To the microsecond: what is behind it is noise, and takes room in the store."""
    return None if value is None else round(value, 3)
