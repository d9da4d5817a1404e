"""Tokens really processed: by day and version, by app, and of one's own account by provider."""

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
    """What one name used in a window. Null: not told."""

    name: str
    tokens: int
    requests: int | None
    cost_usd: float | None


@dataclass(frozen=True)
class TokensByPart:
    """Tokens by day (UTC, without a hole) of each part, the largest part first; null where a day was not reported."""

    days: tuple[date, ...] = ()
    parts: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)


def by_day(rows: Iterable[Usage], part: str) -> TokensByPart:
    """Tokens by day and by `part`, a column of `Usage` such as `variant`; beyond eight all others together."""
    found: dict[str, dict[date, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        if row.tokens is not None:
            found[getattr(row, part)][datetime.fromtimestamp(row.day / 1_000, UTC).date()] += row.tokens
    if not found:
        return TokensByPart()
    order = sorted(found, key=lambda name: -sum(found[name].values()))
    if len(order) > MOST_SERIES:
        rest: dict[date, int] = defaultdict(int)
        for name in order[MOST_SERIES - 1 :]:
            for day, tokens in found[name].items():
                rest[day] += tokens
        order = [*order[: MOST_SERIES - 1], REST]
        found[REST] = rest
    known = {day for name in order for day in found[name]}
    first, last = min(known), max(known)
    days = tuple(first + timedelta(days=number) for number in range((last - first).days + 1))
    return TokensByPart(days, {name: tuple(found[name].get(day) for day in days) for name in order})


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
    """What each `part` (a column such as `app`) used in all, largest first. Sums of what was told; null when it never
    was.
    """
    found: dict[str, Total] = {}
    for row in rows:
        name = str(getattr(row, part))
        before = found.get(name, Total(name, 0, None, None))
        requests = before.requests if row.requests is None else (before.requests or 0) + row.requests
        cost_usd = before.cost_usd if row.cost_usd is None else (before.cost_usd or 0.0) + row.cost_usd
        found[name] = Total(name, before.tokens + (row.tokens or 0), requests, cost_usd)
    return sorted(found.values(), key=lambda total: (-total.tokens, total.name))
