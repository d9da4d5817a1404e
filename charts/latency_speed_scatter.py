"""All targets as points: how fast they answer against how fast they write."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from charts.axes import log_ticks
from charts.figure_builder import FigureBuilder, escape
from charts.palette import Palette

HEIGHT = 340
MOST_NAMES = 12
"""Up to here each point has its name beside it; more names would cover each other."""


@dataclass(frozen=True)
class Point:
    """One target: its medians, and the place of its colour."""

    name: str
    ttft_ms: float
    tokens_per_second: float
    number: int


def latency_speed_scatter(points: Sequence[Point], palette: Palette) -> go.Figure:
    """Time to first token to the right (logarithmic), output speed upwards: the upper left is the fast corner."""
    chart = FigureBuilder(palette, HEIGHT)
    if not points:
        return chart.empty("no target has both numbers in this window")
    low, high = min(point.ttft_ms for point in points), max(point.ttft_ms for point in points)
    middle = math.sqrt(low * high)
    names = [escape(point.name) for point in points]
    chart.add_scatter(
        x=[point.ttft_ms for point in points],
        y=[point.tokens_per_second for point in points],
        text=names if len(points) <= MOST_NAMES else None,
        customdata=names,
        mode="markers+text" if len(points) <= MOST_NAMES else "markers",
        # towards the middle, where there is room
        textposition=["middle right" if point.ttft_ms <= middle else "middle left" for point in points],
        textfont={"color": palette.muted, "size": 12},
        marker={"size": 12, "color": [palette.series_colour(point.number) for point in points], "line": {"width": 0}},
        cliponaxis=False,
        hovertemplate="<b>%{customdata}</b><br>%{x:,.4~r} ms to the first token<br>%{y:,.4~r} tok/s<extra></extra>",
        showlegend=False,
    )
    ticks = log_ticks(low / 1.5, high * 1.5)
    chart.update_layout(hovermode="closest", dragmode=False, margin={"t": 16})
    chart.update_xaxes(
        type="log",
        range=[math.log10(low) - 0.12, math.log10(high) + 0.12],
        tickvals=ticks,
        ticktext=[f"{tick:,g}" for tick in ticks],
        title={"text": "median time to first token, ms"},
    )
    chart.label_y_axis("median output speed, tok/s")
    corner = {"x": 0, "y": 1, "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "top"}
    font = {"color": palette.muted, "size": 11}
    chart.add_annotation(text="fast corner", **corner, showarrow=False, font=font)
    return chart.figure()
