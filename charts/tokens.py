"""Tokens and cost by day: of the probes, prompt below and completion on top; of a model's versions, or their shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields

import pandas as pd
import plotly.graph_objects as go

from charts.axes import MOMENTS
from charts.figure_builder import FigureBuilder
from charts.palette import Palette
from stats.tokens import DayTokens
from stats.usage import TokensByPart

HEIGHT = 300
BELOW = {"y": -0.14, "yanchor": "top"}
MOST_LABELS = 8
"""As many fit below the chart on a phone."""


def per_day(days_used: Sequence[DayTokens], palette: Palette) -> go.Figure:
    """The chart of `stats.tokens.tokens_per_day`."""
    chart = FigureBuilder(palette, HEIGHT)
    table = pd.DataFrame(days_used, columns=[item.name for item in fields(DayTokens)])
    if not any(day.prompt_tokens + day.completion_tokens for day in days_used):
        return chart.empty("no tokens in this window")
    by_day = table.set_index(pd.to_datetime(table["day"]))[["prompt_tokens", "completion_tokens"]]
    by_day = by_day.reindex(pd.date_range(by_day.index.min(), by_day.index.max()), fill_value=0)
    days = list(by_day.index)
    for column, colour in (("prompt_tokens", palette.accent), ("completion_tokens", palette.second)):
        chart.add_bar(
            x=_names(days),
            y=by_day[column],
            name=column.removesuffix("_tokens"),
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate="%{y:,d} " + column.removesuffix("_tokens") + "<extra></extra>",
        )
    chart.update_yaxes(tickformat="~s")
    return _stacked_by_day(chart, days)


def cost_per_day(days_used: Sequence[DayTokens], palette: Palette) -> go.Figure:
    """The costs of `stats.tokens.tokens_per_day`; a day without a known cost has no bar."""
    chart = FigureBuilder(palette, HEIGHT)
    known = {day.day: day.cost_usd for day in days_used if day.cost_usd is not None}
    if not known:
        return chart.empty("no known cost in this range")
    days = list(pd.date_range(min(known), max(known)))
    chart.add_bar(
        x=_names(days),
        y=[known.get(day.date()) for day in days],
        name="cost",
        marker={"color": palette.accent, "line": {"width": 0}},
        hovertemplate="$%{y:,.4~r}<extra></extra>",
        showlegend=False,
    )
    chart.update_yaxes(tickprefix="$", tickformat="~r")
    return _stacked_by_day(chart, days)


def by_part(tokens: TokensByPart, palette: Palette, *, as_share: bool = False) -> go.Figure:
    """The chart of `stats.usage.by_day`, or with `as_share` of its `stats.usage.shares`."""
    chart = FigureBuilder(palette, HEIGHT)
    if not tokens.days:
        return chart.empty("no data for this period")
    days = [pd.Timestamp(day) for day in tokens.days]
    for (name, values), colour in zip(tokens.parts.items(), palette.series, strict=False):
        chart.add_bar(
            x=_names(days),
            y=list(values),
            name=name,
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate=("%{y:.1%}" if as_share else "%{y:.4~s}") + f" {name}<extra></extra>",
            showlegend=True,
        )
    chart.update_yaxes(tickformat=".0%" if as_share else "~s", range=[0, 1] if as_share else None)
    return _stacked_by_day(chart, days)


def _stacked_by_day(chart: FigureBuilder, days: list[pd.Timestamp]) -> go.Figure:
    shown = days[:: math.ceil(len(days) / MOST_LABELS)]
    chart.update_layout(barmode="stack", bargap=0.35, meta=MOMENTS, dragmode=False, margin={"b": 64}, legend=BELOW)
    chart.update_xaxes(type="category", tickangle=0, tickvals=_names(shown), ticktext=_labels(shown))
    if len(days) < 4:  # a single bar would fill the whole width
        chart.update_xaxes(range=[len(days) - 4.5, len(days) - 0.5])
    return chart.figure()


def _names(days: list[pd.Timestamp]) -> list[str]:
    return [f"{day:%Y-%m-%d}" for day in days]


def _labels(days: list[pd.Timestamp]) -> list[str]:
    """`25 Oct`, `29`, `2 Nov`: the month where it is another one than before."""
    before = [0, *(day.month for day in days[:-1])]
    return [
        f"{day.day} {day:%b}" if day.month != month else str(day.day) for day, month in zip(days, before, strict=True)
    ]
