"""What the store knows about the targets: prices, the catalog, what servers refuse, how probes went. Read now and then,
in a thread, so that no request waits for the store.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from collectors.http.adaptations import Change
from collectors.prices import is_routed, price_of
from collectors.relay.observed import RecentReport, recent_cached_shares, recent_performance, recent_reports
from routing.prices import Price, is_of_provider
from routing.selection import EndpointPerformance
from settings.targets import Config, ProbeTarget
from stats.capabilities import SEVERAL_TESTS_MS, lacking
from store import Selection, Store
from store.capability_tables import CAPABILITIES, TEST_COLUMNS, CapabilityTest
from store.clock import now_ms
from store.horizon import horizon
from store.schema import ADAPTATIONS, ENDPOINTS, MODELS, Adaptation, Endpoint, Model

LEARNED_EVERY_S = 30.0


@dataclass(frozen=True)
class Knowledge:
    """By the targets' names. What is not known is not there."""

    prices: Mapping[str, Price | None] = field(default_factory=dict)
    changes: Mapping[str, list[Change]] = field(default_factory=dict)
    models: Mapping[str, Model] = field(default_factory=dict)
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    performance: Mapping[str, EndpointPerformance] = field(default_factory=dict)
    cached_shares: Mapping[str, float] = field(default_factory=dict)
    """Of recent prompts, the share that came from the provider's cache."""
    reported: Mapping[str, RecentReport] = field(default_factory=dict)
    lacks: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """What tests show that they do not do; of targets in a route that goes by that."""


def knowledge_of(config: Config) -> Knowledge:
    """What the configuration alone says."""
    return Knowledge(prices={target.name: price_of(target, config, ()) for target in config.targets})


def learn(store: Store, config: Config) -> Knowledge:
    """Read what the store knows. Raises StoreError."""
    now = now_ms()
    targets = config.targets
    wanted = tuple({target.model for target in targets})
    models = [row for row in map(_model, store.read(MODELS, Selection(targets=wanted))) if row.valid_to is None]
    listed = [row for row in map(_endpoint, store.read(ENDPOINTS, Selection(targets=wanted))) if row.valid_to is None]
    changes: dict[str, list[Change]] = {}
    known = {(target.name, target.base_url, target.model) for target in targets}
    for row in (Adaptation(*values) for values in store.read(ADAPTATIONS)):
        if (row.target, row.base_url, row.model) in known:
            changes.setdefault(row.target, []).append((row.field, row.replacement))
    found = {target.name: _model_of(target, config, models) for target in targets}
    hosted = {target.name: _endpoint_of(target, config, listed) for target in targets}
    return Knowledge(
        {target.name: price_of(target, config, models) for target in targets},
        changes,
        {name: row for name, row in found.items() if row is not None},
        {name: row for name, row in hosted.items() if row is not None},
        recent_performance(store, targets, now),
        recent_cached_shares(store, targets, now),
        recent_reports(store, targets, now),
        _lacks(store, config, now),
    )


def _lacks(store: Store, config: Config, now: int) -> dict[str, frozenset[str]]:
    names = {target.name for route in config.routes if route.trusts_tests for target in route.targets}
    if not names:
        return {}
    selection = Selection(now - SEVERAL_TESTS_MS, horizon(now), tuple(sorted(names)))
    tests: dict[str, list[CapabilityTest]] = defaultdict(list)
    for row in store.read(CAPABILITIES, selection, columns=TEST_COLUMNS):
        tests[row[0]].append(CapabilityTest(*row))
    return {name: lacking(found) for name, found in tests.items()}


def _model(values: tuple[object, ...]) -> Model:
    return Model(*values)  # type: ignore[arg-type]


def _endpoint(values: tuple[object, ...]) -> Endpoint:
    return Endpoint(*values)  # type: ignore[arg-type]


def _model_of(target: ProbeTarget, config: Config, models: Iterable[Model]) -> Model | None:
    sources = (target.name, "openrouter") if is_routed(target, config) else (target.name,)
    rows = {row.source: row for row in models if row.model == target.model and row.source in sources}
    return next((rows[source] for source in sources if source in rows), None)


def _endpoint_of(target: ProbeTarget, config: Config, endpoints: Iterable[Endpoint]) -> Endpoint | None:
    """The catalog's row of the provider that a routed target is pinned to."""
    provider = target.provider
    if provider is None or not is_routed(target, config):
        return None
    rows = [row for row in endpoints if row.model == target.model]
    return next((row for row in rows if is_of_provider(row.tag, provider)), None)
