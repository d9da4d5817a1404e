"""Tokens by day, prompt below and completion on top."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from charts.palette import Palette, figure, say

HEIGHT = 300
MOST_LABELS = 8
"""As many fit below the chart on a phone."""


def per_day(table: pd.DataFrame, palette: Palette) -> go.Figure:
    """The chart of `stats.tokens.tokens_per_day`."""
    chart = figure(palette, HEIGHT)
    if table.empty or not int((table["prompt_tokens"] + table["completion_tokens"]).sum()):
        return say(chart, palette, "no tokens in this window")
    by_day = table.set_index(pd.to_datetime(table["day"]))[["prompt_tokens", "completion_tokens"]]
    by_day = by_day.reindex(pd.date_range(by_day.index.min(), by_day.index.max()), fill_value=0)
    days = [f"{day:%Y-%m-%d}" for day in by_day.index]
    shown = list(by_day.index[:: math.ceil(len(days) / MOST_LABELS)])
    for column, colour in (("prompt_tokens", palette.accent), ("completion_tokens", palette.second)):
        chart.add_bar(
            x=days,
            y=by_day[column],
            name=column.removesuffix("_tokens"),
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate="%{y:,d} " + column.removesuffix("_tokens") + "<extra></extra>",
        )
    chart.update_layout(barmode="stack", bargap=0.35)
    chart.update_xaxes(
        type="category", tickangle=0, tickvals=[f"{day:%Y-%m-%d}" for day in shown], ticktext=_labels(shown)
    )
    if len(days) < 4:  # a single bar would fill the whole width
        chart.update_xaxes(range=[len(days) - 4.5, len(days) - 0.5])
    chart.update_yaxes(tickformat="~s")
    return chart


def _labels(days: list[pd.Timestamp]) -> list[str]:
    """`25 Oct`, `29`, `2 Nov`: the month where it is another one than before."""
    before = [0, *(day.month for day in days[:-1])]
    return [
        f"{day.day} {day:%b}" if day.month != month else str(day.day) for day, month in zip(days, before, strict=True)
    ]
