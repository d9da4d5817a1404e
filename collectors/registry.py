"""Every collector by its name, as `--only` and the `runs` table call it. A new one is one file and one entry here."""

from __future__ import annotations

from collections.abc import Iterable

from collectors import capabilities, catalog, endpoint_stats, identity, local_servers, probe, usage, workloads
from collectors.contract import CheckCollector, Collector, PeriodicCollector, ProbeCollector

COLLECTORS: dict[str, Collector] = {
    "probe": ProbeCollector(probe.probe_once, probe.prepare),
    "local_servers": PeriodicCollector(local_servers.every_s, local_servers.plan_jobs, reads_targets=True),
    "catalog": PeriodicCollector(catalog.every_s, catalog.plan_jobs, reads_router=True, reads_targets=True),
    "endpoint_stats": PeriodicCollector(
        endpoint_stats.every_s, endpoint_stats.plan_jobs, reads_router=True, reads_targets=True
    ),
    "usage": PeriodicCollector(usage.every_s, usage.plan_jobs, reads_router=True),
    identity.NAME: CheckCollector(identity.pace, identity.plan, identity.failed_row, identity.day, probe.prepare),
    capabilities.NAME: CheckCollector(
        capabilities.pace, capabilities.plan, capabilities.failed_row, capabilities.day, probe.prepare
    ),
    workloads.NAME: CheckCollector(workloads.pace, workloads.plan, workloads.failed_row, workloads.day, probe.prepare),
}


def choose_collectors(only: Iterable[str]) -> dict[str, Collector]:
    """The collectors of these names; without any, all of them."""
    return {name: COLLECTORS[name] for name in only} or COLLECTORS
