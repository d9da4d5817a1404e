"""Several targets in one chart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from charts.axes import local, over_window
from charts.figure_builder import Drawing
from charts.palette import Palette
from charts.percentile_bands import table_of
from stats.latency import Band

HEIGHT = 320
DASHES = ("solid", "dash", "dot", "dashdot")


def medians(
    found: Mapping[str, Sequence[Band]],
    since: int,
    until: int,
    palette: Palette,
    numbers: Mapping[str, int],
    *,
    unit: str,
    zone: str = "UTC",
) -> go.Figure:
    """The median of each target over time: `found` has its `stats.latency.bands` by its name, `numbers` the places of
    their colours. Where two have the same colour, the second is dashed.
    """
    chart = Drawing(palette, HEIGHT)
    tables = {name: table_of(bands) for name, bands in found.items()}
    if not any(int(table["count"].sum()) for table in tables.values()):
        return chart.say("no sample in this window")
    worn: Counter[str] = Counter()
    for name, table in tables.items():
        colour = palette.of(numbers.get(name, 0))
        dash = DASHES[worn[colour] % len(DASHES)]
        worn[colour] += 1
        chart.add_scatter(
            x=local(table["at"], zone),
            y=list(table["p50"].round(1)),
            mode="lines+markers" if int((table["count"] > 0).sum()) < 30 else "lines",
            marker={"size": 5},
            line={"color": colour, "width": 2, "dash": dash},
            name=name.replace("&", "&amp;").replace("<", "&lt;"),
            hovertemplate=f"%{{y:,.4~r}} {unit}<extra>%{{fullData.name}}</extra>",
            showlegend=True,
        )
    over_window(chart, since, until, zone)
    chart.update_layout(margin={"b": 72}, legend={"y": -0.18, "yanchor": "top"})
    chart.update_yaxes(title={"text": unit, "font": {"color": palette.muted, "size": 12}, "standoff": 4})
    return chart.figure()
