"""Tokens really processed: by day and version, by app, and of one's own account by provider."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from store.rows import Usage

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


def by_day(rows: Iterable[Usage], part: str) -> pd.DataFrame:
    """Tokens by day (a date, UTC; the index, without a hole) and by `part`, a column of `Usage` such as `variant`: one
    column each, the largest first, beyond eight all others together. What was not told of a day is missing, not 0.
    """
    listed = [(row.day, getattr(row, part), row.tokens) for row in rows if row.tokens is not None]
    if not listed:
        return pd.DataFrame()
    data = pd.DataFrame(listed, columns=["day", "part", "tokens"])
    data["day"] = pd.to_datetime(data["day"], unit="ms")
    table = data.pivot_table(index="day", columns="part", values="tokens", aggfunc="sum")
    table = table.reindex(pd.date_range(table.index.min(), table.index.max()))
    order = table.sum().sort_values(ascending=False, kind="stable").index
    table = table[order]
    if len(order) > MOST_SERIES:
        rest = table.iloc[:, MOST_SERIES - 1 :].sum(axis=1, min_count=1)
        table = table.iloc[:, : MOST_SERIES - 1].assign(**{REST: rest})
    table.index = pd.Index([day.date() for day in table.index], name="day")
    table.columns.name = None
    return table


def shares(table: pd.DataFrame) -> pd.DataFrame:
    """Each day's parts as shares of the day, 0 to 1; missing where a day has no token."""
    total = table.sum(axis=1)
    return table.div(total.where(total > 0), axis=0)


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
