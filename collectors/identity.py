"""Whether a target still serves the same model: its first tokens after fixed prompts, compared with earlier ones.

The probabilities of the first token after 2 prompts (1 token each); from servers without logprobs, the first 16 tokens
after 8 prompts, compared as texts. A failed check is a row. docs/identity.md has the method and its measurements.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from collectors.contract import CheckResult, CheckTask, DayOfChecks, Pace, RowReader
from collectors.request import adapted_body, dialect_of, request_headers, request_spec
from settings.targets import ProbeTarget
from stats.identity import JUDGED_SCORES, LEARNING_CHECKS, LONG, Prediction
from stats.identity_epochs import (
    DECLARED,
    LOGPROBS,
    REFUSED,
    TEXTS,
    Known,
    evaluate_check,
    hash_text,
    is_learning,
    write_observed,
)
from store.clock import now_ms
from store.horizon import horizon
from store.identity_tables import IDENTITY_CHECKS, IDENTITY_EPOCHS, IdentityCheck, IdentityEpoch
from store.outcomes import MAY_BE_BILLED
from store.protocol import Selection

if TYPE_CHECKING:  # `requests` takes 0.13 s to import: a run with nothing due does without
    from collectors.http.exchange import Exchange, ProbeRequest

NAME, NAME_TEXTS = "identity", "identity_texts"
"""The profiles of its requests: 1 token and 16."""
PROMPTS = ("Pick a word:", "My favourite number is")
TEXT_PROMPTS = (
    "Write a sentence about rain.",
    "Name three animals.",
    "Translate to French: the old house",
    "Continue: one, two, four,",
    "What is the capital of Peru?",
    "Write a line of Python that sorts a list.",
    "Give a synonym of quick.",
    "Finish the proverb: a stitch in time",
)
ALTERNATIVES = (20, 8, 5)
LLAMA_CPP_BUILD = re.compile(r"b\d+-\w+")
TEXTS_TIMES = 6
"""Checks by texts are this much rarer: each takes four times the requests and 16 times the output tokens of each."""
LEARNING_TIMES = 4
"""A target is checked this much more often until it has a reference: 120 checks in 30 hours."""
MOST_LEARNING = 2 * LEARNING_CHECKS
MOST_LOCATIONS = 256
"""Of one store: among so many, a location finds its own newest checks."""


# -- when


def pace(reader: RowReader | None, target: ProbeTarget, location: str, now: int) -> Pace:
    """How often a target is checked from a location, and when its last check was made. Raises StoreError."""
    if target.identity_every_s is None:
        return Pace(None)
    newest = _newest(reader, target, location, now, 1, columns=("started_at", "location"))
    every_s = _every_s(target, _current(_epochs(reader, target, location, now)))
    return Pace(every_s, newest[0][0] if newest else None)


def _every_s(target: ProbeTarget, epoch: IdentityEpoch | None) -> float | None:
    if target.identity_every_s is None or (epoch is not None and epoch.method == DECLARED):
        return None
    slower = TEXTS_TIMES if epoch is not None and epoch.method == TEXTS else 1
    return target.identity_every_s * slower / (LEARNING_TIMES if epoch is None or is_learning(epoch) else 1)


def day(target: ProbeTarget, _context_tokens: int | None = None) -> list[DayOfChecks]:
    """The days of checks; the busiest are those while a target is learned."""
    if target.identity_every_s is None:
        return []
    requests = 86_400 / target.identity_every_s * len(PROMPTS)
    return [DayOfChecks(requests, NAME, busiest=LEARNING_TIMES * requests)]


# -- what is known


def _rows(reader: RowReader | None, table: Any, target: ProbeTarget, now: int, **more: Any) -> list[tuple[Any, ...]]:
    if reader is None:
        return []
    since = more.pop("since", None)
    return list(reader.read(table, Selection(since, horizon(now), (target.name,)), **more))


def _epochs(reader: RowReader | None, target: ProbeTarget, location: str, now: int) -> list[IdentityEpoch]:
    rows = (IdentityEpoch(*row) for row in _rows(reader, IDENTITY_EPOCHS, target, now))
    return sorted((row for row in rows if row.location == location), key=lambda row: row.began_at)


def _current(epochs: list[IdentityEpoch]) -> IdentityEpoch | None:
    return Known(tuple(epochs)).current


def read_known(reader: RowReader | None, target: ProbeTarget, location: str, now: int) -> Known:
    """A target's epochs, checks and scores at one location. Raises StoreError."""
    epochs = _epochs(reader, target, location, now)
    current = _current(epochs)
    if current is None:
        return Known(tuple(epochs))
    count = MOST_LEARNING if is_learning(current) else LONG
    checks = [IdentityCheck(*row) for row in _newest(reader, target, location, now, count)]
    columns = ("started_at", "location", "epoch_at", "score")
    found = _newest(reader, target, location, now, JUDGED_SCORES, columns=columns, since=current.began_at)
    scores = [(at, score) for at, _, epoch_at, score in found if epoch_at == current.began_at and score is not None]
    return Known(tuple(epochs), tuple(checks), tuple(scores))


def _newest(
    reader: RowReader | None,
    target: ProbeTarget,
    location: str,
    now: int,
    count: int,
    *,
    columns: tuple[str, ...] = IDENTITY_CHECKS.names,
    since: int | None = None,
) -> list[tuple[Any, ...]]:
    """The rows of a location's newest checks, oldest first. Other locations may have as many."""
    place = columns.index("location")
    more = {"columns": columns, "since": since, "newest_first": True}
    mine: list[tuple[Any, ...]] = []
    for limit in (count, 4 * count, 16 * count, MOST_LOCATIONS * count):
        rows = _rows(reader, IDENTITY_CHECKS, target, now, limit=limit, **more)
        mine = [row for row in rows if row[place] == location][:count]
        if len(mine) == count or len(rows) < limit:
            break
    return mine[::-1]


# -- a check


def plan(reader: RowReader | None, target: ProbeTarget, location: str, now: int) -> Callable[[CheckTask], CheckResult]:
    """Prepare a check that is due. Raises StoreError."""
    known = read_known(reader, target, location, now)
    return lambda task: check_once(task, known)


def failed_row(target: ProbeTarget, location: str, at: int, outcome: str, error: str) -> IdentityCheck:
    """The row of a check that this machine could not make, or that a bug of ours ended."""
    return IdentityCheck(target.name, at, location, LOGPROBS, outcome, 0, error=error)


@dataclass(frozen=True)
class _Seen:
    """The responses of one check, and how many alternatives were requested."""

    results: list[Exchange]
    observed: str | None
    alternatives: int | None = None

    @property
    def reasons(self) -> bool:
        """Whether the model reasons before it answers: its first tokens are sampled, so they say nothing."""
        return any(one.response.reasoned or one.response.usage.reasoning_tokens for one in self.results)


def check_once(task: CheckTask, known: Known) -> CheckResult:
    """Make one check and evaluate it. Raises SkippedError."""
    current = known.current
    method = TEXTS if current is not None and current.method == TEXTS else LOGPROBS
    started_at = now_ms()
    without_cache = _may_be_llama_cpp(task, known)
    seen = _request_texts(task, without_cache) if method == TEXTS else _request_logprobs(task, known, without_cache)
    row = _row(task, seen, method, started_at)
    if seen.reasons:
        ended = [] if current is None else [replace(current, ended_at=started_at)]
        epoch = IdentityEpoch(row.target, row.location, started_at, DECLARED, started_at)
        return CheckResult([replace(row, observed=None), *ended, epoch], None)
    step = evaluate_check(known, row)
    changed = {epoch.began_at: epoch for epoch in (*known.epochs, *step.epochs)}
    newest = _current([changed[at] for at in sorted(changed)])
    return CheckResult([step.check, *step.epochs], _every_s(task.target, newest))


def _may_be_llama_cpp(task: CheckTask, known: Known) -> bool:
    """Whether to send `cache_prompt`, which servers other than llama.cpp ignore or refuse: the server is on this
    machine, or its last response named a build of llama.cpp.
    """
    if task.is_routed or dialect_of(task.target).name != "chat":
        return False
    fingerprint = known.checks[-1].system_fingerprint if known.checks else None
    return task.target.is_loopback or LLAMA_CPP_BUILD.fullmatch(fingerprint or "") is not None


def _request_logprobs(task: CheckTask, known: Known, without_cache: bool) -> _Seen:
    usual = next(
        (check.alternatives for check in reversed(known.checks) if check.observed and check.alternatives), None
    )
    results: list[Exchange] = []
    alternatives = usual or ALTERNATIVES[0]
    for alternatives in [usual] if usual else ALTERNATIVES:
        results.append(task.send(_request(task, PROMPTS[0], NAME, alternatives, without_cache), NAME))
        if not _is_refused(results[-1]):
            break
    if not _has_logprobs(results[-1]):
        return _Seen(results, None, alternatives)
    good = [results[-1]]
    for prompt in PROMPTS[1:]:
        good.append(task.send(_request(task, prompt, NAME, alternatives, without_cache), NAME))
        results.append(good[-1])
        if not _has_logprobs(good[-1]):
            return _Seen(results, None, alternatives)
    predictions = tuple(_prediction(one) for one in good)
    return _Seen(results, write_observed(predictions), alternatives)


def _request_texts(task: CheckTask, without_cache: bool) -> _Seen:
    results: list[Exchange] = []
    for prompt in TEXT_PROMPTS:
        results.append(task.send(_request(task, prompt, NAME_TEXTS, None, without_cache), NAME_TEXTS))
        if results[-1].outcome != "ok":
            return _Seen(results, None)
    return _Seen(results, write_observed(tuple(hash_text(one.response.text.strip()) for one in results)))


def _prediction(result: Exchange) -> Prediction:
    chances = {token: round(chance, 4) for token, chance in (result.response.logprobs or {}).items()}
    return Prediction(chances, result.response.usage.cached_tokens)


def _has_logprobs(result: Exchange) -> bool:
    return result.outcome == "ok" and result.response.logprobs is not None and len(result.response.logprobs) > 1


def _is_refused(result: Exchange) -> bool:
    """Whether the server refused the logprobs: by an error, or it responded only without them."""
    dropped = any("logprobs" in field.lower() or field == "include" for field, _ in result.adaptations)
    return dropped or (result.outcome == "caller_error" and result.http_status in REFUSED)


def _request(task: CheckTask, prompt: str, profile: str, alternatives: int | None, without_cache: bool) -> ProbeRequest:
    from collectors.http.exchange import ProbeRequest

    target, dialect = task.target, dialect_of(task.target)
    spec = replace(
        request_spec(target, profile, prompt),
        temperature=0 if alternatives is None else 1,  # at 1 every server means the same by a logprob
        alternatives=alternatives,
        requires_parameters=task.is_routed,
    )
    body = dialect.body(spec)
    if without_cache:
        body["cache_prompt"] = False
    return ProbeRequest(
        adapted_body(target, body, task.changes),
        request_headers(target),
        target.timeout_s,
        (target.key,) if target.key else (),
        dialect,
        target.max_tokens,
    )


def _row(task: CheckTask, seen: _Seen, method: str, started_at: int) -> IdentityCheck:
    failed = next((one for one in seen.results if one.outcome != "ok" and not _is_refused(one)), None)
    last = failed or seen.results[-1]
    response = last.response
    billed = [one for one in seen.results if one.outcome in MAY_BE_BILLED]  # a refused request has no tokens
    return IdentityCheck(
        target=task.target.name,
        started_at=started_at,
        location=task.location,
        method=method,
        outcome=last.outcome,
        requests=len(seen.results),
        alternatives=seen.alternatives,
        observed=seen.observed,
        http_status=last.http_status,
        prompt_tokens=_sum([one.response.usage.prompt_tokens for one in billed]),
        completion_tokens=_sum([one.completion_tokens for one in billed]),
        cost_usd=_sum([task.cost_usd(one, started_at) for one in billed]),
        provider=response.provider,
        served_model=response.served_model,
        system_fingerprint=response.system_fingerprint,
        error=last.error,
    )


def _sum(values: list[Any]) -> Any:
    """Null without values, and where one of them is not known."""
    return None if not values or None in values else sum(values)
