"""Incidents and the states of targets: the same on every page, whatever the range."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import store.schema
from store.outcomes import DOWN, PAUSED, UP
from store.schema import Probe

Status = Literal["up", "degraded", "down", "not_counted", "paused", "stale", "never", "waiting", "disabled"]


@dataclass(frozen=True)
class Incident:
    """A period of confirmed failures (milliseconds UTC): from the first one to the first success after it. Without an
    end it was still open at `seen_until`: now, or when its collector last probed.
    """

    began_at: int
    ended_at: int | None
    seen_until: int
    is_known_now: bool
    """Of one without an end: whether the collector still probes."""
    cause: str
    probes: int
    error: str | None

    def duration_s(self, since: int = 0, until: int = 2**62) -> float:
        """Seconds that were observed, in a range or in total."""
        ended = self.seen_until if self.ended_at is None else self.ended_at
        return max(0, min(ended, until) - max(self.began_at, since)) / 1_000


@dataclass(frozen=True)
class TargetState:
    """What a target is now, and since when (milliseconds UTC; null: since it was first seen)."""

    status: Status
    since: int | None
    outcome: str | None = None
    note: str = ""
    """Why it is degraded, in words; not for the public."""


def incidents(rows: Iterable[store.schema.Incident], newest: Probe | None, now: int, every_s: float) -> list[Incident]:
    """The incidents of one series, oldest first. When the collector stopped during one, it does not grow."""
    is_known = newest is not None and not is_stale(newest, now, every_s)
    last_at = newest.started_at if newest is not None else 0
    ordered = sorted(rows, key=lambda row: row.began_at)
    return [
        Incident(
            row.began_at,
            row.ended_at,
            now if is_known else max(last_at, row.began_at),
            is_known,
            row.cause,
            row.probes,
            row.error,
        )
        for row in ordered
    ]


def incidents_in(listed: Iterable[Incident], since: int, until: int) -> list[Incident]:
    """Those that overlap a range."""
    return [i for i in listed if i.began_at < until and (i.ended_at is None or i.ended_at > since)]


def configured_state(state: str) -> TargetState | None:
    """The state of a target that its configuration keeps from being probed, by its row's `state`; else null."""
    if state == "waiting_for_key":
        return TargetState("waiting", None)
    return TargetState("disabled", None) if state == "disabled" else None


def is_stale(newest: Probe, now: int, every_s: float) -> bool:
    """Whether a newest probe is older than three intervals and a minute."""
    return now - newest.started_at > (3 * every_s + 60) * 1_000


def target_state(newest: Probe | None, listed: Sequence[Incident], now: int, every_s: float) -> TargetState:
    """The state by the newest probe, and since when by the incidents of its series."""
    if newest is None:
        return TargetState("never", None)
    if is_stale(newest, now, every_s):
        return TargetState("stale", newest.started_at, newest.outcome)
    if newest.outcome in DOWN:
        is_open = bool(listed) and listed[-1].ended_at is None
        return TargetState("down", listed[-1].began_at if is_open else newest.started_at, newest.outcome)
    if newest.outcome in UP:
        return TargetState("up", listed[-1].ended_at if listed else None, newest.outcome)
    return TargetState("paused" if newest.outcome == PAUSED else "not_counted", None, newest.outcome)


def majority(states: Sequence[TargetState]) -> TargetState:
    """The state of a target that several locations see: down only where most of them see it down; else the best of
    what is seen.
    """
    down = [state for state in states if state.status == "down"]
    if 2 * len(down) > len(states):
        return down[0]
    return min(states, key=lambda state: _BEST_FIRST.index(state.status))


_BEST_FIRST = ("up", "degraded", "not_counted", "paused", "stale", "never", "down", "waiting", "disabled")


def mean_time_to_recovery_s(listed: Iterable[Incident]) -> float | None:
    """The mean duration of those that ended; null without one."""
    durations = [incident.duration_s() for incident in listed if incident.ended_at is not None]
    return sum(durations) / len(durations) if durations else None


def mean_time_between_failures_s(listed: Sequence[Incident], up_s: float) -> float | None:
    """Seconds up in the window per incident; null without one."""
    return up_s / len(listed) if listed else None
