"""What surrounds the overview's rows: the filter, the comparison of targets, their costs, and the introduction."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from markupsafe import Markup

from charts.latency_speed_scatter import Point
from pages.components import formatting
from pages.components.table import NOTHING, below, table
from pages.queries import cache, series_colours
from pages.sections.overview_table import MOST_ROWS, Row, RowFilter
from pages.shell import help
from stats.costs import Cost
from store.clock import now_ms
from store.schema import Target

MOST_COSTS, FEW = 12, 8
NEW_MS = 3_600_000
"""How long after the very first probe the introduction is open by itself."""


def controls(targets: Sequence[Target]) -> RowFilter:
    """The filter, in the URL; offered where there are more targets than fit on a screen."""
    if len(targets) <= FEW:
        return RowFilter()
    with st.container(horizontal=True, vertical_alignment="center", key="find_row"):
        text = st.text_input(
            "Find",
            key="find",
            bind="query-params",
            placeholder=f"search {len(targets)} targets by name, model or tag",
            label_visibility="collapsed",
            width=360,
        )
        only = st.toggle("Only targets that are not up", key="troubled", bind="query-params")
        everything = st.toggle("All rows", key="all_rows", bind="query-params") if len(targets) > MOST_ROWS else False
    return RowFilter(text, only, everything)


def row_limit_note(count: int, row_filter: RowFilter) -> None:
    """Say that there are more rows than are drawn."""
    if count > MOST_ROWS and not row_filter.everything:
        st.caption(f"The first {MOST_ROWS} of {count}, those that are down first. Search above, or show all rows.")


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
