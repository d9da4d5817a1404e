"""Which endpoints are left alone for now: those that asked for it, and those of which a share of requests failed.

In memory, and only from what passes: the store's probes are in the ranking's own inputs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median

WINDOW_MS = 60_000
PERFORMANCE_MS = 300_000
OUTAGE_MS = 30_000
FEWEST_ATTEMPTS = 10
EJECTED_SHARE = 0.5
"""An endpoint is ejected when so many of its attempts of the last minute failed."""
FIRST_EJECTION_MS = 15_000
LONGEST_EJECTION_MS = 300_000
OUTAGE_ATTEMPTS, OUTAGE_SHARE = 3, 0.3
"""What an outage of the last 30 seconds is: one error is none."""
MISCONFIGURED_MS = 60_000
MOST_REMEMBERED = 2_000
"""Attempts per endpoint."""


@dataclass(slots=True)
class _Attempt:
    at: int
    is_ok: bool
    ttft_ms: float | None
    tokens_per_second: float | None


@dataclass
class _Endpoint:
    attempts: deque[_Attempt] = field(default_factory=lambda: deque(maxlen=MOST_REMEMBERED))
    resting_until: int = 0
    ejected_until: int = 0
    ejection_ms: int = FIRST_EJECTION_MS
    is_half_open: bool = False
    """Its ejection is over, and no request has shown yet whether it works."""
    trials: int = 0
    misconfigured_until: int = 0


@dataclass(frozen=True)
class SeenPerformance:
    """How an endpoint did for the traffic of the last minutes. Null: too little passed."""

    success: float | None = None
    ttft_ms: float | None = None
    tokens_per_second: float | None = None
    had_outage: bool = False


class Health:
    """By the names of targets. Moments are milliseconds UTC, of `now`."""

    def __init__(self, names: Iterable[str], now: Callable[[], int]) -> None:
        self._now = now
        self._endpoints = {name: _Endpoint() for name in names}

    def __getitem__(self, name: str) -> _Endpoint:
        found = self._endpoints.get(name)
        if found is None:
            found = self._endpoints[name] = _Endpoint()
        return found

    def begin(self, name: str) -> None:
        """A request goes to this endpoint: where it is half-open, that is the one that may try."""
        endpoint = self[name]
        if endpoint.ejected_until and self._now() >= endpoint.ejected_until:
            endpoint.is_half_open = True
            endpoint.trials += 1

    def leave(self, name: str) -> None:
        """It ended in a way that says nothing about the endpoint: its client went, or was at fault."""
        endpoint = self[name]
        endpoint.trials = max(0, endpoint.trials - 1)

    def succeed(self, name: str, ttft_ms: float | None = None, tokens_per_second: float | None = None) -> None:
        """It was served."""
        endpoint = self[name]
        endpoint.attempts.append(_Attempt(self._now(), True, ttft_ms, tokens_per_second))
        if endpoint.is_half_open:
            endpoint.attempts = deque((a for a in endpoint.attempts if a.is_ok), maxlen=MOST_REMEMBERED)
        endpoint.is_half_open, endpoint.trials = False, 0
        endpoint.ejected_until = endpoint.misconfigured_until = 0
        endpoint.ejection_ms = FIRST_EJECTION_MS

    def fail(self, name: str) -> None:
        """It failed. A share of failures ejects the endpoint, never one alone; a failed trial does so for longer."""
        endpoint, now = self[name], self._now()
        endpoint.attempts.append(_Attempt(now, False, None, None))
        if endpoint.is_half_open:
            endpoint.ejection_ms = min(2 * endpoint.ejection_ms, LONGEST_EJECTION_MS)
            endpoint.ejected_until = now + endpoint.ejection_ms
            endpoint.is_half_open, endpoint.trials = False, 0
            return
        recent = [attempt.is_ok for attempt in endpoint.attempts if attempt.at > now - WINDOW_MS]
        if len(recent) >= FEWEST_ATTEMPTS and recent.count(False) >= EJECTED_SHARE * len(recent):
            endpoint.ejected_until = max(endpoint.ejected_until, now + endpoint.ejection_ms)

    def rest(self, name: str, wait_ms: int) -> None:
        """Its server asked to be left alone. A later word never shortens an earlier one."""
        endpoint = self[name]
        endpoint.resting_until = max(endpoint.resting_until, self._now() + wait_ms)

    def mark_misconfigured(self, name: str) -> None:
        """Its key, credit or model is wrong: others come first for a while."""
        self[name].misconfigured_until = self._now() + MISCONFIGURED_MS

    def resting_until(self, name: str) -> int | None:
        """Until when its server wants no request; null when it takes them."""
        until = self[name].resting_until
        return until if until > self._now() else None

    def is_ejected(self, name: str) -> bool:
        """Whether others come first: too much failed, and nobody or somebody else tries it just now."""
        endpoint, now = self[name], self._now()
        if endpoint.misconfigured_until > now:
            return True
        return bool(endpoint.ejected_until) and (now < endpoint.ejected_until or endpoint.trials > 0)

    def returns_at(self, name: str) -> int:
        """When it may be asked again; the past, where it may be now."""
        endpoint = self[name]
        return max(endpoint.resting_until, endpoint.ejected_until, endpoint.misconfigured_until)

    def performance(self, name: str) -> SeenPerformance:
        """How it did in the last five minutes."""
        endpoint, now = self[name], self._now()
        recent = [attempt for attempt in endpoint.attempts if attempt.at > now - PERFORMANCE_MS]
        newest = [attempt.is_ok for attempt in recent if attempt.at > now - OUTAGE_MS]
        had_outage = len(newest) >= OUTAGE_ATTEMPTS and newest.count(False) >= OUTAGE_SHARE * len(newest)
        if len(recent) < FEWEST_ATTEMPTS:
            return SeenPerformance(had_outage=had_outage)
        firsts = [attempt.ttft_ms for attempt in recent if attempt.ttft_ms is not None]
        rates = [attempt.tokens_per_second for attempt in recent if attempt.tokens_per_second is not None]
        return SeenPerformance(
            sum(attempt.is_ok for attempt in recent) / len(recent),
            median(firsts) if len(firsts) >= FEWEST_ATTEMPTS else None,
            median(rates) if len(rates) >= FEWEST_ATTEMPTS else None,
            had_outage,
        )
