"""Incidents: stretches of confirmed failures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

import store.rows
from store.incidents import Stretch, stretches
from store.rows import DOWN, UP, Probe

Incident = Stretch


def kept(rows: Iterable[store.rows.Incident]) -> list[Incident]:
    """Incidents as the store keeps them, oldest first."""
    ordered = sorted(rows, key=lambda row: row.began_at)
    return [Incident(row.began_at, row.ended_at, row.cause, row.probes, row.error) for row in ordered]


def incidents(probes: pd.DataFrame) -> list[Incident]:
    """The incidents in one target's `ping` probes at one location (`started_at`, `outcome`, `error`), oldest first.

    Two failures in a row open one, which began with the first; the first success ends it. What is not counted neither
    opens, feeds nor ends one.
    """
    ordered = probes.sort_values("started_at")
    # most probes are good: only the failures, and the first success after each run of them, need a look
    is_down = ordered["outcome"].isin(DOWN)
    after_down = ordered["outcome"].isin(UP)
    relevant = ordered[is_down | (after_down & _follows_a_failure(ordered, is_down, after_down))]
    told = (
        (int(started_at), str(outcome), error if isinstance(error, str) else None)
        for started_at, outcome, error in zip(
            relevant["started_at"], relevant["outcome"], relevant["error"], strict=True
        )
    )
    return list(stretches(told))


def _follows_a_failure(probes: pd.DataFrame, is_down: pd.Series, is_up: pd.Series) -> pd.Series:
    """Whether the nearest counted probe before a row was down."""
    counted = is_down[is_down | is_up]
    return counted.shift(1, fill_value=False).reindex(probes.index, fill_value=False)


def mean_time_to_recovery_s(found: Iterable[Incident]) -> float | None:
    """The mean duration of those that are over, in seconds; null when none is."""
    over = [(i.ended_at - i.began_at) / 1_000 for i in found if i.ended_at is not None]
    return sum(over) / len(over) if over else None


def mean_time_between_failures_s(found: Sequence[Incident], up_s: float) -> float | None:
    """Seconds up for each incident, of seconds that were decided up in the window; null without an incident."""
    return up_s / len(found) if found else None


@dataclass(frozen=True)
class Standing:
    """What a target is now, and since when (milliseconds UTC; null: since it was first seen)."""

    word: str  # up, down, not_counted, stale, never; of a target that is not probed: waiting, disabled
    since: int | None
    outcome: str | None = None


def standing_unprobed(state: str) -> Standing | None:
    """What a target is that its configuration keeps from being probed, by its row's `state`; null for any other."""
    word = {"waiting_for_key": "waiting", "disabled": "disabled"}.get(state)
    return Standing(word, None) if word is not None else None


def standing_of(newest: Probe | None, found: Sequence[Incident], now: int, every_s: float) -> Standing:
    """As `standing`, from the newest probe and the incidents of the window alone."""
    if newest is None:
        return Standing("never", None)
    if now - newest.started_at > (3 * every_s + 60) * 1_000:
        return Standing("stale", newest.started_at, newest.outcome)
    if newest.outcome in DOWN:
        is_open = bool(found) and found[-1].ended_at is None
        return Standing("down", found[-1].began_at if is_open else newest.started_at, newest.outcome)
    if newest.outcome in UP:
        return Standing("up", found[-1].ended_at if found else None, newest.outcome)
    return Standing("not_counted", None, newest.outcome)


def standing(probes: pd.DataFrame, now: int, every_s: float) -> Standing:
    """The state that the newest `ping` probe says; `stale` when it is older than three intervals and a minute."""
    if probes.empty:
        return Standing("never", None)
    ordered = probes.sort_values("started_at")
    newest = ordered.iloc[-1]
    outcome = str(newest["outcome"])
    if now - int(newest["started_at"]) > (3 * every_s + 60) * 1_000:
        return Standing("stale", int(newest["started_at"]), outcome)
    word = "up" if outcome in UP else "down" if outcome in DOWN else "not_counted"
    same = {"up": ordered["outcome"].isin(UP), "down": ordered["outcome"].isin(DOWN)}.get(
        word, ~ordered["outcome"].isin(UP | DOWN)
    )
    changes = ordered["started_at"][~same]
    if changes.empty:
        return Standing(word, None, outcome)
    since = ordered["started_at"][same & (ordered["started_at"] > changes.iloc[-1])].iloc[0]
    return Standing(word, int(since), outcome)
