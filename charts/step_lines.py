"""Facts of a catalog over the years, as step lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from charts.axes import DATES, local_times
from charts.figure_builder import FigureBuilder
from charts.palette import Palette
from stats.downsampling import Point, downsample

HEIGHT = 190


def step_lines(lines: Mapping[str, Sequence[Point]], palette: Palette, *, unit: str, zone: str = "UTC") -> go.Figure:
    """Each of `lines` (name to `stats.catalog_changes.steps`) as a line that jumps where the fact changed, and breaks
    where there was none.
    """
    chart = FigureBuilder(palette, HEIGHT)
    if not any(value is not None for line in lines.values() for _, value in line):
        return chart.empty("not known")
    for (name, line), colour in zip(lines.items(), (palette.accent, palette.second, palette.third), strict=False):
        points = downsample(line)
        chart.add_scatter(
            x=local_times([moment for moment, _ in points], zone),
            y=[value for _, value in points],
            name=name,
            mode="lines",
            line={"shape": "hv", "color": colour, "width": 2},
            hovertemplate=f"{name} %{{y:,.6~r}} {unit}<extra></extra>",
            showlegend=len(lines) > 1,
        )
    chart.update_xaxes(type="date", tickformatstops=DATES)
    chart.update_layout(legend={"y": 1.02, "yanchor": "bottom"}, margin={"t": 30})
    chart.label_y_axis(unit)
    return chart.figure()
