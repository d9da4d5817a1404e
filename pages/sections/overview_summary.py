"""What surrounds the overview's rows: the comparison of targets, their costs, and the introduction."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from charts.latency_speed_scatter import Point
from pages.components import formatting
from pages.components.table import NOTHING, below, table
from pages.queries import cache, series_colours
from pages.queries.overview_rows import Row
from pages.shell import help
from stats.costs import Cost
from store.clock import now_ms

MOST_COSTS = 12
NEW_MS = 3_600_000
"""How long after the very first probe the introduction is open by itself."""


def points(url: str, rows: Sequence[Row]) -> list[Point]:
    """The targets whose latency and speed are both known."""
    numbers = series_colours.numbers(url)
    return [
        Point(row.target.name, row.ttft.p50, row.speed.p50, numbers.get(row.target.name, 0))
        for row in rows
        if row.ttft.p50 is not None and row.speed.p50 is not None
    ]


def describe_points(points: Sequence[Point]) -> str:
    """The chart for a screen reader."""
    if not points:
        return "No target has both a latency and a speed in this range"
    first = min(points, key=lambda point: point.ttft_ms)
    fastest = max(points, key=lambda point: point.tokens_per_second)
    return (
        f"{formatting.plural(len(points), 'target')} by median time to first token and output speed. "
        f"Lowest latency: {first.name}, {formatting.latency(first.ttft_ms)}; "
        f"highest speed: {fastest.name}, {formatting.rate(fastest.tokens_per_second)} tokens per second"
    )


def costs(costs: Sequence[Cost]) -> Markup:
    """What each target cost, the most expensive first."""
    if not costs:
        return NOTHING.format("No costs this month.")
    ordered = sorted(costs, key=lambda cost: -cost.projected_usd)
    more = f" The {MOST_COSTS} most expensive of {len(ordered)}." if len(ordered) > MOST_COSTS else ""
    return table(
        ("Target", "Today", "This month", "Projected"),
        [
            (
                cost.target + below(_unpriced(cost)),
                formatting.money(cost.today_usd),
                formatting.money(cost.month_usd),
                formatting.money(cost.projected_usd),
            )
            for cost in ordered[:MOST_COSTS]
        ],
        note=f"Projected: this month, at the rate of the last 7 days.{more}",
    )


def _unpriced(cost: Cost) -> str:
    return f"{formatting.plural(cost.unpriced, 'request')} of unknown cost" if cost.unpriced else ""


def introduction(url: str) -> None:
    """Open by itself as long as all is new."""
    first = min(cache.first_at(url).values(), default=None)
    help.introduction(is_open=first is None or now_ms() - first < NEW_MS)
