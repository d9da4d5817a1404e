"""How long a target takes for prompts of several sizes, and what its prompt cache saves: `[[workload]]`.

Each request is a row, one that was not sent too. docs/workloads.md says what is sent.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from collectors.contract import CheckResult, CheckTask, DayOfChecks, Pace, RowReader, SkippedError
from collectors.request import adapted_body, dialect_of, request_headers, request_spec
from collectors.workload_prompts import Count, ending, most_tokens, most_tokens_of, random_text, words_for
from settings.targets import ProbeTarget
from settings.workloads import Workload
from store.clock import DAY_MS, now_ms
from store.horizon import horizon
from store.protocol import Selection
from store.workload_tables import AGAIN, FIRST, SIZE, SKIPPED, WORKLOADS, WorkloadRequest

if TYPE_CHECKING:  # `requests` takes 0.13 s to import: a run with nothing due does without
    from collectors.http.exchange import Exchange, ProbeRequest

NAME = "workloads"
"""The profile of its requests."""
SHARE_OF_CONTEXT = 0.75
"""Of a context that is too short for the long prompt, what that takes at most."""
SLOWEST_INPUT, SLOWEST_OUTPUT, WAIT_S, LONGEST_WAIT_S = 200.0, 5.0, 60.0, 900.0
"""Tokens a second that a request is given the time for, and seconds more; a target's timeout is for short prompts. No
request takes longer: a run of all sizes has to end within the hour that a claim of its slot lasts.
"""
JITTER = 0.1
"""Of the shortest interval of a target's workloads: what one with a longer interval may come early."""
LONGEST_MS = 8 * DAY_MS
"""More than any interval."""
NEWEST, COUNTS = 400, 20


# -- when


def pace(reader: RowReader | None, target: ProbeTarget, location: str, now: int) -> Pace:
    """How often a target is measured from here, and when it last was. Raises StoreError."""
    if not _workloads(target):
        return Pace(None)
    last = _last_runs(reader, target, location, now)
    is_new = any(workload.name not in last for workload in target.workloads)
    return Pace(_shortest_s(target), max(last.values(), default=None), at_once=bool(last) and is_new)


def day(target: ProbeTarget, context_tokens: int | None) -> list[DayOfChecks]:
    """What a usual day comes to. `context_tokens`: as the catalog says."""
    days = []
    for workload in _workloads(target):
        for step in steps_of(workload, context_tokens):
            if step.exceeds:
                note = f"{step.input_tokens:,d} input tokens exceed the context of {context_tokens:,d}"
                days.append(DayOfChecks(0, NAME, note=note))
            else:
                days.append(DayOfChecks(86_400 / workload.every_s, NAME, most_tokens(step.input_tokens)))
    return days


def _workloads(target: ProbeTarget) -> tuple[Workload, ...]:
    return target.workloads if dialect_of(target).makes_text else ()


def _shortest_s(target: ProbeTarget) -> float:
    return min(workload.every_s for workload in target.workloads)


def _last_runs(reader: RowReader | None, target: ProbeTarget, location: str, now: int) -> dict[str, int]:
    """When each of a target's workloads last ran from a location, by its name."""
    last: dict[str, int] = {}
    if reader is None:
        return last
    for limit in (NEWEST, None):
        selection = Selection(now - LONGEST_MS, horizon(now), (target.name,))
        columns = ("started_at", "location", "workload")
        for at, place, name in reader.read(WORKLOADS, selection, columns=columns, newest_first=True, limit=limit):
            if place == location:
                last.setdefault(name, at)
        if all(workload.name in last for workload in target.workloads):
            break
    return last


def _due(target: ProbeTarget, last: dict[str, int], now: int) -> list[Workload]:
    """The workloads whose turn it is; where none's is, as in a run of everything, the most frequent ones."""
    shortest_s = _shortest_s(target)
    early_s = JITTER * shortest_s
    due = [
        one
        for one in target.workloads
        if one.name not in last or now - last[one.name] >= (one.every_s - early_s) * 1_000
    ]
    return due or [one for one in target.workloads if one.every_s == shortest_s]


# -- what is sent


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a workload. `exceeds`: with its output it is larger than the target's context."""

    workload: str
    kind: str
    input_tokens: int
    output_tokens: int
    exceeds: bool = False


def steps_of(workload: Workload, context_tokens: int | None) -> list[Step]:
    """In their order: the sizes, then the long prompt twice, which a short context makes shorter."""

    def step(kind: str, input_tokens: int) -> Step:
        exceeds = context_tokens is not None and input_tokens + workload.output_tokens > context_tokens
        return Step(workload.name, kind, input_tokens, workload.output_tokens, exceeds)

    steps = [step(SIZE, size) for size in workload.input_tokens]
    if workload.prefix_tokens is not None:
        most = workload.prefix_tokens if context_tokens is None else int(SHARE_OF_CONTEXT * context_tokens)
        prefix_tokens = min(workload.prefix_tokens, most)
        steps += [step(FIRST, prefix_tokens), step(AGAIN, prefix_tokens)]
    return steps


# -- a run


def plan(reader: RowReader | None, target: ProbeTarget, location: str, now: int) -> Callable[[CheckTask], CheckResult]:
    """A run that is due. Raises StoreError."""
    due = _due(target, _last_runs(reader, target, location, now), now)
    counts = _counts(reader, target, now)
    return lambda task: run_once(task, due, counts)


def failed_row(target: ProbeTarget, location: str, at: int, outcome: str, error: str) -> WorkloadRequest:
    """The row of a run that this machine could not make, or that a bug of ours ended."""
    first = target.workloads[0]
    size = first.input_tokens[0]
    return WorkloadRequest(target.name, at, location, first.name, SIZE, size, outcome, error=error)


def run_once(task: CheckTask, due: Sequence[Workload], counts: Sequence[Count]) -> CheckResult:
    """Send each step of these workloads once. Raises SkippedError when not one request may be sent."""
    run = _Run(task, now_ms(), list(counts))
    for workload in due:
        for step in steps_of(workload, task.context_tokens):
            run.send(step)
    if run.refused is not None and not run.has_sent:
        raise run.refused
    return CheckResult([*run.rows], _shortest_s(task.target))


def _counts(reader: RowReader | None, target: ProbeTarget, now: int) -> list[Count]:
    """What the target's server counted of earlier prompts. Raises StoreError."""
    if reader is None:
        return []
    selection, columns = Selection(until=horizon(now), targets=(target.name,)), ("kind", "words", "prompt_tokens")
    rows = reader.read(WORKLOADS, selection, columns=columns, newest_first=True, limit=COUNTS)
    return [Count(words, tokens) for kind, words, tokens in rows if words and tokens and kind != AGAIN]


class _Run:
    """The requests of one run. What fails for a size is not tried for larger ones."""

    def __init__(self, task: CheckTask, started_at: int, counts: list[Count]) -> None:
        self.rows: list[WorkloadRequest] = []
        self.refused: SkippedError | None = None
        self.has_sent = False
        self._task = task
        self._started_at = started_at
        self._counts = counts
        self._chance = random.Random()  # nosec B311  no secret
        self._failed: int | None = None
        self._text, self._words = "", 0

    def send(self, step: Step) -> None:
        """Send it, or note why not."""
        reason = self._reason_to_skip(step)
        if reason is not None:
            self._skip(step, reason)
            return
        if step.kind != AGAIN:
            self._words = words_for(step.input_tokens, self._counts)
            self._text = random_text(self._words, self._chance)
        try:
            most = most_tokens_of(step.input_tokens, self._words, self._counts)
            result = self._task.send(self._request(step), NAME, most)
        except SkippedError as problem:
            self.refused = problem
            self._skip(step, str(problem))
            return
        self.has_sent = True
        self.rows.append(self._row(step, result))
        if result.outcome != "ok":
            self._failed = step.input_tokens
        elif step.kind != AGAIN and (counted := result.response.usage.prompt_tokens):
            self._counts.append(Count(self._words, counted))

    def _reason_to_skip(self, step: Step) -> str | None:
        if step.exceeds:
            return (
                f"with {step.output_tokens:,d} output tokens it exceeds the context of {self._task.context_tokens:,d}"
            )
        if self._failed is not None and step.input_tokens >= self._failed:
            return f"a request with {self._failed:,d} input tokens failed just before"
        if step.kind == AGAIN and self.rows[-1].outcome == SKIPPED:
            return self.rows[-1].error
        return None

    def _skip(self, step: Step, reason: str) -> None:
        self.rows.append(replace(self._empty_row(step), outcome=SKIPPED, error=reason))

    def _request(self, step: Step) -> ProbeRequest:
        from collectors.http.exchange import ProbeRequest

        target, dialect = self._task.target, dialect_of(self._task.target)
        end = ending(self._chance)
        spec = replace(
            request_spec(target, NAME, self._text + end), max_tokens=min(step.output_tokens, target.max_tokens)
        )
        body = dialect.body(spec)
        if step.kind != SIZE and _marks_cache(target, is_routed=self._task.is_routed):
            marked = {"type": "text", "text": self._text, "cache_control": {"type": "ephemeral"}}
            body["messages"] = [{"role": "user", "content": [marked, {"type": "text", "text": end.strip()}]}]
        return ProbeRequest(
            adapted_body(target, body, self._task.changes),
            request_headers(target),
            max(target.timeout_s, _timeout_s(step)),
            (target.key,) if target.key else (),
            dialect,
            target.max_tokens,
        )

    def _empty_row(self, step: Step) -> WorkloadRequest:
        task = self._task
        where = (task.target.name, self._started_at, task.location)
        return WorkloadRequest(*where, step.workload, step.kind, step.input_tokens, outcome="ok")

    def _row(self, step: Step, result: Exchange) -> WorkloadRequest:
        task, response = self._task, result.response
        used, price = response.usage, task.price
        rates = None if price is None else price.at(self._started_at, used.prompt_tokens or step.input_tokens)
        return replace(
            self._empty_row(step),
            outcome=result.outcome,
            words=self._words,
            prompt_tokens=used.prompt_tokens,
            cached_tokens=used.cached_tokens,
            completion_tokens=result.completion_tokens,
            http_status=result.http_status,
            ttft_ms=_rounded(result.ttft_ms),
            total_ms=_rounded(result.total_ms),
            tokens_per_second=_rounded(result.tokens_per_second),
            usd_per_million_input=None if rates is None else float(rates.input),
            usd_per_million_output=None if rates is None else float(rates.output),
            cost_usd=task.cost_usd(result, self._started_at),
            provider=response.provider,
            served_model=response.served_model,
            error=result.error,
        )


def _timeout_s(step: Step) -> float:
    needed_s = WAIT_S + step.input_tokens / SLOWEST_INPUT + step.output_tokens / SLOWEST_OUTPUT
    return min(needed_s, LONGEST_WAIT_S)


def _marks_cache(target: ProbeTarget, *, is_routed: bool) -> bool:
    """Whether a cache has only what a request marks, as Anthropic's."""
    return target.api == "anthropic" or (is_routed and target.api == "chat" and target.model.startswith("anthropic/"))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
