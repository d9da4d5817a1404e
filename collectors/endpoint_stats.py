"""What the router reports of each provider's endpoint: status, uptime, latency and throughput of the last minutes."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from collectors.catalog import endpoints_url, key_header, routed_models
from collectors.http.get_json import get_json
from collectors.scheduler.context import CollectorContext, Job, Plan, Result, unless_bad
from collectors.scheduler.schedule import TickWindow
from collectors.sources import openrouter
from collectors.sources.openrouter import SOURCE, Percentiles, SentEndpoint
from store.schema import EndpointStats


def collect(scene: CollectorContext, window: TickWindow) -> Plan:
    """One errand for each model that is probed or watched, once in `endpoint_stats_every`."""
    wanted = routed_models(scene.config)
    if not wanted:
        return Plan()
    is_due, next_at = scene.periodic("endpoint_stats", scene.config.collector.endpoint_stats_every, window)
    base_url, headers = scene.config.openrouter.base_url, key_header(scene.config)

    def errand(name: str) -> Job:
        def go(_stop: threading.Event) -> list[Result]:
            answer = get_json(endpoints_url(base_url, name), headers)
            sent, bad = openrouter.validated(SentEndpoint, openrouter.entries(answer, "data", "endpoints"))
            return unless_bad([Result(row) for row in stats_of(name, sent, window.now)], bad)

        return Job(name, go)

    return Plan([errand(name) for name in wanted] if is_due else [], next_at=next_at)


def stats_of(model: str, sent: Iterable[SentEndpoint], now: int) -> list[EndpointStats]:
    """One row an endpoint, as reported at `now`."""
    rows = []
    for entry in sent:
        latency = entry.latency_last_30m or Percentiles()
        throughput = entry.throughput_last_30m or Percentiles()
        rows.append(
            EndpointStats(
                source=SOURCE,
                model=model,
                tag=entry.tag,
                seen_at=now,
                provider=entry.provider_name,
                status=entry.status,
                uptime_5m=entry.uptime_last_5m,
                uptime_30m=entry.uptime_last_30m,
                uptime_1d=entry.uptime_last_1d,
                latency_p50_ms=latency.p50,
                latency_p75_ms=latency.p75,
                latency_p90_ms=latency.p90,
                latency_p99_ms=latency.p99,
                tokens_per_second_p50=throughput.p50,
                tokens_per_second_p75=throughput.p75,
                tokens_per_second_p90=throughput.p90,
                tokens_per_second_p99=throughput.p99,
            )
        )
    return rows
