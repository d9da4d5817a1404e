"""What one collector process knows: of its targets, their servers and its own runs."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from collectors.contract import Collector, Pace, PeriodicCollector, read_open_rows
from collectors.http.adaptations import Change
from collectors.http.lag import LagWatch
from collectors.prices import endpoint_prices, is_routed, max_probe_cost, price_of
from collectors.request import request_url
from collectors.scheduler.budget import DailyBudget
from collectors.scheduler.concurrency import ConcurrencyLimits
from collectors.scheduler.failures import INTERVALS_BACK, SLACK_MS, consecutive_failures, failures_after
from collectors.scheduler.pauses import Pauses
from collectors.scheduler.schedule import day_began, series_key
from collectors.scheduler.shared_state import SharedState
from routing.prices import Price
from settings.targets import Config, ProbeTarget
from store import Selection, Spending, Store
from store.check_spending import CONTEXT, check_spending
from store.clock import DAY_MS, HOUR_MS, now_ms
from store.horizon import horizon
from store.outcomes import UP
from store.pending import pending_paths
from store.rollups import SPENDING_COLUMNS, spending_of
from store.schema import (
    ADAPTATIONS,
    ENDPOINTS,
    MODELS,
    RATE_LIMITS,
    RUNS,
    Adaptation,
    Budget,
    Certificate,
    Endpoint,
    Model,
    RateLimit,
    Run,
)

if TYPE_CHECKING:  # `requests` takes 0.13 s to import: a run with nothing due does without
    from collectors.http.connection import ProbeConnection

ModelOrEndpoint = TypeVar("ModelOrEndpoint", Model, Endpoint)


class SchedulerState:
    """Built from the store, so that a restart changes nothing."""

    def __init__(
        self,
        config: Config,
        store: Store | None,
        shared: SharedState,
        collectors: Mapping[str, Collector] | None = None,
        *,
        keeps_connections: bool = True,
    ) -> None:
        """Without a store nothing is known yet. Raises StoreError, LockedError."""
        self.config = config
        self.store = store
        self.shared = shared
        self.location = shared.location
        self.keeps_connections = keeps_connections
        self.lag = LagWatch()
        self.newest: dict[str, int] = {}
        self.newest_anywhere: int | None = None
        self.failures: dict[str, int] = {}
        self._probed_at: dict[str, int] = {}
        self.served_models: dict[str, str] = {}
        self.last_run_at: dict[str, int] = {}
        self.failed: set[str] = set()
        self.paces: dict[str, float | None] = {}
        """The intervals of checks in seconds, by series; null: not checked."""
        self.newest_checks: dict[str, int] = {}
        self.has_pending = False
        """Some rows of earlier runs had not reached the store when this one began."""
        self.due_at_once: set[str] = set()
        """Of those the ones that are due whatever their schedule says."""
        self._periodic = {name: c for name, c in (collectors or {}).items() if isinstance(c, PeriodicCollector)}
        self._certificates: dict[str, Certificate] = {}
        self._last_cost: dict[str, tuple[int, float]] = {}
        self._check_costs: dict[str, dict[int, tuple[int, float]]] = {}
        """When the last request of a check with a prompt of so many tokens (0: a short one) was sent, and its cost."""
        self._budget_row: Budget | None = None
        self._changes: dict[tuple[str, str, str], list[Change]] = {}
        self._connections: dict[str, ProbeConnection] = {}
        self._successor: SchedulerState | None = None
        self._prices: dict[str, Price | None] = {}
        self._context_tokens: dict[str, int | None] = {}
        self._endpoint_prices: dict[str, list[Price]] = {}
        self.budget = DailyBudget(config, shared, partial(_spent, store), self._max_cost_by_name)
        self.concurrency = ConcurrencyLimits(config, shared)
        self.pauses = Pauses(store)
        with shared.exclusive():  # what is read from the store is as new as the shared state
            if store is not None:
                self._restore(store)
            self.read_prices()

    # -- another configuration

    def with_config(self, config: Config, *, keeps_connections: bool) -> SchedulerState:
        """The state for another configuration: what was learned stays, and what is under way goes on in this one.
        Nothing changes before `hand_over`. Raises StoreError.
        """
        successor = copy.copy(self)
        successor.config, successor.keeps_connections = config, keeps_connections
        successor.concurrency, successor.paces = ConcurrencyLimits(config, self.shared), {}
        successor.read_prices()
        return successor

    def hand_over(self, successor: SchedulerState) -> None:
        """Let another state take the place of this one, which closes the connections that only it has."""
        unchanged = {target.name for target in successor.config.targets if target in self.config.targets}
        successor._connections = {name: line for name, line in self._connections.items() if name in unchanged}
        successor.budget.take_over(successor.config, successor._max_cost_by_name)
        planned = {series_key(t.name, profile) for t in successor.config.targets for profile, _ in t.schedules}
        self.shared.claims.plan_only(planned)
        self._rerun_collectors(successor.config)
        self._successor = successor
        for name in self._connections.keys() - unchanged:
            self._connections[name].close()  # one that a probe is using is closed when the probe is over

    def _rerun_collectors(self, config: Config) -> None:
        """Lists of another router are read at once; those of a new model or server within five minutes."""
        if config.openrouter != self.config.openrouter:
            for name in (name for name, collector in self._periodic.items() if collector.reads_router):
                self.last_run_at.pop(name, None)
                self.shared.collector_runs.pop(name, None)
        known = {(target.base_url, target.model) for target in self.config.targets}
        if any((target.base_url, target.model) not in known for target in config.targets):
            self.failed |= {name for name, collector in self._periodic.items() if collector.reads_targets}

    def is_wanted(self, target: ProbeTarget) -> bool:
        """Whether a target is still to be probed as it was when its probe was planned."""
        newest = self
        while newest._successor is not None:
            newest = newest._successor
        return newest is self or target in newest.config.targets

    # -- what the store has

    def read_series(self) -> None:
        """Read the newest probe of each series, those of other runs too. Raises StoreError."""
        assert self.store is not None
        all_series = self.store.series(horizon(now_ms()))
        self.newest_anywhere = max((series.newest.started_at for series in all_series), default=None)
        newest = [series.newest for series in all_series if series.newest.location == self.location]
        self.newest = {series_key(probe.target, probe.profile): probe.started_at for probe in newest}
        self._probed_at |= self.newest
        self.served_models |= {probe.target: probe.served_model for probe in newest if probe.served_model}
        for probe in newest:
            self.note_cost(series_key(probe.target, probe.profile), probe.started_at, probe.cost_usd)
        self.failures = consecutive_failures(self.store, [probe for probe in newest if probe.outcome not in UP])

    def _restore(self, store: Store) -> None:
        self.read_series()
        until = horizon(now_ms())
        for name in self._periodic:
            for row in store.read(RUNS, Selection(until=until, targets=(name,)), newest_first=True, limit=1):
                run = Run(*row)
                self.last_run_at[run.collector] = run.started_at
                if run.error is not None:
                    self.failed.add(run.collector)
        for values in store.read(ADAPTATIONS):
            self.note_adaptation(Adaptation(*values))
        limits = (RateLimit(*values) for values in store.read(RATE_LIMITS, Selection(until=until)))
        self.shared.rate_limits.seed((row for row in limits if row.location == self.location), now_ms())
        self.has_pending = self.shared.spool_path is not None and bool(pending_paths(self.shared.spool_path))
        if self.has_pending:
            return
        probed = {series_key(t.name, profile) for t in self.config.all_targets for profile, _ in t.schedules}
        self.shared.claims.forget_lost({key: self.newest.get(key) for key in probed}, self.shared.lives)
        for name, known in list(self.shared.collector_runs.items()):
            if self.last_run_at.get(name, -1) < known.at and not self.shared.lives(known.run):
                del self.shared.collector_runs[name]

    def changed_budget(self, now: int) -> list[Budget]:
        """The day's budget as a row, when it has changed since the last one."""
        row = self.budget.row(now)
        if self._budget_row is not None and replace(row, updated_at=self._budget_row.updated_at) == self._budget_row:
            return []
        self._budget_row = row
        return [row]

    def note_pace(self, series: str, pace: Pace) -> None:
        """Take in what the store says of a target's checks."""
        self.paces[series] = pace.every_s
        if pace.at_once:
            self.due_at_once.add(series)
        if pace.newest_at is not None:
            self.newest_checks[series] = pace.newest_at
        if not self.has_pending:
            self.shared.claims.forget_lost({series: pace.newest_at}, self.shared.lives)

    # -- prices

    def read_prices(self) -> None:
        """Look up the targets' prices again, after the catalog may have changed. Raises StoreError."""
        now, targets = now_ms(), self.config.all_targets
        models = _by_model(Model(*row) for row in read_open_rows(self.store, MODELS, now))
        self._prices = {target.name: price_of(target, self.config, models[target.model]) for target in targets}
        self._context_tokens = {target.name: _context_of(target, models[target.model]) for target in targets}
        self.paces = {}  # a check may be due at once when the catalog changed
        routed = [target for target in targets if is_routed(target, self.config)]
        rows = read_open_rows(self.store, ENDPOINTS, now) if routed else []
        endpoints = _by_model(Endpoint(*row) for row in rows)
        self._endpoint_prices = {t.name: endpoint_prices(t, self.config, endpoints[t.model]) for t in routed}

    def price(self, target: ProbeTarget) -> Price | None:
        """The target's price, or null when it is not known."""
        return self._prices[target.name]

    def context_tokens(self, target: ProbeTarget) -> int | None:
        """The context that a catalog states for the target; null when none does."""
        return self._context_tokens[target.name]

    def max_probe_cost(
        self, target: ProbeTarget, profile: str, more: Iterable[Change] = (), prompt_tokens: int | None = None
    ) -> Decimal:
        """The most that one probe can cost, in USD, with `more` changes than those that its server wants already;
        `prompt_tokens`: of a prompt that is longer than its profile's.
        """
        changes = [*self.changes(target), *more]
        others = self._endpoint_prices.get(target.name, ())
        by_price = max_probe_cost(target, profile, self._prices[target.name], changes, others, prompt_tokens)
        at, usd = self._last_cost.get(series_key(target.name, profile), (0, 0.0))
        is_of_today = day_began(at) == day_began(now_ms())
        return max(by_price, Decimal(str(usd))) if is_of_today else by_price

    def max_check_cost(
        self, target: ProbeTarget, profile: str, more: Iterable[Change] = (), prompt_tokens: int | None = None
    ) -> Decimal:
        """The same for a request of a check: no less than its target's last probe cost today, or a request of a check
        with a prompt that was no longer.
        """
        size, today = prompt_tokens or 0, day_began(now_ms())
        costs = list(self._check_costs.get(target.name, {}).items())  # another check may add to them meanwhile
        known = [cost for of, cost in costs if of <= size]
        known.append(self._last_cost.get(series_key(target.name, target.profile), (0, 0.0)))
        billed = max((usd for at, usd in known if day_began(at) == today), default=0.0)
        return max(self.max_probe_cost(target, profile, more, prompt_tokens), Decimal(str(billed)))

    def _max_cost_by_name(self, name: str, profile: str) -> Decimal:
        target = next((target for target in self.config.all_targets if target.name == name), None)
        if target is None:
            return Decimal(0)
        return self.max_probe_cost(
            target, profile, prompt_tokens=self._context_tokens[name] if profile == CONTEXT else None
        )

    # -- what probes showed

    def note_outcome(self, series: str, outcome: str | None) -> None:
        """Count a series' consecutive failures."""
        self.failures[series] = failures_after(outcome, self.failures.get(series, 0))
        self._probed_at[series] = now_ms()

    def is_failing(self, target: ProbeTarget) -> bool:
        """Whether the target's last probe failed, and is no older than a few intervals: one that nobody probes any more
        would never answer.
        """
        series = series_key(target.name, target.profile)
        age_ms = now_ms() - self._probed_at.get(series, 0)
        return self.failures.get(series, 0) > 0 and age_ms <= INTERVALS_BACK * target.every_s * 1_000 + SLACK_MS

    def note_cost(self, series: str, at: int, usd: float | None) -> None:
        """Remember what a probe cost: the next one of the day may cost as much, whatever the known price is. A router
        on this machine, whose price is not known, passes on the bills of others.
        """
        if usd is not None:
            self._last_cost[series] = (at, usd)

    def note_check_cost(self, target: ProbeTarget, prompt_tokens: int | None, at: int, usd: float | None) -> None:
        """Remember what a request of a check cost."""
        if usd is not None:
            self._check_costs.setdefault(target.name, {})[prompt_tokens or 0] = (at, usd)

    def changes(self, target: ProbeTarget) -> list[Change]:
        """How the target's server wants requests to be changed."""
        return self._changes.get((target.name, target.base_url, target.model), [])

    def note_adaptation(self, row: Adaptation) -> None:
        """Remember a field that a server refused."""
        known = self._changes.setdefault((row.target, row.base_url, row.model), [])
        known[:] = [change for change in known if change[0] != row.field] + [(row.field, row.replacement)]

    def is_news(self, certificate: Certificate) -> bool:
        """Whether a certificate is to be recorded: a new one, or one that was seen an hour ago. A server may close its
        connection after each response, and many targets share a host.
        """
        known = self._certificates.get(certificate.host)
        is_new = known is None or replace(known, seen_at=certificate.seen_at) != certificate
        if is_new or (known is not None and certificate.seen_at - known.seen_at >= HOUR_MS):
            self._certificates[certificate.host] = certificate
            return True
        return False

    # -- connections

    def has_connection(self, target: ProbeTarget) -> bool:
        """Whether the target's connection was prepared."""
        return target.name in self._connections

    def connection(self, target: ProbeTarget) -> ProbeConnection:
        """The target's connection, kept open between probes."""
        connection = self._connections.get(target.name)
        if connection is None:
            from collectors.http.connection import ProbeConnection

            connection = self._connections[target.name] = ProbeConnection(request_url(target))
        return connection

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections.values():
            connection.close()


def _spent(store: Store | None, since: int) -> dict[str, list[Spending]]:
    """What the store has of the day that began at `since`, by location. Raises StoreError."""
    if store is None:
        return {}
    rows: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for row in store.rollups("day", Selection(since, since + DAY_MS), SPENDING_COLUMNS):
        rows[row[1]].append(row)
    spent = {location: spending_of(location_rows) for location, location_rows in rows.items()}
    for one in check_spending(store, Selection(since, since + DAY_MS)):
        spent.setdefault(one.location, []).append(one.spending)
    return spent


def _context_of(target: ProbeTarget, models: Iterable[Model]) -> int | None:
    listed = [row for row in models if row.source in (target.name, "openrouter") and row.context_tokens]
    return next((row.context_tokens for row in sorted(listed, key=lambda row: row.source != target.name)), None)


def _by_model(rows: Iterable[ModelOrEndpoint]) -> defaultdict[str, list[ModelOrEndpoint]]:
    by_model: defaultdict[str, list[ModelOrEndpoint]] = defaultdict(list)
    for row in rows:
        by_model[row.model].append(row)
    return by_model
