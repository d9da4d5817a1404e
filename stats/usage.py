"""Tokens really processed: by day and version, by app, and of the user's account by provider."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from store.schema import Usage

PUBLIC_MODELS, PUBLIC_APPS, ACCOUNT = "openrouter_models", "openrouter_apps", "openrouter_account"
MOST_SERIES = 8
REST = "others"


@dataclass(frozen=True)
class Total:
    """What one name used in a window; null where it was not reported."""

    name: str
    tokens: int
    requests: int | None
    cost_usd: float | None


@dataclass(frozen=True)
class TokensByPart:
    """Tokens by day (UTC, without gaps) of each part, the largest part first; null where a day was not reported."""

    days: tuple[date, ...] = ()
    parts: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)


def by_day(rows: Iterable[Usage], part: str) -> TokensByPart:
    """Tokens by day and by `part`, a column of `Usage` such as `variant`; beyond eight the others together."""
    tokens: dict[str, dict[date, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        if row.tokens is not None:
            tokens[getattr(row, part)][datetime.fromtimestamp(row.day / 1_000, UTC).date()] += row.tokens
    if not tokens:
        return TokensByPart()
    order = sorted(tokens, key=lambda name: -sum(tokens[name].values()))
    if len(order) > MOST_SERIES:
        rest: dict[date, int] = defaultdict(int)
        for name in order[MOST_SERIES - 1 :]:
            for day, count in tokens[name].items():
                rest[day] += count
        order = [*order[: MOST_SERIES - 1], REST]
        tokens[REST] = rest
    known = {day for name in order for day in tokens[name]}
    first, last = min(known), max(known)
    days = tuple(first + timedelta(days=number) for number in range((last - first).days + 1))
    return TokensByPart(days, {name: tuple(tokens[name].get(day) for day in days) for name in order})


def shares(tokens: TokensByPart) -> TokensByPart:
    """Each day's parts as shares of the day, 0 to 1; null where a day has no token."""
    totals = [sum(value or 0 for value in values) for values in zip(*tokens.parts.values(), strict=True)]
    return TokensByPart(
        tokens.days,
        {
            name: tuple(
                value / total if value is not None and total else None
                for value, total in zip(values, totals, strict=True)
            )
            for name, values in tokens.parts.items()
        },
    )


def totals(rows: Iterable[Usage], part: str) -> list[Total]:
    """The totals of each `part` (a column such as `app`), largest first; null where nothing was reported."""
    sums: dict[str, Total] = {}
    for row in rows:
        name = str(getattr(row, part))
        before = sums.get(name, Total(name, 0, None, None))
        requests = before.requests if row.requests is None else (before.requests or 0) + row.requests
        cost_usd = before.cost_usd if row.cost_usd is None else (before.cost_usd or 0.0) + row.cost_usd
        sums[name] = Total(name, before.tokens + (row.tokens or 0), requests, cost_usd)
    return sorted(sums.values(), key=lambda total: (-total.tokens, total.name))
