"""How an endpoint does, for the routing plan: as its provider is reported, and as our own probes met it."""

from __future__ import annotations

from collections.abc import Iterable

from routing.selection import EndpointPerformance
from stats.providers import RoutedProbe, by_provider
from stats.routes import attempts_by_provider, routes_of
from store.schema import EndpointStats


def reported_performance(said: EndpointStats) -> EndpointPerformance:
    """The router's report. Its uptime (the share of minutes in which at least 80% of attempts succeeded) stands for the
    chance of success; an outage is a minute below that within the last five, or a status below 0.
    """
    uptime = said.uptime_30m if said.uptime_30m is not None else said.uptime_1d
    outage = (said.status is not None and said.status < 0) or (said.uptime_5m is not None and said.uptime_5m < 1)
    return EndpointPerformance(uptime, said.latency_p50_ms, said.tokens_per_second_p50, outage)


def measured_performance(probes: Iterable[RoutedProbe]) -> dict[str, EndpointPerformance]:
    """By the provider's name, of probes: the share of attempts that it answered (rate limits count against it),
    medians, and whether the newest attempt failed.
    """
    listed = sorted(probes, key=lambda probe: probe.started_at)
    routes = routes_of(listed)
    attempts, met = attempts_by_provider(routes), by_provider(listed)
    newest_ok = {attempt.provider: attempt.is_ok or attempt.is_limited for route in routes for attempt in route}
    return {
        name: EndpointPerformance(
            attempts[name].success if name in attempts else None,
            met[name].ttft.p50 if name in met else None,
            met[name].speed.p50 if name in met else None,
            not newest_ok.get(name, True),
        )
        for name in {*attempts, *met}
    }
