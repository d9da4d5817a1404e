"""What a collector may know and use while its process runs, and what it hands back."""

from __future__ import annotations

import copy
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from collectors.http.adaptations import Change
from collectors.request import request_url
from collectors.scheduler.budget import DailyBudget
from collectors.scheduler.claims import Claim
from collectors.scheduler.failures import consecutive_failures, failures_after
from collectors.scheduler.lag import LagWatch
from collectors.scheduler.prices import is_routed, most_a_probe_costs, price_of, prices_elsewhere
from collectors.scheduler.schedule import TickWindow, day_began, series_key
from collectors.scheduler.seats import Seats
from collectors.scheduler.shared_state import CollectorRun, SharedState
from routing.prices import Price
from settings.targets import Config, ProbeTarget
from store import Selection, Spending, Store
from store.clock import DAY_MS, now_ms
from store.horizon import as_of, horizon
from store.outcomes import UP
from store.pending import pending_paths
from store.rollups import SPENDING_COLUMNS, spending_of
from store.schema import (
    ADAPTATIONS,
    ENDPOINTS,
    MODELS,
    RATE_LIMITS,
    RUNS,
    USAGE,
    Adaptation,
    Budget,
    Endpoint,
    Model,
    RateLimit,
    Row,
    Run,
    Table,
)

if TYPE_CHECKING:  # `requests` takes 0.13 s to import: a run with nothing due does without
    from collectors.http.connection import ProbeConnection


PERIODIC = ("local_servers", "catalog", "endpoint_stats", "usage")
RETRY_S = 300.0

Listed = TypeVar("Listed", Model, Endpoint)


@dataclass(frozen=True)
class Reachability:
    """What a finding says of the network: `host` was reached or not; `own_network`: this machine has none."""

    host: str
    unreached: bool
    own_network: bool


@dataclass(frozen=True)
class Result:
    """One row that a collector saw, and the contact with the network behind it, if there was one worth telling."""

    row: Row
    contact: Reachability | None = None


class PartlyError(ValueError):
    """Something in what came could not be read; the `findings` from the rest of it are kept."""

    def __init__(self, message: str, findings: list[Result]) -> None:
        super().__init__(message)
        self.findings = findings


def unless_bad(findings: list[Result], bad: int) -> list[Result]:
    """The findings; when `bad` entries of the answer could not be read, they come with a PartlyError that says so."""
    if bad:
        said = "1 entry that is" if bad == 1 else f"{bad} entries that are"
        raise PartlyError(f"left out {said} not what the router's documents say", findings)
    return findings


class SkippedError(Exception):
    """What was due is not done; the message says why. It is counted as skipped, and no error."""


@dataclass(frozen=True)
class Job:
    """One thing to do in a tick, in a thread of its own, `delay_s` after the tick began.

    `claim`: the slots of a `series` that its probe decides. `cancel` undoes its preparation when it never began;
    `broken` makes the findings of an errand that raised (without it the error is the run's own).
    """

    name: str
    go: Callable[[threading.Event], list[Result]]
    delay_s: float = 0.0
    series: str = ""
    claim: Claim | None = None
    cancel: Callable[[], None] = lambda: None
    broken: Callable[[BaseException], list[Result]] | None = None


@dataclass(frozen=True)
class Plan:
    """What a collector wants done now, what it leaves out (name and reason), and when it wants to be asked again.

    `missed`: how many more were due while this process was held up, and too late to be made up for. `prepare` is called
    once before the errands begin, for what would otherwise take time from one that is being measured.
    """

    errands: list[Job] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    next_at: int | None = None
    missed: int = 0
    prepare: Callable[[], None] = lambda: None


class CollectorContext:
    """The state of one collector process. Built from the store, so that a restart changes nothing."""

    def __init__(
        self, config: Config, store: Store | None, shared: SharedState, *, keeps_connections: bool = True
    ) -> None:
        """Without a store nothing is known yet. Raises StoreError, LockedError."""
        self.keeps_connections = keeps_connections
        self.config = config
        self.shared = shared
        self.location = shared.location
        self.lag = LagWatch()
        self.newest: dict[str, int] = {}
        self.newest_anywhere: int | None = None
        self.failures: dict[str, int] = {}
        self.served_models: dict[str, str] = {}
        self._last_cost: dict[str, tuple[int, float]] = {}
        self.last_run_at: dict[str, int] = {}
        self.failed: set[str] = set()
        self._told: Budget | None = None
        self.refused: dict[tuple[str, str, str], list[tuple[str, str | None]]] = {}
        self._lines: dict[str, ProbeConnection] = {}
        self._successor: CollectorContext | None = None
        self._prices: dict[str, Price | None] = {}
        self._elsewhere: dict[str, list[Price]] = {}
        self.ledger = DailyBudget(config, shared, partial(_spent, store), self._worst)
        self.seats = Seats(config, shared)
        self._store = store
        with shared.exclusive():  # what is read of the store is as new as the shared state
            if store is not None:
                self._remember(store)
            self.read_prices()

    def prepare(self, config: Config, *, keeps_connections: bool) -> CollectorContext:
        """The scene of another configuration: what was learned stays, and what is under way goes on in this one until
        it is over. Nothing is changed before `hand_over`. Raises StoreError.
        """
        fresh = copy.copy(self)
        fresh.config, fresh.keeps_connections = config, keeps_connections
        fresh.seats = Seats(config, self.shared)
        fresh.read_prices()
        return fresh

    def hand_over(self, fresh: CollectorContext) -> None:
        """Let another scene take the place of this one, which closes the connections that only it has."""
        kept = {target.name for target in fresh.config.targets if target in self.config.targets}
        fresh._lines = {name: line for name, line in self._lines.items() if name in kept}
        fresh.ledger.take_over(fresh.config, fresh._worst)
        wanted = {series_key(t.name, profile) for t in fresh.config.targets for profile, _ in t.schedules}
        self.shared.claims.plan_only(wanted)
        self._ask_again(fresh.config)
        self._successor = fresh
        for name in self._lines.keys() - kept:
            self._lines[name].close()  # one that a probe has taken is closed when it is given back

    def _ask_again(self, config: Config) -> None:
        """Another router is asked for its lists at once; of a new model or server they come within five minutes."""
        if config.openrouter != self.config.openrouter:
            for name in ("catalog", "endpoint_stats", "usage"):
                self.last_run_at.pop(name, None)
                self.shared.collector_runs.pop(name, None)
        known = {(target.base_url, target.model) for target in self.config.targets}
        if any((target.base_url, target.model) not in known for target in config.targets):
            self.failed |= {"catalog", "endpoint_stats", "local_servers"}

    def is_wanted(self, target: ProbeTarget) -> bool:
        """Whether a target is still to be probed as it was when that was planned."""
        scene = self
        while scene._successor is not None:
            scene = scene._successor
        return scene is self or target in scene.config.targets

    def read_series(self) -> None:
        """Read what the newest probes say, those of other runs too. Raises StoreError."""
        assert self._store is not None
        found = self._store.series(_horizon())
        self.newest_anywhere = max((series.newest.started_at for series in found), default=None)
        newest = [series.newest for series in found if series.newest.location == self.location]
        self.newest = {series_key(probe.target, probe.profile): probe.started_at for probe in newest}
        self.served_models |= {probe.target: probe.served_model for probe in newest if probe.served_model}
        for probe in newest:
            self.note_cost(series_key(probe.target, probe.profile), probe.started_at, probe.cost_usd)
        self.failures = consecutive_failures(self._store, [probe for probe in newest if probe.outcome not in UP])

    def _remember(self, store: Store) -> None:
        self.read_series()
        for name in PERIODIC:
            selection = Selection(until=_horizon(), targets=(name,))
            for row in store.read(RUNS, selection, newest_first=True, limit=1):
                run = Run(*row)
                self.last_run_at[run.collector] = run.started_at
                if run.error is not None:
                    self.failed.add(run.collector)
        for values in store.read(ADAPTATIONS):
            self.note_refusal(Adaptation(*values))
        limits = (RateLimit(*values) for values in store.read(RATE_LIMITS, Selection(until=_horizon())))
        self.shared.rests.seed((row for row in limits if row.location == self.location), now_ms())
        if self.shared.spool_path is not None and pending_paths(self.shared.spool_path):
            return  # what was done is not all in the store yet
        self.shared.claims.forget_lost(self.newest, self.shared.lives)
        for name, known in list(self.shared.collector_runs.items()):
            if self.last_run_at.get(name, -1) < known.at and not self.shared.lives(known.run):
                del self.shared.collector_runs[name]

    def note_outcome(self, series: str, outcome: str | None) -> None:
        """Count a series' failures in a row."""
        self.failures[series] = failures_after(outcome, self.failures.get(series, 0))

    def budget(self, now: int) -> list[Budget]:
        """The day's budget as a row, when it is another one than it was."""
        standing = self.ledger.standing(now)
        if self._told is not None and replace(standing, updated_at=self._told.updated_at) == self._told:
            return []
        self._told = standing
        return [standing]

    def rate_limits(self, now: int) -> list[RateLimit]:
        """What servers said of their limits, and which targets rest, as rows that the store does not have yet."""
        return self.shared.rests.rows(self.location, now)

    def _worst(self, name: str, profile: str) -> Decimal:
        target = next((target for target in self.config.all_targets if target.name == name), None)
        return Decimal(0) if target is None else self.most_it_costs(target, profile)

    def periodic(self, name: str, every_s: float, window: TickWindow) -> tuple[bool, int]:
        """Whether a collector that runs every `every_s` is due, and when it will be next (milliseconds UTC).

        After a run that failed it is due again after five minutes: a server that was just starting should not be
        without its facts for hours. A collector that is due is taken: an overlapping run leaves it to this one.
        """
        every_ms = round((min(every_s, RETRY_S) if name in self.failed else every_s) * 1_000)
        known = self.shared.collector_runs.get(name)
        last = self.last_run_at.get(name)
        if known is not None and known.at < horizon(window.now) and (known.recorded or self.shared.lives(known.run)):
            last = max(known.at, last if last is not None else known.at)
        if last is not None and not window.all and last <= window.now < last + every_ms:
            return False, last + every_ms
        self.last_run_at[name] = window.now
        self.shared.collector_runs[name] = CollectorRun(window.now, self.shared.run)
        return True, window.now + every_ms

    def open_rows(self, table: Table) -> list[tuple[Any, ...]]:
        """The rows of a table with a history that are still so."""
        if self._store is None:
            return []
        length, until = len(table.key), _horizon()
        rows = (as_of(row, length, until) for row in self._store.read(table, Selection(until=until)))
        return [row for row in rows if row[length] is None]

    def known_days(self, source: str, since: int) -> set[int]:
        """The days since then (milliseconds UTC) of which the store has a source's usage."""
        if self._store is None:
            return set()
        rows = self._store.read(USAGE, Selection(since=since), columns=("source", "day"))
        return {day for told_by, day in rows if told_by == source}

    def read_prices(self) -> None:
        """Look the targets' prices up again, after the catalog may have changed."""
        models = _by_model(Model(*row) for row in self.open_rows(MODELS))
        targets = self.config.all_targets
        self._prices = {target.name: price_of(target, self.config, models[target.model]) for target in targets}
        routed = [target for target in targets if is_routed(target, self.config)]
        endpoints = _by_model(Endpoint(*row) for row in (self.open_rows(ENDPOINTS) if routed else ()))
        self._elsewhere = {
            target.name: prices_elsewhere(target, self.config, endpoints[target.model]) for target in routed
        }

    def price(self, target: ProbeTarget) -> Price | None:
        """The target's price, or null when it is not known."""
        return self._prices[target.name]

    def most_it_costs(self, target: ProbeTarget, profile: str, more: Iterable[Change] = ()) -> Decimal:
        """The most that one probe can cost, in USD, with `more` changes than those that its server wants already."""
        changes = [*self.refused.get((target.name, target.base_url, target.model), []), *more]
        elsewhere = self._elsewhere.get(target.name, ())
        by_price = most_a_probe_costs(target, profile, self._prices[target.name], changes, elsewhere)
        at, usd = self._last_cost.get(series_key(target.name, profile), (0, 0.0))
        is_of_today = day_began(at) == day_began(now_ms())
        return max(by_price, Decimal(str(usd))) if is_of_today else by_price

    def note_cost(self, series: str, at: int, usd: float | None) -> None:
        """Remember what a probe cost: the next one of the day may cost as much, whatever the known price is. A router
        on this machine, of which no price is known, passes on the bills of others.
        """
        if usd is not None:
            self._last_cost[series] = (at, usd)

    def note_refusal(self, row: Adaptation) -> None:
        """Remember what a server does not take."""
        known = self.refused.setdefault((row.target, row.base_url, row.model), [])
        known[:] = [pair for pair in known if pair[0] != row.field] + [(row.field, row.replacement)]

    def has_line(self, target: ProbeTarget) -> bool:
        """Whether the target's connection was made ready."""
        return target.name in self._lines

    def line(self, target: ProbeTarget) -> ProbeConnection:
        """The target's connection, kept open between probes."""
        line = self._lines.get(target.name)
        if line is None:
            from collectors.http.connection import ProbeConnection

            line = self._lines[target.name] = ProbeConnection(request_url(target))
        return line

    def close(self) -> None:
        """Close the connections."""
        for line in self._lines.values():
            line.close()


def _spent(store: Store | None, since: int) -> dict[str, list[Spending]]:
    """What the store has of the day that began at `since`, by location. Raises StoreError."""
    if store is None:
        return {}
    rows: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for row in store.rollups("day", Selection(since, since + DAY_MS), SPENDING_COLUMNS):
        rows[row[1]].append(row)
    return {place: spending_of(found) for place, found in rows.items()}


def _by_model(rows: Iterable[Listed]) -> defaultdict[str, list[Listed]]:
    found: defaultdict[str, list[Listed]] = defaultdict(list)
    for row in rows:
        found[row.model].append(row)
    return found


def _horizon() -> int:
    return horizon(now_ms())


Collect = Callable[[CollectorContext, TickWindow], Plan]
"""A collector: what it would do at this moment. It does nothing itself; the tick does its errands."""
