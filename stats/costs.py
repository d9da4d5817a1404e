"""What probes and checks cost: today, this month, and projected for the month."""

from __future__ import annotations

import calendar
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from store.check_spending import CheckSpending
from store.clock import DAY_MS
from store.rollups import PICO, Rollup


@dataclass(frozen=True)
class Cost:
    """USD by target, of known costs. `projected_usd`: the month so far, and the rest of it at the rate of the last
    seven days (or as many as there are). `unpriced` requests may have been billed at a price that is not known.
    """

    target: str
    today_usd: float
    month_usd: float
    projected_usd: float
    unpriced: int


COST_COUNTS = ("cost_pusd", "unpriced")


def month_began(now: int) -> int:
    """The moment at which the UTC month of `now` began, in milliseconds."""
    day = datetime.fromtimestamp(now / 1_000, UTC)
    return int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp()) * 1_000


def costs_begin_at(now: int) -> int:
    """When the days that `costs` needs begin: with the month, or seven days ago where it is younger."""
    return min(month_began(now), now - now % DAY_MS - 7 * DAY_MS)


def costs(days_used: Iterable[Rollup], now: int, checks: Iterable[CheckSpending] = ()) -> list[Cost]:
    """By target, the most expensive first, from daily roll-ups of probes with `COST_COUNTS`, and from checks, both
    since `costs_begin_at`.
    """
    today, month = now - now % DAY_MS, month_began(now)
    days: dict[str, dict[int, float]] = {}
    unpriced: dict[str, int] = {}

    def add(name: str, day: int, usd: float, at_unknown_cost: int) -> None:
        by_day = days.setdefault(name, {})
        by_day[day] = by_day.get(day, 0.0) + usd
        if day >= month:
            unpriced[name] = unpriced.get(name, 0) + at_unknown_cost

    for used in days_used:
        add(used.target, used.began, used["cost_pusd"] / PICO, used["unpriced"])
    for check in checks:
        spent = check.spending
        add(spent.target, check.day, spent.cost_usd, spent.unpriced_requests)
    result = [
        Cost(
            name,
            by_day.get(today, 0.0),
            so_far := sum(usd for day, usd in by_day.items() if day >= month),
            so_far + _days_left(now) * _usd_per_day(by_day, now),
            unpriced.get(name, 0),
        )
        for name, by_day in days.items()
    ]
    return sorted(result, key=lambda cost: (-cost.month_usd, cost.target))


def _days_left(now: int) -> float:
    day = datetime.fromtimestamp(now / 1_000, UTC)
    ends = calendar.monthrange(day.year, day.month)[1]
    return ends - (day.day - 1) - (now % DAY_MS) / DAY_MS


def _usd_per_day(by_day: dict[int, float], now: int) -> float:
    """USD a day, over the last seven days up to this moment, or since the first of them that cost anything."""
    since = max(min(by_day), now - now % DAY_MS - 6 * DAY_MS)
    return sum(usd for day, usd in by_day.items() if day >= since) / max((now - since) / DAY_MS, 1 / 24)
