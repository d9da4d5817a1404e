"""Models as points: what they cost against what they offer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from charts.axes import log_ticks
from charts.figure_builder import FigureBuilder, escape
from charts.palette import Palette
from stats.catalog import Point

HEIGHT = 360
SIZE, GROWTH, MOST_SIZE = 7.0, 2.5, 16.0
MOST_NAMES = 6
MARGIN = {"t": 30, "l": 62, "b": 52, "r": 8}
CONTEXT_TICKS = {
    8_192: "8k",
    32_768: "32k",
    65_536: "64k",
    131_072: "128k",
    262_144: "256k",
    1_048_576: "1M",
    10_000_000: "10M",
}


def scatter(
    points: Sequence[Point],
    palette: Palette,
    *,
    label: str,
    ticks_named: dict[int, str] | None = None,
) -> go.Figure:
    """The chart of `stats.catalog.group_points`: price to the right (logarithmic; free models stand left of it),
    `label` upwards, logarithmic where `ticks_named` has its ticks. The more models a mark stands for, the larger it is.
    """
    chart = FigureBuilder(palette, HEIGHT)
    if not points:
        return chart.empty("no model here has both numbers")
    paid = [point.usd_per_million for point in points if point.usd_per_million > 0]
    low, high = (min(paid), max(paid)) if paid else (0.1, 1.0)
    free_at = low / 3
    for is_free, name, colour in ((False, "paid", palette.accent), (True, "free", palette.second)):
        part = [point for point in points if (point.usd_per_million == 0) == is_free]
        if not part:
            continue
        chart.add_scatter(
            x=[free_at if is_free else point.usd_per_million for point in part],
            y=[point.value for point in part],
            text=[_describe(point.names) for point in part],
            customdata=[point.usd_per_million for point in part],
            mode="markers",
            name=name,
            marker={
                "size": [min(MOST_SIZE, SIZE + GROWTH * math.sqrt(len(point.names) - 1)) for point in part],
                "color": palette.with_opacity(colour, 0.65),
                "line": {"width": 0},
            },
            hovertemplate=f"%{{text}}<br>$%{{customdata:,.4~r}} per million<br>%{{y:,.4~r}} {label}<extra></extra>",
        )
    has_free = len(paid) < len(points)
    ticks = log_ticks(low, high)
    x_axis = {
        "type": "log",
        "tickvals": ([free_at] if has_free else []) + ticks,
        "ticktext": (["free"] if has_free else []) + [f"${tick:g}" for tick in ticks],
        "tickangle": 0,
        "range": [math.log10(free_at if has_free else low) - 0.15, math.log10(high) + 0.15],
        "title": {"text": "USD per million tokens, 3 in to 1 out"},
    }
    y_axis: dict[str, object] = {"title": {"text": label, "standoff": 4}}
    if ticks_named:
        edges = [math.log10(bound(point.value for point in points)) + more for bound, more in ((min, -0.1), (max, 0.1))]
        names = list(ticks_named.values())
        y_axis |= {"type": "log", "tickvals": list(ticks_named), "ticktext": names, "range": edges}
    legend = {"y": 1.02, "yanchor": "bottom", "itemsizing": "constant"}
    chart.update_layout(hovermode="closest", legend=legend, margin=MARGIN, xaxis=x_axis, yaxis=y_axis)
    return chart.figure()


def _describe(names: Sequence[str]) -> str:
    shown = [escape(name) for name in names[:MOST_NAMES]]
    more = len(names) - len(shown)
    return "<br>".join(f"<b>{name}</b>" for name in shown) + (f"<br>and {more} more" if more else "")
