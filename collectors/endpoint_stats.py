"""What the router reports of each provider's endpoint: status, uptime, latency and throughput of the last minutes."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from collectors.contract import CollectorContext, Job, Result, unless_bad
from collectors.http.get_json import get_json
from collectors.router import endpoints_url, key_header, routed_models
from collectors.sources import openrouter
from collectors.sources.openrouter import SOURCE, Percentiles, SentEndpoint
from settings.targets import Config
from store.schema import EndpointStats


def every_s(config: Config) -> float | None:
    """Where a model is behind the router."""
    return config.collector.endpoint_stats_every if routed_models(config) else None


def plan_jobs(context: CollectorContext) -> list[Job]:
    """One job for each model that is probed or watched."""
    base_url, headers = context.config.openrouter.base_url, key_header(context.config)

    def endpoints(name: str) -> Job:
        def fetch(_stop: threading.Event) -> list[Result]:
            response = get_json(endpoints_url(base_url, name), headers)
            sent, bad = openrouter.validate(SentEndpoint, openrouter.entries(response, "data", "endpoints"))
            return unless_bad([Result(row) for row in stats_of(name, sent, context.now)], bad)

        return Job(name, fetch)

    return [endpoints(name) for name in routed_models(context.config)]


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
