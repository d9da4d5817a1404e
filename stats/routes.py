"""Providers tried for a probe, as the router reports them: first choices, fallbacks, success rates."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from itertools import chain

from stats.providers import RoutedProbe

_OK, _NOT_OK, _LIMITED = map(int, (HTTPStatus.OK, HTTPStatus.MULTIPLE_CHOICES, HTTPStatus.TOO_MANY_REQUESTS))
NOBODY = "nobody"
"""What a request fell back to when no other provider was tried."""


@dataclass(frozen=True)
class Attempt:
    """One provider that was tried for one request. `status` is its HTTP status; null when it was not reported."""

    provider: str
    status: int | None

    @property
    def is_ok(self) -> bool:
        """Whether it answered."""
        return self.status is not None and _OK <= self.status < _NOT_OK

    @property
    def is_limited(self) -> bool:
        """Whether it rejected the request with a rate limit (429)."""
        return self.status == _LIMITED


@dataclass
class FirstChoice:
    """How often a provider was tried first, how often it answered, and who was tried after it when it did not."""

    provider: str
    times: int = 0
    answered: int = 0
    fell_back_to: Counter[str] = field(default_factory=Counter)


@dataclass
class Attempts:
    """All attempts at one provider: those that it answered, failed, or rejected with a rate limit (429)."""

    provider: str
    answered: int = 0
    failed: int = 0
    limited: int = 0

    @property
    def success(self) -> float | None:
        """The share of attempts that it answered, 0 to 1, rate limits included; null without one."""
        total = self.answered + self.failed + self.limited
        return self.answered / total if total else None


def routes_of(probes: Iterable[RoutedProbe]) -> list[list[Attempt]]:
    """The attempts of each probe that has any (`route`: a JSON list as
    `collectors.http.response.route_of` writes it), in their order.
    """
    routes = (parse_route(probe.route) for probe in probes if probe.route is not None)
    return [route for route in routes if route]


@lru_cache(maxsize=4_096)  # a month of one target has a few dozen
def parse_route(text: str) -> list[Attempt]:
    """The attempts of one probe's `route`; empty when it cannot be read."""
    try:
        steps = json.loads(text)
    except ValueError:
        return []
    return [
        Attempt(str(step["provider"]), step.get("status"))
        for step in (steps if isinstance(steps, list) else [])
        if isinstance(step, dict) and step.get("provider")
    ]


def first_choices(routes: Iterable[list[Attempt]]) -> list[FirstChoice]:
    """By the provider that was tried first, the most frequent first."""
    choices: dict[str, FirstChoice] = {}
    for route in routes:
        name = route[0].provider
        first = choices.get(name) or choices.setdefault(name, FirstChoice(name))
        first.times += 1
        if route[0].is_ok:
            first.answered += 1
        else:
            first.fell_back_to[route[1].provider if len(route) > 1 else NOBODY] += 1
    return sorted(choices.values(), key=lambda choice: (-choice.times, choice.provider))


def attempts_by_provider(routes: Iterable[list[Attempt]]) -> dict[str, Attempts]:
    """The attempts at each provider, first or not."""
    totals: dict[str, Attempts] = {}
    for attempt in chain.from_iterable(routes):
        total = totals.get(attempt.provider) or totals.setdefault(attempt.provider, Attempts(attempt.provider))
        if attempt.is_ok:
            total.answered += 1
        elif attempt.is_limited:
            total.limited += 1
        else:
            total.failed += 1
    return totals
