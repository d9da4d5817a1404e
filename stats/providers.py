"""Measurements of each provider that answered the probes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from stats.overload import is_believed
from stats.samples import Percentiles, samples_of
from store.outcomes import UP


class RoutedProbe(NamedTuple):
    """The columns of a probe that measure its provider."""

    target: str
    started_at: int
    outcome: str
    lag_ms: float | None
    ttft_ms: float | None
    tokens_per_second: float | None
    provider: str | None
    route: str | None


@dataclass(frozen=True)
class ProviderMeasurement:
    """One provider, measured by the probes that it answered."""

    provider: str
    answers: int
    ttft: Percentiles
    speed: Percentiles


def by_provider(probes: Iterable[RoutedProbe]) -> dict[str, ProviderMeasurement]:
    """Each provider that answered a probe, by its name. A failed probe names none, so there is no uptime here."""
    answered: dict[str, list[RoutedProbe]] = defaultdict(list)
    for probe in probes:
        if probe.provider is not None:
            answered[probe.provider].append(probe)
    return {name: _measurement(name, listed) for name, listed in sorted(answered.items())}


def _measurement(name: str, probes: list[RoutedProbe]) -> ProviderMeasurement:
    up = [probe for probe in probes if probe.outcome in UP]
    believed = [probe for probe in up if is_believed(probe.outcome, probe.lag_ms)]

    def percentiles(column: Callable[[RoutedProbe], float | None]) -> Percentiles:
        values = [value for value in map(column, believed) if value is not None]
        known = len(values) if len(up) == len(believed) else sum(value is not None for value in map(column, up))
        return samples_of(values).percentiles(known - len(values))

    ttft, speed = percentiles(attrgetter("ttft_ms")), percentiles(attrgetter("tokens_per_second"))
    return ProviderMeasurement(name, len(probes), ttft, speed)
