"""Tokens by day, prompt below and completion on top."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from charts.palette import Palette, figure, say

HEIGHT = 300


def per_day(table: pd.DataFrame, palette: Palette) -> go.Figure:
    """The chart of `stats.tokens.tokens_per_day`."""
    chart = figure(palette, HEIGHT)
    if table.empty or not int((table["prompt_tokens"] + table["completion_tokens"]).sum()):
        return say(chart, palette, "no tokens in this window")
    days = pd.to_datetime(table["day"])
    for column, colour in (("prompt_tokens", palette.accent), ("completion_tokens", palette.second)):
        chart.add_bar(
            x=days,
            y=table[column],
            name=column.removesuffix("_tokens"),
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate="%{y:,d} " + column.removesuffix("_tokens") + "<extra></extra>",
        )
    chart.update_layout(barmode="stack", bargap=0.35)
    chart.update_xaxes(type="date", tickformat="%-d %b", dtick=86_400_000 if len(table) <= 8 else None)
    if len(table) == 1:  # one bar would fill the whole width
        day = days.iloc[0]
        chart.update_xaxes(range=[day - pd.Timedelta(days=3), day + pd.Timedelta(days=3)])
    chart.update_yaxes(tickformat="~s")
    return chart
