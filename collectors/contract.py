"""What a collector is: what it is given, what it returns, and how it is registered.

A collector observes and returns rows. When it runs, what it may cost and where its rows go is the scheduler's business;
nothing that a collector is given lets it change that.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from collectors.http.adaptations import Change
from collectors.http.lag import LagWatch
from collectors.http.rate_limits import NO_LIMITS, RateLimits
from routing.prices import Price
from settings.targets import Config, ProbeTarget
from store.capability_tables import CapabilityTest
from store.horizon import as_of, horizon
from store.identity_tables import IdentityCheck
from store.protocol import Selection
from store.schema import USAGE, Adaptation, Certificate, Probe, Row, Table
from store.workload_tables import WorkloadRequest

if TYPE_CHECKING:  # `requests` takes 0.13 s to import: a run with nothing due does without
    from collectors.http.connection import ProbeConnection
    from collectors.http.exchange import Exchange, ProbeRequest


@dataclass(frozen=True)
class Reachability:
    """Whether `host` was reached; `own_network`: the system says that this machine has no network."""

    host: str
    unreached: bool
    own_network: bool


@dataclass(frozen=True)
class Result:
    """One row, and what its observation says about the network, if anything."""

    row: Row
    reachability: Reachability | None = None


class PartlyError(ValueError):
    """Part of a response could not be read; `results` has the rows of the rest."""

    def __init__(self, message: str, results: list[Result]) -> None:
        super().__init__(message)
        self.results = results


def unless_bad(results: list[Result], bad: int) -> list[Result]:
    """The results. Raises PartlyError, which carries them, when `bad` entries of the response could not be read."""
    if bad:
        entries = "1 entry that does" if bad == 1 else f"{bad} entries that do"
        raise PartlyError(f"skipped {entries} not match the router's documentation", results)
    return results


@dataclass(frozen=True)
class Job:
    """One thing to do in a tick, in a thread of its own, `delay_s` after the tick began.

    `run` gets the event that ends the process. `cancel` undoes the preparation of a job that never began; `results_of`
    turns an exception that it raised into rows (without it, the run itself failed).
    """

    name: str
    run: Callable[[threading.Event], list[Result]]
    delay_s: float = 0.0
    cancel: Callable[[], None] = lambda: None
    results_of: Callable[[BaseException], list[Result]] | None = None


class RowReader(Protocol):
    """The part of a store that a collector may use."""

    def read(
        self,
        table: Table,
        selection: Selection = ...,
        *,
        columns: tuple[str, ...] = ...,
        newest_first: bool = ...,
        limit: int | None = ...,
    ) -> Iterable[tuple[Any, ...]]:
        """As `Store.read`."""


def read_open_rows(
    reader: RowReader | None, table: Table, now: int, owners: tuple[str, ...] = ()
) -> list[tuple[Any, ...]]:
    """The current rows of a versioned table, of all owners or of these; none without a store. Raises StoreError."""
    length = len(table.key)
    return [row for row in read_versions(reader, table, now, owners) if row[length] is None]


def read_versions(
    reader: RowReader | None, table: Table, now: int, owners: tuple[str, ...] = ()
) -> list[tuple[Any, ...]]:
    """All its rows, those that were replaced, too. Raises StoreError."""
    if reader is None:
        return []
    length, until = len(table.key), horizon(now)
    return [as_of(row, length, until) for row in reader.read(table, Selection(until=until, targets=owners))]


@dataclass(frozen=True)
class CollectorContext:
    """What a periodic collector may know. `now`: when its tick began (milliseconds UTC).

    `served_models`: the model that each target's last response named; `price`: a target's price, null when unknown.
    """

    config: Config
    now: int
    store: RowReader | None
    served_models: Mapping[str, str]
    price: Callable[[ProbeTarget], Price | None]

    def open_rows(self, table: Table) -> list[tuple[Any, ...]]:
        """The current rows of a versioned table. Raises StoreError."""
        return read_open_rows(self.store, table, self.now)

    def known_days(self, source: str, since: int) -> set[int]:
        """The days since then (milliseconds UTC) for which the store has a source's usage. Raises StoreError."""
        if self.store is None:
            return set()
        rows = self.store.read(USAGE, Selection(since=since), columns=("source", "day"))
        return {day for row_source, day in rows if row_source == source}


@dataclass(frozen=True)
class PeriodicCollector:
    """A collector that reads lists at an interval of its own, the same for all targets.

    `every_s` is null when this configuration has nothing for it to read. `reads_router`: it runs at once when the
    configuration names another router; `reads_targets`: it runs within five minutes when a model or a server is new.
    """

    every_s: Callable[[Config], float | None]
    plan_jobs: Callable[[CollectorContext], list[Job]]
    reads_router: bool = False
    reads_targets: bool = False


@dataclass(frozen=True)
class ProbeTask:
    """One probe to make: of which target, over which connection, and what is known about its server.

    `changes`: what its server refused in earlier requests. `affords` says whether the budget has room for a request
    with more changes than those.
    """

    target: ProbeTarget
    profile: str
    location: str
    every_s: float
    connection: ProbeConnection
    lag: LagWatch
    is_routed: bool = False
    keeps_connection: bool = True
    changes: list[Change] = field(default_factory=list)
    price: Price | None = None
    affords: Callable[[list[Change]], bool] = lambda _changes: True


@dataclass(frozen=True)
class ProbeResult:
    """The row of a probe, and what the scheduler has to know about it.

    `billed_usd`: what to book for it, null when that is unknown; `wait_ms`: how long its server asked to be left alone;
    `limits`: the rate limits that it stated; `adaptations`: fields that it refused; `certificate`: what it showed when
    a connection was made.
    """

    row: Probe
    reachability: Reachability | None = None
    billed_usd: float | None = None
    wait_ms: int | None = None
    limits: RateLimits = NO_LIMITS
    adaptations: tuple[Adaptation, ...] = ()
    certificate: Certificate | None = None


@dataclass(frozen=True)
class ProbeCollector:
    """The collector that probes each target by its schedule. `prepare` loads what the first probe needs."""

    probe: Callable[[ProbeTask], ProbeResult]
    prepare: Callable[[], None] = lambda: None


class SkippedError(Exception):
    """What was due is not done, and why. It is counted as skipped, and is no error."""


class Send(Protocol):
    """Makes one request of a check and books what it cost, by the profile that says how large it may be;
    `prompt_tokens`: of a prompt that is longer. Between two requests a probe that waits has its turn, unless the second
    is to be sent `at_once`. Raises SkippedError.
    """

    def __call__(
        self, request: ProbeRequest, profile: str, prompt_tokens: int | None = None, /, *, at_once: bool = False
    ) -> Exchange:
        """Send it."""


@dataclass(frozen=True)
class CheckTask:
    """One check of one target. `send` sends one of its requests, whose profile limits the output tokens, and books the
    cost; it raises SkippedError while the target rests, and when the budget has no room. `price`: null when unknown;
    `context_tokens`: as a catalog states them.
    """

    target: ProbeTarget
    location: str
    send: Send
    cost_usd: Callable[[Exchange, int], float | None]
    changes: list[Change] = field(default_factory=list)
    is_routed: bool = False
    price: Price | None = None
    context_tokens: int | None = None


@dataclass(frozen=True)
class CheckResult:
    """The rows of a check, and the interval until the next one (seconds; null: there is none)."""

    rows: list[Row]
    every_s: float | None


@dataclass(frozen=True)
class Pace:
    """The interval of a target's checks (seconds; null: none), and when the newest one was made (milliseconds UTC).
    `at_once`: something changed since, so a check is due whatever the schedule.
    """

    every_s: float | None
    newest_at: int | None = None
    at_once: bool = False


@dataclass(frozen=True)
class DayOfChecks:
    """The requests of a target's checks in a usual day and in the busiest one, and the profile that gives their size;
    `prompt_tokens`: of longer prompts. `note`: what the person who configured them should know.
    """

    requests: float
    profile: str
    prompt_tokens: int | None = None
    note: str | None = None
    busiest: float | None = None

    @property
    def most_requests(self) -> float:
        """In the busiest day; what is rarer than daily is all in one."""
        return math.ceil(self.requests) if self.busiest is None else self.busiest


@dataclass(frozen=True)
class CheckCollector:
    """A collector that makes a few requests to each of some targets, in slots of its own. Budgets, rests, pauses and
    turns hold as for probes.

    `pace` is called once a run, and when the catalog changed; `plan` when a check is due, in the thread that may read
    the store: the function that it returns runs in another. `failed_row`: the row of a check that Uptoken failed to
    make. `day`: the days of a target whose catalog states a context of so many tokens.
    """

    pace: Callable[[RowReader | None, ProbeTarget, str, int], Pace]
    plan: Callable[[RowReader | None, ProbeTarget, str, int], Callable[[CheckTask], CheckResult]]
    failed_row: Callable[[ProbeTarget, str, int, str, str], Row]
    day: Callable[[ProbeTarget, int | None], list[DayOfChecks]]
    prepare: Callable[[], None] = lambda: None


SLOT_ROWS = (Probe, IdentityCheck, CapabilityTest, WorkloadRequest)
"""The rows that decide a slot, whatever their outcome."""
Collector = PeriodicCollector | ProbeCollector | CheckCollector


class Alerting(Protocol):
    """What tells people and programs of what is recorded. The scheduler is handed it, and records what it returns."""

    def observe(self, rows: Iterable[Row]) -> list[Row]:
        """Take in what was just seen; returns rows that are to be recorded in the same transaction."""

    def work(self, *, final: bool = False) -> list[Row]:
        """Look at what else changed, and send what is due (`final`: everything); returns rows to be recorded."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way, and nothing is left to do for a run that is about to end."""

    def reconfigure(self, config: Config) -> None:
        """Go on with another configuration."""

    def close(self) -> None:
        """Let another process go on."""


MakeAlerting = Callable[[Config], Alerting | None]
"""Null where a configuration has no channel: nothing is loaded then."""
