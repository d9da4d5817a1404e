"""What rules are given and what they return: frozen values, every moment in milliseconds UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stats.capabilities import CapabilityChange
from stats.identity_changes import IdentityChange
from store.outcomes import DOWN, UP

EVERYTHING = "*"
"""The target of what is about the collector itself."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A probe, as far as rules look at it. `decides`: it decides a slot of the schedule; a first attempt whose
    confirmation decided instead does not. `ttft_ms` is null where it is not believed.
    """

    at: int
    outcome: str
    stands_for_s: float = 60.0
    ttft_ms: float | None = None
    answer_ok: bool | None = None
    error: str | None = None

    @property
    def decides(self) -> bool:
        """Whether it decides a slot."""
        return self.stands_for_s > 0

    @property
    def is_up(self) -> bool | None:
        """Null for what is not counted."""
        return True if self.outcome in UP else False if self.outcome in DOWN else None


@dataclass(frozen=True, slots=True)
class WatchedTarget:
    """What rules know of a target."""

    name: str
    host: str
    every_s: float = 60.0
    tags: tuple[str, ...] = ()
    ttft_max_ms: float | None = None
    slo: float | None = None
    is_remote: bool = True
    """It is reached over the network, so that it says whether the network is there."""

    def reach_ms(self, slots: int) -> int:
        """How far back so many slots in a row may lie: what is older belongs to another time."""
        return round((slots + 2) * self.every_s * 1_000) + 600_000


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """A target's newest slots, oldest first. `usual_ttft_ms`: its median at this hour over the last 7 days."""

    target: WatchedTarget
    slots: Sequence[Slot]
    usual_ttft_ms: float | None = None


@dataclass(frozen=True, slots=True)
class CatalogChange:
    """Something that a catalog says of a target's model since a moment."""

    target: str
    kind: str  # price_changed, context_changed, gone
    at: int
    detail: str


@dataclass(frozen=True, slots=True)
class Retirement:
    """A model's last day (its beginning, UTC); null where its provider only says that it is deprecated."""

    target: str
    expires_at: int | None


@dataclass(frozen=True, slots=True)
class CollectorSeen:
    """A location's collector: when its last run ended, and the usual time between its runs."""

    location: str
    last_at: int
    step_s: float


@dataclass(frozen=True, slots=True)
class DayBudget:
    """What the collector's day has used."""

    day: int
    usd: float
    usd_per_day: float
    free_requests: int
    free_requests_per_day: int


@dataclass(frozen=True, slots=True)
class RelayTraffic:
    """The relay's attempts at a target in the last minutes."""

    attempts: int
    failed: int
    first_failed_at: int | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class CollectorFacts:
    """What is known apart from probes. `stopped`: the gap before this process began, if it was one.

    `tells_of_stops`: this is the location that alerts about stopped collectors; `others_run`: others are running, too.
    """

    now: int
    location: str
    targets: tuple[WatchedTarget, ...] = ()
    budget: DayBudget | None = None
    elsewhere: tuple[CollectorSeen, ...] = ()
    stopped: CollectorSeen | None = None
    tells_of_stops: bool = True
    others_run: bool = False
    changes: tuple[CatalogChange, ...] = ()
    retirements: tuple[Retirement, ...] = ()
    certificates: Mapping[str, int] = field(default_factory=dict)
    relay: Mapping[str, RelayTraffic] | None = None
    identity_changes: tuple[IdentityChange, ...] = ()
    capability_changes: tuple[CapabilityChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found: that its condition holds for a target since a moment, or that it is over (`ended_at`).

    `at` is the moment of what decided it. `once`: one alert is enough, whenever it was.
    """

    kind: str
    target: str
    holds: bool
    at: int
    since: int
    ended_at: int | None = None
    cause: str | None = None
    detail: str | None = None
    location: str | None = None
    once: bool = False
