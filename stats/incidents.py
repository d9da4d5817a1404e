"""Incidents: stretches of confirmed failures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pandas as pd

from store.rows import DOWN, UP

CONFIRMED_BY = 2


@dataclass(frozen=True)
class Incident:
    """From the first failure to the first success after it (null: still going on), in milliseconds UTC."""

    began_at: int
    ended_at: int | None
    cause: str
    probes: int
    error: str | None

    def duration_s(self, now: int) -> float:
        """Seconds so far, or in all."""
        return ((self.ended_at if self.ended_at is not None else now) - self.began_at) / 1_000


def incidents(probes: pd.DataFrame) -> list[Incident]:
    """The incidents in one target's `ping` probes at one location (`started_at`, `outcome`, `error`), oldest first.

    Two failures in a row open one, which began with the first; the first success ends it. What is not counted neither
    opens, feeds nor ends one.
    """
    found: list[Incident] = []
    failures: list[tuple[int, str, str | None]] = []

    def close(ended_at: int | None) -> None:
        if len(failures) >= CONFIRMED_BY:
            cause = Counter(outcome for _, outcome, _ in failures).most_common(1)[0][0]
            error = next((text for _, outcome, text in reversed(failures) if outcome == cause and text), None)
            found.append(Incident(failures[0][0], ended_at, cause, len(failures), error))
        failures.clear()

    ordered = probes.sort_values("started_at")
    # most probes are good: only the failures, and the first success after each run of them, need a look
    is_down = ordered["outcome"].isin(DOWN)
    after_down = ordered["outcome"].isin(UP)
    relevant = ordered[is_down | (after_down & _follows_a_failure(ordered, is_down, after_down))]
    for started_at, outcome, error in zip(relevant["started_at"], relevant["outcome"], relevant["error"], strict=True):
        if outcome in DOWN:
            failures.append((int(started_at), outcome, error if isinstance(error, str) else None))
        else:
            close(int(started_at))
    close(None)
    return found


def _follows_a_failure(probes: pd.DataFrame, is_down: pd.Series, is_up: pd.Series) -> pd.Series:
    """Whether the nearest counted probe before a row was down."""
    counted = is_down[is_down | is_up]
    return counted.shift(1, fill_value=False).reindex(probes.index, fill_value=False)


@dataclass(frozen=True)
class Standing:
    """What a target is now, and since when (milliseconds UTC; null: since it was first seen)."""

    word: str  # up, down, not_counted, stale, never
    since: int | None
    outcome: str | None = None


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
