"""Facts of a catalog over the years, as step lines."""

from __future__ import annotations

import plotly.graph_objects as go

from charts.axes import DATES, local
from charts.figure_builder import Drawing
from charts.palette import Palette
from stats.downsampling import thinned

HEIGHT = 220
Steps = list[tuple[int, float | None]]


def step_lines(lines: dict[str, Steps], palette: Palette, *, unit: str, zone: str = "UTC") -> go.Figure:
    """Each of `lines` (name to `stats.catalog_changes.steps`) as a line that jumps where the fact
    changed, and breaks where there was none.
    """
    chart = Drawing(palette, HEIGHT)
    if not any(value is not None for line in lines.values() for _, value in line):
        return chart.say("not known")
    for (name, line), colour in zip(lines.items(), (palette.accent, palette.second, palette.third), strict=False):
        chart.add_scatter(
            x=local([moment for moment, _ in thinned(line)], zone),
            y=[value for _, value in thinned(line)],
            name=name,
            mode="lines",
            line={"shape": "hv", "color": colour, "width": 2},
            hovertemplate=f"{name} %{{y:,.6~r}} {unit}<extra></extra>",
            showlegend=len(lines) > 1,
        )
    chart.update_xaxes(type="date", tickformatstops=DATES)
    chart.update_layout(legend={"y": 1.02, "yanchor": "bottom"}, margin={"t": 30})
    chart.update_yaxes(title={"text": unit, "font": {"color": palette.muted, "size": 12}, "standoff": 4})
    return chart.figure()
