"""What passed through the relay: fallbacks with their chains, errors, added time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from stats.samples import Percentiles, samples_of
from store.outcomes import UP

MOST_KINDS = 12


class PassedAttempt(NamedTuple):
    """What is read of an attempt (`store.schema.Request`) for the page."""

    target: str
    started_at: int
    request_id: str
    attempt: int
    route: str
    outcome: str
    served: bool
    cancelled: bool
    error: str | None
    http_status: int | None
    added_ms: float | None
    location: str


@dataclass
class Chain:
    """Requests that were tried at the same targets in the same order. `served` of them were served by the last one."""

    targets: tuple[str, ...]
    requests: int = 0
    served: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """How the first attempt ended."""


@dataclass(frozen=True)
class ErrorKind:
    """Attempts at one target that ended in the same way. `code` is the error's own, null where it has none."""

    target: str
    outcome: str
    code: str | None
    http_status: int | None
    attempts: int


@dataclass(frozen=True)
class TrafficTotals:
    """Counts over requests (not attempts), and the relay's own time. `fell_back` were served by a later attempt than
    the first, `failed` by none, though their client stayed; `cancelled`: the client went first.
    """

    requests: int
    attempts: int
    served: int
    fell_back: int
    failed: int
    cancelled: int
    added_ms: Percentiles


def totals(attempts: Iterable[PassedAttempt]) -> TrafficTotals:
    """Of all attempts of the requests."""
    listed = list(attempts)
    requests = _by_request(listed)
    ends = [_end(tries) for tries in requests]
    return TrafficTotals(
        requests=len(requests),
        attempts=len(listed),
        served=ends.count("served"),
        fell_back=sum(end == "served" and _serving(tries) > 0 for end, tries in zip(ends, requests, strict=True)),
        failed=ends.count("failed"),
        cancelled=ends.count("cancelled"),
        added_ms=added_time(listed),
    )


def added_time(attempts: Iterable[PassedAttempt]) -> Percentiles:
    """The relay's own time in milliseconds, of the attempts that were served."""
    return samples_of([one.added_ms for one in attempts if one.added_ms is not None]).percentiles()


def chains(attempts: Iterable[PassedAttempt]) -> list[Chain]:
    """The requests that were tried more than once, or that nobody served, by who was tried; the most frequent first."""
    found: dict[tuple[str, ...], Chain] = {}
    for tries in _by_request(attempts):
        end = _end(tries)
        if end == "cancelled" or (len(tries) == 1 and end == "served"):
            continue
        targets = tuple(one.target for one in tries)
        chain = found.setdefault(targets, Chain(targets))
        chain.requests += 1
        chain.served += end == "served"
        chain.reasons[tries[0].outcome] += 1
    return sorted(found.values(), key=lambda chain: (-chain.requests, chain.targets))


def error_kinds(attempts: Iterable[PassedAttempt]) -> list[ErrorKind]:
    """What went wrong where, the most frequent first. A client that went is no error."""
    counts = Counter(
        (one.target, one.outcome, one.error, one.http_status)
        for one in attempts
        if one.outcome not in UP and not one.cancelled
    )
    kinds = [ErrorKind(*key, count) for key, count in counts.items()]
    return sorted(kinds, key=lambda kind: (-kind.attempts, kind.target, kind.outcome, kind.code or ""))[:MOST_KINDS]


def first_choices(attempts: Iterable[PassedAttempt]) -> dict[str, dict[str, int]]:
    """How often each target was tried first, by route: what the relay really did."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for one in attempts:
        if one.attempt == 1:
            found[one.route][one.target] += 1
    return {route: dict(counter.most_common()) for route, counter in sorted(found.items())}


def _by_request(attempts: Iterable[PassedAttempt]) -> list[list[PassedAttempt]]:
    """Each request's attempts in order. One whose first attempt is not among them is left out: a range cut it."""
    found: dict[str, list[PassedAttempt]] = defaultdict(list)
    for one in attempts:
        found[one.request_id].append(one)
    ordered = [sorted(tries, key=lambda one: one.attempt) for tries in found.values()]
    return [tries for tries in ordered if tries[0].attempt == 1]


def _serving(tries: list[PassedAttempt]) -> int:
    """The place of the attempt that served the request; -1 where none did."""
    return next((place for place, one in enumerate(tries) if one.served), -1)


def _end(tries: list[PassedAttempt]) -> str:
    if tries[-1].cancelled:
        return "cancelled"
    return "served" if _serving(tries) >= 0 else "failed"
