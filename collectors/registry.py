"""Every collector by its name, as `--only` and the `runs` table call it. A new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Iterable

from collectors import catalog, endpoint_stats, local_servers, probe, usage
from collectors.scheduler.context import Collect

COLLECTORS: dict[str, Collect] = {
    "probe": probe.collect,
    "local_servers": local_servers.collect,
    "catalog": catalog.collect,
    "endpoint_stats": endpoint_stats.collect,
    "usage": usage.collect,
}


def chosen(only: Iterable[str]) -> dict[str, Collect]:
    """The collectors of these names; without any, all of them."""
    return {name: COLLECTORS[name] for name in only} or COLLECTORS
