"""How endpoints perform, for the routing plan: as the router reports it, and as the probes measured it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from routing.prices import is_of_provider
from routing.selection import EndpointPerformance
from stats.capabilities import lacking
from stats.providers import RoutedProbe, by_provider
from stats.routes import attempts_by_provider, routes_of
from store.capability_tables import CapabilityTest
from store.schema import Endpoint, EndpointStats


def reported_performance(report: EndpointStats) -> EndpointPerformance:
    """From the router's report. Its uptime (the share of minutes in which at least 80% of attempts succeeded) is
    taken as the chance of success; an outage is a minute below that within the last five, or a status below 0.
    """
    uptime = report.uptime_30m if report.uptime_30m is not None else report.uptime_1d
    outage = (report.status is not None and report.status < 0) or (
        report.uptime_5m is not None and report.uptime_5m < 1
    )
    return EndpointPerformance(uptime, report.latency_p50_ms, report.tokens_per_second_p50, outage)


def measured_performance(probes: Iterable[RoutedProbe]) -> dict[str, EndpointPerformance]:
    """By provider: the share of attempts that it answered (rate limits count against it), medians, and whether its
    newest attempt failed.
    """
    listed = sorted(probes, key=lambda probe: probe.started_at)
    routes = routes_of(listed)
    attempts, measurements = attempts_by_provider(routes), by_provider(listed)
    newest_ok = {attempt.provider: attempt.is_ok or attempt.is_limited for route in routes for attempt in route}
    return {
        name: EndpointPerformance(
            attempts[name].success if name in attempts else None,
            measurements[name].ttft.p50 if name in measurements else None,
            measurements[name].speed.p50 if name in measurements else None,
            not newest_ok.get(name, True),
        )
        for name in {*attempts, *measurements}
    }


def lacking_by_tag(
    endpoints: Iterable[Endpoint], tests: Iterable[CapabilityTest], pinned: Mapping[str, str]
) -> dict[str, frozenset[str]]:
    """What tests show that endpoints of a model lack, by their tags; nothing of those that no test reached. A test is
    of the provider that its responses name, else of the one that its target is pinned to (`pinned`, by its name).
    """
    named = [(test, test.provider or pinned.get(test.target)) for test in tests]
    found = {}
    for row in endpoints:
        mine = [test for test, name in named if name and (name == row.provider or is_of_provider(row.tag, name))]
        if mine:
            found[row.tag] = lacking(mine)
    return found
