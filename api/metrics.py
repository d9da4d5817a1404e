"""`/metrics` for Prometheus. Counters are read from the store, so that a restart of the dashboard resets none.

The bounds of the histogram are met within 1%, as the store keeps sketches; counts and sums never fall.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry
from starlette.requests import Request

from api.endpoint import Answer
from api.targets import known
from pages.queries import cache
from pages.queries.source import store_url
from pages.queries.target_history import THROUGHPUT
from pages.queries.totals import Total, last_success, totals
from store.clock import now_ms
from store.outcomes import DOWN, UP
from store.rollups import OUTCOMES, Series
from store.schema import Probe, Target
from store.staleness import stale_since

PATH = "/metrics"
BOUNDS_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 20.0, 30.0, 60.0)
_SERIES = ("target", "location", "profile")
_TARGET = ("target", "location")


def metrics(request: Request) -> Answer:
    """In the format that the client asks for: Prometheus' text, or OpenMetrics."""
    registry = CollectorRegistry()
    registry.register(_Store(store_url()))
    encoder, content_type = choose_encoder(request.headers.get("accept", ""))
    return Answer(encoder(registry), content_type, max_age_s=0)


class _Store(Collector):
    """The families, from the store."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._targets = sorted(known(url), key=lambda target: (target.name, target.location))
        self._newest = cache.newest_by_series(url)
        self._last_incidents = cache.last_incidents(url, (), cache.rounded(now_ms()) + 5_000)
        self._totals = totals(url)

    def collect(self) -> Iterator[Metric]:
        """Each family, with all its samples."""
        yield self._collector()
        yield self._info()
        yield from self._newest_probes()
        yield self._time_to_first_token()
        yield from self._counters()

    def _collector(self) -> Metric:
        stopped = stale_since([*self._newest.values()], cache.last_runs(self._url), cache.targets(self._url), now_ms())
        is_live = bool(self._newest) and stopped is None
        return GaugeMetricFamily("uptoken_collector_up", "1 while the collector records probes.", value=is_live)

    def _info(self) -> Metric:
        family = InfoMetricFamily("uptoken_target", "What a target is, as it is configured.", labels=_TARGET)
        for target in self._targets:
            facts = {"model": target.model, "provider": target.provider or "", "tags": target.tags or ""}
            family.add_metric((target.name, target.location), facts | {"state": target.state})
        return family

    def _newest_probes(self) -> Iterator[Metric]:
        success = GaugeMetricFamily(
            "uptoken_probe_success",
            "Whether the newest probe succeeded; no sample while its outcome counts neither as up nor as down.",
            labels=_TARGET,
        )
        last = GaugeMetricFamily("uptoken_last_probe_timestamp_seconds", "When it was last probed.", labels=_TARGET)
        succeeded = GaugeMetricFamily(
            "uptoken_last_success_timestamp_seconds", "When it was last probed with success.", labels=_TARGET
        )
        speed = GaugeMetricFamily(
            "uptoken_output_tokens_per_second", "The output speed of the newest throughput probe.", labels=_TARGET
        )
        for target in self._targets:
            labels = (target.name, target.location)
            newest = self._newest.get((*labels, target.profile))
            if newest is not None:
                last.add_metric(labels, newest.started_at / 1_000)
                if newest.outcome in UP | DOWN:
                    success.add_metric(labels, newest.outcome in UP)
                at = self._last_success(target, newest)
                if at is not None:
                    succeeded.add_metric(labels, at / 1_000)
            measured = self._newest.get((*labels, THROUGHPUT))
            if measured is not None and measured.tokens_per_second is not None:
                speed.add_metric(labels, measured.tokens_per_second)
        yield from (success, last, succeeded, speed)

    def _last_success(self, target: Target, newest: Probe) -> int | None:
        if newest.outcome in UP:
            return newest.started_at
        series = (target.name, target.location, target.profile)
        listed = self._last_incidents.get(series, [])
        # while an incident is open the answer stays the same
        before = listed[0].began_at if listed and listed[0].ended_at is None else newest.started_at
        return last_success(self._url, *series, before)

    def _time_to_first_token(self) -> Metric:
        family = HistogramMetricFamily(
            "uptoken_time_to_first_token_seconds",
            "Time to first token of probes that succeeded, each within 1%; without those on an overloaded machine.",
            labels=_TARGET,
        )
        bounds_ms = [bound * 1_000 for bound in BOUNDS_S]
        for target, total in self._with_totals():
            samples = total.ttft_ms
            counts = [*samples.counts_up_to(bounds_ms), samples.count]
            buckets = [(_bound(bound), count) for bound, count in zip((*BOUNDS_S, float("inf")), counts, strict=True)]
            family.add_metric((target.name, target.location), buckets, samples.total / 1_000)
        return family

    def _with_totals(self) -> Iterator[tuple[Target, Total]]:
        for target in self._targets:
            total = self._totals.get((target.name, target.location, target.profile))
            if total is not None:
                yield target, total

    def _counters(self) -> Iterator[Metric]:
        probes = CounterMetricFamily("uptoken_probes", "Probes, by how they ended.", labels=(*_SERIES, "outcome"))
        cost = CounterMetricFamily("uptoken_cost_usd", "What the probes cost, where it is known.", labels=_SERIES)
        tokens = CounterMetricFamily("uptoken_tokens", "Tokens that the probes used.", labels=(*_SERIES, "kind"))
        for series in self._series():
            counted = self._totals[series].counted
            for outcome in OUTCOMES:
                probes.add_metric((*series, outcome), counted[outcome])
            if counted.cost_usd is not None:
                cost.add_metric(series, counted.cost_usd)
            for kind in ("prompt", "completion"):
                tokens.add_metric((*series, kind), counted[f"{kind}_tokens"])
        yield from (probes, cost, tokens)

    def _series(self) -> Iterator[Series]:
        configured = {(target.name, target.location) for target in self._targets}
        return (series for series in self._totals if series[:2] in configured)


def _bound(seconds: float) -> str:
    return "+Inf" if seconds == float("inf") else str(seconds)
