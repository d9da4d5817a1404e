"""Tokens and money by day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from stats.summary import summary
from store.rollups import Rollup


@dataclass(frozen=True)
class DayTokens:
    """What the probes of a day used; `cost_usd` is null when no cost is known."""

    day: date
    prompt_tokens: int
    completion_tokens: int
    requests: int
    cost_usd: float | None


def tokens_per_day(rollups: Iterable[Rollup], zone: str = "UTC") -> list[DayTokens]:
    """By day of `zone`; a roll-up counts for the day in which it began."""
    where = UTC if zone == "UTC" else ZoneInfo(zone)
    days: dict[date, list[Rollup]] = defaultdict(list)
    for rollup in rollups:
        days[datetime.fromtimestamp(rollup.began / 1_000, where).date()].append(rollup)
    totals = []
    for day, listed in sorted(days.items()):
        used = summary(listed)
        totals.append(DayTokens(day, used["prompt_tokens"], used["completion_tokens"], used.requests, used.cost_usd))
    return totals
