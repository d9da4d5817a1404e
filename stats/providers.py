"""What our own probes saw of each provider that answered them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from stats.samples import Percentiles, samples_of
from store.outcomes import UP
from store.schema import LAG_LIMIT_MS


class RoutedProbe(NamedTuple):
    """What is read of a probe to tell how its provider did."""

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
    """One provider, as the probes that it answered saw it."""

    provider: str
    answers: int
    ttft: Percentiles
    speed: Percentiles


def by_provider(probes: Iterable[RoutedProbe]) -> dict[str, ProviderMeasurement]:
    """Each provider that answered a probe, by its name. A failed probe often names nobody, so no uptime can be told
    from here.
    """
    met: dict[str, list[RoutedProbe]] = defaultdict(list)
    for probe in probes:
        if probe.provider is not None:
            met[probe.provider].append(probe)
    return {name: _measurement(name, listed) for name, listed in sorted(met.items())}


def _measurement(name: str, probes: list[RoutedProbe]) -> ProviderMeasurement:
    good = [probe for probe in probes if probe.outcome in UP]
    believed = [probe for probe in good if not (probe.lag_ms or 0.0) > LAG_LIMIT_MS]

    def percentiles(values: list[float | None], known: int) -> Percentiles:
        measured = [value for value in values if value is not None]
        return samples_of(measured).percentiles(known - len(measured))

    return ProviderMeasurement(
        name,
        len(probes),
        percentiles([p.ttft_ms for p in believed], sum(p.ttft_ms is not None for p in good)),
        percentiles([p.tokens_per_second for p in believed], sum(p.tokens_per_second is not None for p in good)),
    )
