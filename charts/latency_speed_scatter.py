"""All targets as points: how fast they answer against how fast they write."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from charts.axes import log_ticks
from charts.figure_builder import Drawing
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


def field(spots: Sequence[Point], palette: Palette) -> go.Figure:
    """Time to first token to the right (logarithmic), output speed upwards: the upper left is the fast corner."""
    chart = Drawing(palette, HEIGHT)
    if not spots:
        return chart.say("no target has both numbers in this window")
    low, high = min(spot.ttft_ms for spot in spots), max(spot.ttft_ms for spot in spots)
    middle = math.sqrt(low * high)
    names = [_escaped(spot.name) for spot in spots]
    chart.add_scatter(
        x=[spot.ttft_ms for spot in spots],
        y=[spot.tokens_per_second for spot in spots],
        text=names if len(spots) <= MOST_NAMES else None,
        customdata=names,
        mode="markers+text" if len(spots) <= MOST_NAMES else "markers",
        # towards the middle, where there is room
        textposition=["middle right" if spot.ttft_ms <= middle else "middle left" for spot in spots],
        textfont={"color": palette.muted, "size": 12},
        marker={"size": 12, "color": [palette.of(spot.number) for spot in spots], "line": {"width": 0}},
        cliponaxis=False,
        hovertemplate="<b>%{customdata}</b><br>%{x:,.4~r} ms to the first token<br>%{y:,.4~r} tok/s<extra></extra>",
        showlegend=False,
    )
    ticks = log_ticks(low / 1.5, high * 1.5)
    small = {"color": palette.muted, "size": 12}
    chart.update_layout(hovermode="closest", dragmode=False, margin={"t": 16})
    chart.update_xaxes(
        type="log",
        range=[math.log10(low) - 0.12, math.log10(high) + 0.12],
        tickvals=ticks,
        ticktext=[f"{tick:,g}" for tick in ticks],
        title={"text": "median time to first token, ms", "font": small},
    )
    chart.update_yaxes(title={"text": "median output speed, tok/s", "font": small, "standoff": 4})
    chart.add_annotation(
        text="fast corner", x=0, y=1, xref="paper", yref="paper", xanchor="left", yanchor="top", showarrow=False,
        font={"color": palette.muted, "size": 11},
    )  # fmt: skip
    return chart.figure()


def _escaped(name: str) -> str:
    """A name that Plotly does not take for markup."""
    return name.replace("&", "&amp;").replace("<", "&lt;")
