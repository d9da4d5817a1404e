"""What the store knows, as rules want it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import median

from alerts.facts import (
    EVERYTHING,
    CatalogChange,
    CollectorFacts,
    CollectorSeen,
    DayBudget,
    RelayTraffic,
    Retirement,
    Slot,
    WatchedTarget,
)
from alerts.history import PROBE_COLUMNS, make_slot
from alerts.occurrences import KEPT_MS
from alerts.rules.collector import stopped_after_ms
from alerts.rules.relay_errors import WINDOW_MS as RELAY_WINDOW_MS
from alerts.stops import KIND as STOPPED
from alerts.subscriptions import Subscriptions
from settings.addresses import certificate_host
from settings.targets import Config, ProbeTarget
from stats import degraded
from stats.capabilities import SEVERAL_TESTS_MS, CapabilityChange, capability_changes
from stats.catalog_changes import Change, changes
from stats.error_budget import LIMITS
from stats.identity_changes import IdentityChange, identity_changes
from store import Selection, Store
from store.alert_tables import ALERTS, SILENCES, Alert, Silence
from store.capability_tables import CAPABILITIES, TEST_COLUMNS, CapabilityTest
from store.certificates import certificates, expiry_by_host
from store.clock import DAY_MS
from store.horizon import as_of, horizon
from store.identity_tables import EPOCH_COLUMNS, IDENTITY_EPOCHS, IdentityEpoch
from store.outcomes import DOWN
from store.schema import BUDGETS, MODELS, PROBES, REQUESTS, RUNS, Budget, Model, Run

PROBE_RUNS = "probe"
MOST_RUNS = 2_000
BURN_MS = max(limit.long_ms for limit in LIMITS)
CHANGE_WITHIN_MS = DAY_MS
"""What changed longer ago is no news."""
_PRICES = {"price in", "price out", "price per request", "other prices"}


def watched(config: Config) -> list[WatchedTarget]:
    """The targets that are probed, as rules see them."""
    return [
        WatchedTarget(
            target.name,
            target.host,
            target.every_s,
            target.tags,
            None if target.ttft_max_s is None else target.ttft_max_s * 1_000,
            target.slo,
            not target.is_loopback,
        )
        for target in config.targets
    ]


def keep_ms(target: WatchedTarget, subscriptions: Subscriptions, *, may_burn: bool = True) -> int:
    """How far back rules need a target's slots. `may_burn`: it failed within the ranges of the error budget rules."""
    needed = [target.reach_ms(subscriptions.slots_needed())]
    if subscriptions.wanted("degraded"):
        needed.append(degraded.WINDOW_MS)
    if may_burn and target.slo is not None and subscriptions.wanted("slo_burn"):
        needed.append(BURN_MS)
    return max(needed)


def failing_targets(store: Store, targets: Iterable[WatchedTarget], location: str, now: int) -> frozenset[str]:
    """The targets with an objective that failed within the ranges of the error budget rules. Of most there is nothing
    to read here, while six hours of their probes are hundreds of rows each. Raises StoreError.
    """
    names = tuple(sorted(target.name for target in targets if target.slo is not None))
    if not names:
        return frozenset()
    selection = Selection(now - BURN_MS, horizon(now), names, failed=True)
    rows = store.read(PROBES, selection, columns=("target", "location", "outcome"))
    return frozenset(name for name, place, outcome in rows if place == location and outcome in DOWN)


def read_slots(
    store: Store,
    config: Config,
    location: str,
    keep: Mapping[str, int],
    now: int,
) -> dict[str, list[Slot]]:
    """The newest slots of each target. Raises StoreError."""
    by_length: dict[int, list[ProbeTarget]] = defaultdict(list)
    for target in config.targets:
        by_length[keep[target.name]].append(target)
    found: dict[str, list[Slot]] = defaultdict(list)
    for length_ms, targets in by_length.items():
        profiles = {target.name: target.profile for target in targets}
        selection = Selection(now - length_ms, horizon(now), tuple(profiles))
        for name, at, place, profile, *rest in store.read(PROBES, selection, columns=PROBE_COLUMNS):
            if place == location and profile == profiles[name]:
                found[name].append(make_slot(at, *rest))
    return found


def read_alerts(store: Store, location: str) -> list[Alert]:
    """What this location's channels were told. Raises StoreError."""
    return [alert for alert in (Alert(*row) for row in store.read(ALERTS)) if alert.location == location]


def read_stops(store: Store, now: int) -> list[Alert]:
    """The alerts of all locations about stopped collectors. Raises StoreError."""
    rows = store.read(ALERTS, Selection(now - KEPT_MS, horizon(now), (EVERYTHING,)))
    return [alert for alert in (Alert(*row) for row in rows) if alert.kind == STOPPED]


def read_silences(store: Store, location: str, now: int) -> tuple[Silence, ...]:
    """The silences that hold now or later. Raises StoreError."""
    rows = (Silence(*row) for row in store.read(SILENCES))
    return tuple(row for row in rows if row.location == location and row.ends_at > now)


def usual_ttft(store: Store, names: Iterable[str], location: str, now: int) -> dict[str, float]:
    """The median TTFT of this hour over the last 7 days, for targets with enough samples. Raises StoreError."""
    wanted = set(names)
    rows = (
        row
        for since, until in degraded.usual_hours(now)
        for row in store.rollups("hour", Selection(since, until), ("ttft_ms",))
        if row[0] in wanted and row[1:3] == (location, "ping")
    )
    return {name: usual_ms for (name, _, _), usual_ms in degraded.usual_ttft(rows).items()}


# -- other things than probes


def collector_facts(
    store: Store,
    config: Config,
    location: str,
    subscriptions: Subscriptions,
    now: int,
    *,
    began_at: int | None = None,
) -> CollectorFacts:
    """What rules look at apart from probes, as far as any is asked for. `began_at`: of this process, the first time:
    whether there was a gap before it. Raises StoreError.
    """
    wanted = subscriptions.wanted
    seen = _collectors_seen(store, now) if wanted("collector_stopped") else {}
    models = any(map(wanted, ("price_changed", "context_changed", "gone", "retiring")))
    versions = _versions(store, config, now) if models else {}
    others = [one for one in seen.values() if one.location != location]
    running = [one.location for one in others if now - one.last_at <= stopped_after_ms(one)]
    tells_of_stops = all(location < name for name in running)
    return CollectorFacts(
        now,
        location,
        tuple(watched(config)),
        _budget(store, location, now) if wanted("budget") else None,
        tuple(others) if tells_of_stops else (),
        _own_gap(_collectors_seen(store, began_at), config, location) if seen and began_at is not None else None,
        tells_of_stops,
        bool(running),
        tuple(catalog_changes(versions, now - CHANGE_WITHIN_MS)),
        tuple(retirements(versions)),
        _certificates(store, config, now) if wanted("certificate") else {},
        _relay_traffic(store, now) if wanted("relay_errors") else None,
        tuple(_identity_changes(store, config, now)) if wanted("identity_changed") else (),
        tuple(_capability_changes(store, config, now)) if wanted("capability_lost") else (),
    )


def _identity_changes(store: Store, config: Config, now: int) -> Iterable[IdentityChange]:
    names = tuple(sorted(target.name for target in config.targets if target.identity_every_s is not None))
    if not names:
        return []
    rows = store.read(IDENTITY_EPOCHS, Selection(until=horizon(now), targets=names), columns=EPOCH_COLUMNS)
    changes = identity_changes(IdentityEpoch(*row) for row in rows)
    return [change for change in changes if change.noticed_at > now - CHANGE_WITHIN_MS]


def _capability_changes(store: Store, config: Config, now: int) -> Iterable[CapabilityChange]:
    names = tuple(sorted(target.name for target in config.targets if target.capabilities_every_s is not None))
    if not names:
        return []
    selection = Selection(now - SEVERAL_TESTS_MS, horizon(now), names)
    rows = store.read(CAPABILITIES, selection, columns=TEST_COLUMNS)
    changes = capability_changes(CapabilityTest(*row) for row in rows)
    return [change for change in changes if change.noticed_at > now - CHANGE_WITHIN_MS]


def _certificates(store: Store, config: Config, now: int) -> dict[str, int]:
    """By host, the moment at which the first of its certificates expires: it may have one for each port."""
    known = expiry_by_host(certificates(store, now))
    soonest: dict[str, int] = {}
    for target in config.targets:
        expires_at = known.get(certificate_host(target.base_url) or "")
        if expires_at is not None:
            soonest[target.host] = min(expires_at, soonest.get(target.host, expires_at))
    return soonest


def _budget(store: Store, location: str, now: int) -> DayBudget | None:
    day = now - now % DAY_MS
    for row in (Budget(*values) for values in store.read(BUDGETS, Selection(since=day))):
        if row.location == location and row.day == day:
            return DayBudget(day, row.usd, row.usd_per_day, row.free_requests, row.free_requests_per_day)
    return None


def _collectors_seen(store: Store, now: int) -> dict[str, CollectorSeen]:
    """Each location whose collector probed in the day before a moment."""
    selection = Selection(now - DAY_MS, now, (PROBE_RUNS,))
    runs: dict[str, list[Run]] = defaultdict(list)
    for row in store.read(RUNS, selection, newest_first=True, limit=MOST_RUNS):
        run = Run(*row)
        runs[run.location].append(run)
    return {location: _seen(location, of_location) for location, of_location in runs.items()}


def _seen(location: str, runs: Sequence[Run]) -> CollectorSeen:
    starts = [run.started_at for run in runs]
    steps = [(later - earlier) / 1_000 for later, earlier in pairwise(starts)]
    return CollectorSeen(location, max(run.ended_at for run in runs), median(steps) if len(steps) >= 3 else 0.0)


def _own_gap(seen: Mapping[str, CollectorSeen], config: Config, location: str) -> CollectorSeen | None:
    """The gap in which this location recorded nothing, unless another collector was running and saw it."""
    if (mine := seen.get(location)) is None:
        return None
    shortest_s = min((target.every_s for target in config.targets), default=mine.step_s)
    gap = CollectorSeen(location, mine.last_at, max(mine.step_s, shortest_s))
    was_seen = any(one.last_at > mine.last_at + stopped_after_ms(gap) for one in seen.values())
    return None if was_seen else gap


def _versions(store: Store, config: Config, now: int) -> dict[str, list[Model]]:
    """What its sources say and said of each target's model."""
    until, by_model = horizon(now), defaultdict(list)
    names = tuple(sorted({target.model for target in config.targets}))
    for row in store.read(MODELS, Selection(until=until, targets=names)):
        model = Model(*as_of(row, len(MODELS.key), until))
        by_model[model.model].append(model)
    versions = {}
    for target in config.targets:
        sources = {target.name} | ({"openrouter"} if target.base_url == config.openrouter.base_url else set())
        versions[target.name] = [model for model in by_model[target.model] if model.source in sources]
    return versions


def catalog_changes(versions: Mapping[str, Sequence[Model]], after: int) -> Iterable[CatalogChange]:
    """The changes between the versions of each target's model after a moment (milliseconds UTC)."""
    for name, models in versions.items():
        recent = [change for change in changes(models) if change.at > after]
        by_moment: dict[int, list[Change]] = defaultdict(list)
        for change in recent:
            by_moment[change.at].append(change)
        for at, of_moment in by_moment.items():
            prices = [_describe(change) for change in of_moment if change.what in _PRICES]
            if prices:
                yield CatalogChange(name, "price_changed", at, ", ".join(prices))
            for change in of_moment:
                if change.what == "context":
                    yield CatalogChange(name, "context_changed", at, _describe(change))
                if change.what == "listed" and change.after == "no":
                    yield CatalogChange(name, "gone", at, "its catalog no longer lists the model")


def _describe(change: Change) -> str:
    if change.what == "other prices":
        return "other prices changed"
    unit = " USD per million tokens" if change.what in ("price in", "price out") else ""
    unit = " tokens" if change.what == "context" else unit
    return f"{change.what}: {change.before or 'unknown'} → {change.after or 'unknown'}{unit}"


def retirements(versions: Mapping[str, Sequence[Model]]) -> Iterable[Retirement]:
    """The retirements that the newest versions of the targets' models announce."""
    for name, models in versions.items():
        current = [model for model in models if model.valid_to is None]
        days = [model.expires_at for model in current if model.expires_at is not None]
        if days:
            yield Retirement(name, min(days))
        elif any('"deprecated": true' in (model.more_prices or "") for model in current):
            yield Retirement(name, None)


def _relay_traffic(store: Store, now: int) -> dict[str, RelayTraffic]:
    columns = ("target", "started_at", "outcome")
    attempts: Counter[str] = Counter()
    failures: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for name, at, outcome in store.read(REQUESTS, Selection(now - RELAY_WINDOW_MS, horizon(now)), columns=columns):
        attempts[name] += 1
        if outcome in DOWN:
            failures[name].append((at, outcome))
    traffic = {}
    for name, count in attempts.items():
        failed = failures[name]
        cause = Counter(outcome for _, outcome in failed).most_common(1)[0][0] if failed else None
        traffic[name] = RelayTraffic(count, len(failed), min(failed)[0] if failed else None, cause)
    return traffic
