"""What stands below the overview's rows: targets beside each other, their costs, and what all of it means."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from charts.latency_speed_scatter import Point
from pages.components import formatting
from pages.queries import cache, series_colours
from pages.sections.overview_table import MOST_ROWS, Row, RowFilter
from pages.shell import help
from stats.costs import Cost
from store.clock import now_ms
from store.schema import Target

MOST_COSTS, FEW = 12, 8
NEW_MS = 3_600_000
"""So long after the first probe of all the explanation is open by itself."""


def controls(targets: Sequence[Target]) -> RowFilter:
    """What is looked for, in the URL; offered where there is more than fits on a screen."""
    if len(targets) <= FEW:
        return RowFilter()
    with st.container(horizontal=True, vertical_alignment="center", key="find_row"):
        text = st.text_input(
            "Find",
            key="find",
            bind="query-params",
            placeholder=f"find one of {len(targets)} targets by name, model or tag",
            label_visibility="collapsed",
            width=360,
        )
        only = st.toggle("Only those that are not up", key="troubled", bind="query-params")
        everything = st.toggle("All rows", key="all_rows", bind="query-params") if len(targets) > MOST_ROWS else False
    return RowFilter(text, only, everything)


def more(count: int, wish: RowFilter) -> None:
    """Say that there are more rows than are drawn."""
    if count > MOST_ROWS and not wish.everything:
        st.caption(f"The first {MOST_ROWS} of {count}: what is down comes first. Find others above, or show all rows.")


def spots(url: str, rows: Sequence[Row]) -> list[Point]:
    """The targets whose latency and speed are both known."""
    numbers = series_colours.numbers(url)
    return [
        Point(row.target.name, row.ttft.p50, row.speed.p50, numbers.get(row.target.name, 0))
        for row in rows
        if row.ttft.p50 is not None and row.speed.p50 is not None
    ]


def field_words(found: Sequence[Point]) -> str:
    """The chart for a screen reader."""
    if not found:
        return "No target has both a latency and a speed in this window"
    first = min(found, key=lambda spot: spot.ttft_ms)
    most = max(found, key=lambda spot: spot.tokens_per_second)
    return (
        f"{formatting.plural(len(found), 'target')} by their median time to first token and output speed. "
        f"First to answer is {first.name} with {formatting.milliseconds(first.ttft_ms)} ms, "
        f"fastest to write {most.name} with {formatting.rate(most.tokens_per_second)} tokens per second"
    )


def costs(found: Sequence[Cost]) -> str:
    """What each target cost, the dearest first."""
    if not found:
        return '<div class="u q">Nothing was spent this month.</div>'
    ordered = sorted(found, key=lambda cost: -cost.projected_usd)
    body = "".join(
        f"<tr><td>{escape(cost.target)}{_unpriced(cost)}</td><td>{formatting.money(cost.today_usd)}</td>"
        f"<td>{formatting.money(cost.month_usd)}</td><td>{formatting.money(cost.projected_usd)}</td></tr>"
        for cost in ordered[:MOST_COSTS]
    )
    heads = ("Target", "Today", "This month", "By its end")
    head = "".join(f"<th>{text}</th>" for text in heads)
    more = f" The dearest {MOST_COSTS} of {len(ordered)}." if len(ordered) > MOST_COSTS else ""
    return (
        f'<div class="u u-scroll"><table class="u-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        f'<div class="q" style="margin-top:8px">By its end: at the pace of the last seven days.{more}</div></div>'
    )


def _unpriced(cost: Cost) -> str:
    if not cost.unpriced:
        return ""
    return f'<span class="more">{formatting.plural(cost.unpriced, "request")} of unknown cost</span>'


def explanation(url: str) -> None:
    """Open by itself as long as all is new."""
    first = min(cache.first_at(url).values(), default=None)
    help.about(is_open=first is None or now_ms() - first < NEW_MS)
