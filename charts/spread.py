"""How measured values are spread: bars over their size, and a map over the hours of the week."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from charts.drawing import Drawing
from charts.palette import Palette

HEIGHT = 260


def histogram(table: pd.DataFrame, palette: Palette, *, unit: str, colour: str | None = None) -> go.Figure:
    """The chart of `stats.distribution.histogram`: shares of all samples, on a logarithmic axis."""
    chart = Drawing(palette, HEIGHT)
    if table.empty:
        return chart.say("no sample in this window")
    middles = (table["low"] * table["high"]) ** 0.5
    chart.add_bar(
        x=list(range(len(table))),
        y=list(table["share"]),
        customdata=table[["low", "high"]].to_numpy(),
        marker={"color": colour or palette.accent, "line": {"width": 0}},
        hovertemplate=f"%{{customdata[0]:,.3~r}} to %{{customdata[1]:,.3~r}} {unit}: %{{y:.1%}}<extra></extra>",
        showlegend=False,
    )
    shown = list(range(0, len(table), max(1, len(table) // 6)))
    labels = [
        f"{middles.iloc[place]:,.0f}" if middles.iloc[place] >= 100 else f"{middles.iloc[place]:.3g}" for place in shown
    ]
    chart.update_layout(bargap=0.08, hovermode="closest")
    chart.update_xaxes(
        tickvals=shown, ticktext=labels, title={"text": unit, "font": {"color": palette.muted, "size": 12}}
    )
    chart.update_yaxes(tickformat=".0%")
    return chart.figure()


def hours_of_week(table: pd.DataFrame, palette: Palette, *, unit: str, colour: str | None = None) -> go.Figure:
    """The chart of `stats.distribution.by_hour_of_week`: medians, the stronger the colour the larger."""
    chart = Drawing(palette, HEIGHT)
    if table.isna().all(axis=None):
        return chart.say("no sample in this window")
    strong = colour or palette.accent
    chart.add_heatmap(
        z=table.to_numpy(),
        x=list(table.columns),
        y=list(table.index),
        colorscale=[[0, palette.faded(strong, 0.08)], [1, strong]],
        xgap=2,
        ygap=2,
        hoverongaps=False,
        hovertemplate=f"%{{y}} %{{x}}:00: %{{z:,.4~r}} {unit}<extra></extra>",
        colorbar={"thickness": 8, "outlinewidth": 0, "tickfont": {"color": palette.muted, "size": 11}},
    )
    chart.update_layout(hovermode="closest")
    chart.update_xaxes(tickvals=[0, 6, 12, 18, 23], ticktext=["0:00", "6:00", "12:00", "18:00", "23:00"])
    chart.update_yaxes(autorange="reversed", showgrid=False)
    return chart.figure()
