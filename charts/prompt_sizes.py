"""The time to the first token by the size of the prompt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from charts.axes import log_ticks
from charts.figure_builder import FigureBuilder, escape
from charts.palette import Palette
from stats.workloads import LadderStep

HEIGHT = 240


def ttft_by_size(
    ladders: Mapping[str, Sequence[LadderStep]], palette: Palette, numbers: Mapping[str, int]
) -> go.Figure:
    """Both axes are logarithmic: medians, and a line up to the 95th percentile. `ladders` by the name of their series,
    `numbers` the places of their colours.
    """
    chart = FigureBuilder(palette, HEIGHT)
    known = {name: [step for step in steps if step.ttft_ms.p50] for name, steps in ladders.items()}
    all_steps = [step for steps in known.values() for step in steps]
    if not all_steps:
        return chart.empty("no first token in this range")
    for name, steps in known.items():
        colour = palette.series_colour(numbers.get(name, 0))
        medians = [step.ttft_ms.p50 or 0 for step in steps]
        above = [(step.ttft_ms.slow or 0) - median for step, median in zip(steps, medians, strict=True)]
        chart.add_scatter(
            x=[step.input_tokens for step in steps],
            y=medians,
            error_y={"array": above, "arrayminus": [0] * len(above), "color": colour, "thickness": 1, "width": 4},
            mode="lines+markers",
            marker={"size": 8},
            line={"color": colour, "width": 2},
            customdata=[[step.ttft_ms.slow, step.ttft_ms.count] for step in steps],
            name=escape(name),
            hovertemplate="%{y:,.4~r} ms, p95 %{customdata[0]:,.4~r} ms, n %{customdata[1]}"
            "<extra>%{fullData.name}</extra>",
            showlegend=len(known) > 1,
        )
    sizes = sorted({step.input_tokens for step in all_steps})
    chart.update_xaxes(
        type="log",
        range=[math.log10(sizes[0]) - 0.1, math.log10(sizes[-1]) + 0.1],
        tickvals=sizes,
        ticktext=[f"{size:,d}" for size in sizes],
        hoverformat=",d",
        title={"text": "input tokens"},
        fixedrange=True,
    )
    low = min(step.ttft_ms.p50 or 0 for step in all_steps) / 1.5
    high = max(step.ttft_ms.slow or 0 for step in all_steps) * 1.5
    ticks = log_ticks(low, high)
    chart.update_yaxes(
        type="log",
        range=[math.log10(low), math.log10(high)],
        tickvals=ticks,
        ticktext=[f"{tick:,g}" for tick in ticks],
        fixedrange=True,
    )
    chart.label_y_axis("ms")
    chart.update_layout(dragmode=False, margin={"b": 72 if len(known) > 1 else 48, "r": 28})
    chart.update_layout(legend={"y": -0.28, "yanchor": "top"})
    return chart.figure()
