"""What the requests of workloads show: a ladder of times and costs by prompt size, and what a prompt cache saves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from stats.samples import Samples
from store.workload_tables import AGAIN, FIRST, SIZE, SKIPPED, WorkloadRequest

ANSWER_TOKENS = 500
MILLION = 1_000_000


@dataclass(frozen=True)
class Measure:
    """The median of `count` values, and the value at their slow end: the 95th percentile of times and costs, the 5th
    of speeds. Null without any.
    """

    count: int
    p50: float | None
    slow: float | None


@dataclass(frozen=True)
class LadderStep:
    """The requests of one workload with prompts of one size.

    `failed` of them failed, `skipped` were not sent. `ttft_ms` and `tokens_per_second` are as of a probe, `answer_s`
    the seconds until 500 output tokens: TTFT and 500 at each request's own speed; `answer_usd` what they and the prompt
    cost at the price that held. `prompt_tokens`: the median of what responses state. `problem`: why the newest request
    failed or was not sent; null where it succeeded.
    """

    workload: str
    input_tokens: int
    failed: int
    skipped: int
    prompt_tokens: float | None
    ttft_ms: Measure
    tokens_per_second: Measure
    answer_s: Measure
    answer_usd: Measure
    problem: str | None
    newest_at: int


@dataclass(frozen=True)
class CacheEffect:
    """The pairs of requests of one workload with the same long prompt, in which both succeeded.

    `hits` of the `stating` pairs, whose second response states cached tokens, state more than none; `cached_tokens` is
    their median. `saved_share`: the median share of the first request's cost that the second did without; null where a
    cost is unknown or nothing.
    """

    workload: str
    input_tokens: int
    pairs: int
    first_ms: Measure
    again_ms: Measure
    stating: int
    hits: int
    cached_tokens: float | None
    saved_share: float | None
    problem: str | None


def ladder(requests: Iterable[WorkloadRequest]) -> list[LadderStep]:
    """Of one target at one location: a step by workload and size, in that order."""
    groups: defaultdict[tuple[str, int], list[WorkloadRequest]] = defaultdict(list)
    for one in requests:
        if one.kind == SIZE:
            groups[one.workload, one.input_tokens].append(one)
    return [_step(groups[key]) for key in sorted(groups)]


def cache_effects(requests: Iterable[WorkloadRequest]) -> list[CacheEffect]:
    """Of one target at one location: by workload, of the long prompt's newest size."""
    groups: defaultdict[str, list[WorkloadRequest]] = defaultdict(list)
    for one in requests:
        if one.kind in (FIRST, AGAIN):
            groups[one.workload].append(one)
    return [_effect(groups[name]) for name in sorted(groups)]


def measure(values: Iterable[float | None], slow: float = 0.95) -> Measure:
    """Of those that are known."""
    known = np.array([value for value in values if value is not None], dtype=float)
    return Measure(len(known), *Samples(values=known).quantiles((0.5, slow)))


def answer_s(request: WorkloadRequest) -> float | None:
    """Seconds until 500 output tokens."""
    if request.ttft_ms is None or not request.tokens_per_second:
        return None
    return request.ttft_ms / 1_000 + ANSWER_TOKENS / request.tokens_per_second


def answer_usd(request: WorkloadRequest) -> float | None:
    """USD for its prompt, uncached, and 500 output tokens."""
    price_in, price_out = request.usd_per_million_input, request.usd_per_million_output
    if price_in is None or price_out is None:
        return None
    prompt_tokens = request.prompt_tokens or request.input_tokens
    return (price_in * prompt_tokens + price_out * ANSWER_TOKENS) / MILLION


def _step(requests: Sequence[WorkloadRequest]) -> LadderStep:
    good = [one for one in requests if one.outcome == "ok"]
    skipped = sum(one.outcome == SKIPPED for one in requests)
    newest = max(requests, key=attrgetter("started_at"))
    return LadderStep(
        newest.workload,
        newest.input_tokens,
        len(requests) - len(good) - skipped,
        skipped,
        measure(one.prompt_tokens for one in good).p50,
        measure(one.ttft_ms for one in good),
        measure((one.tokens_per_second for one in good), slow=0.05),
        measure(map(answer_s, good)),
        measure(map(answer_usd, good)),
        _problem(newest),
        newest.started_at,
    )


def _effect(requests: Sequence[WorkloadRequest]) -> CacheEffect:
    newest = max(requests, key=lambda one: (one.started_at, one.kind == AGAIN))
    requests = [one for one in requests if one.input_tokens == newest.input_tokens]
    first = {one.started_at: one for one in requests if one.kind == FIRST and one.outcome == "ok"}
    again = {one.started_at: one for one in requests if one.kind == AGAIN and one.outcome == "ok"}
    pairs = [(first[at], again[at]) for at in sorted(first.keys() & again.keys())]
    stated = [second.cached_tokens for _, second in pairs if second.cached_tokens is not None]
    hits = [tokens for tokens in stated if tokens > 0]
    failed = next(
        (one for one in sorted(requests, key=attrgetter("started_at"), reverse=True) if one.outcome != "ok"), None
    )
    return CacheEffect(
        newest.workload,
        newest.input_tokens,
        len(pairs),
        measure(one.ttft_ms for one, _ in pairs),
        measure(one.ttft_ms for _, one in pairs),
        len(stated),
        len(hits),
        measure(hits).p50,
        measure(_saved_share(*pair) for pair in pairs).p50,
        None if pairs or failed is None else _problem(failed),
    )


def _saved_share(first: WorkloadRequest, again: WorkloadRequest) -> float | None:
    if not first.cost_usd or again.cost_usd is None:
        return None
    return 1 - again.cost_usd / first.cost_usd


def _problem(request: WorkloadRequest) -> str | None:
    if request.outcome == "ok":
        return None
    said = f": {request.error}" if request.error else ""
    return f"{'not sent' if request.outcome == SKIPPED else request.outcome.replace('_', ' ')}{said}"
