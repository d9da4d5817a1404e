"""Measurements of each provider that answered the probes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
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
    def percentiles(column: Callable[[RoutedProbe], float | None]) -> Percentiles:
        known = [(value, p) for p in probes if p.outcome in UP and (value := column(p)) is not None]
        believed = [value for value, p in known if is_believed(p.outcome, p.lag_ms)]
        return samples_of(believed).percentiles(len(known) - len(believed))

    ttft, speed = percentiles(lambda probe: probe.ttft_ms), percentiles(lambda probe: probe.tokens_per_second)
    return ProviderMeasurement(name, len(probes), ttft, speed)
