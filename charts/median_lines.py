"""Several targets in one chart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from charts.axes import local_times, set_time_axis
from charts.figure_builder import FigureBuilder, escape
from charts.palette import Palette
from charts.percentile_bands import table_of
from stats.latency import Band

HEIGHT = 320
DASHES = ("solid", "dash", "dot", "dashdot")


def medians(
    bands: Mapping[str, Sequence[Band]],
    since: int,
    until: int,
    palette: Palette,
    numbers: Mapping[str, int],
    *,
    unit: str,
    zone: str = "UTC",
) -> go.Figure:
    """The median of each target over time: `bands` has its `stats.latency.bands` by its name, `numbers` the places of
    their colours. Where two have the same colour, the second is dashed.
    """
    chart = FigureBuilder(palette, HEIGHT)
    tables = {name: table_of(listed) for name, listed in bands.items()}
    if not any(int(table["count"].sum()) for table in tables.values()):
        return chart.empty("no sample in this window")
    uses: Counter[str] = Counter()
    for name, table in tables.items():
        colour = palette.series_colour(numbers.get(name, 0))
        dash = DASHES[uses[colour] % len(DASHES)]
        uses[colour] += 1
        chart.add_scatter(
            x=local_times(table["at"], zone),
            y=list(table["p50"].round(1)),
            mode="lines+markers" if int((table["count"] > 0).sum()) < 30 else "lines",
            marker={"size": 5},
            line={"color": colour, "width": 2, "dash": dash},
            name=escape(name),
            hovertemplate=f"%{{y:,.4~r}} {unit}<extra>%{{fullData.name}}</extra>",
            showlegend=True,
        )
    set_time_axis(chart, since, until, zone)
    chart.update_layout(margin={"b": 72}, legend={"y": -0.18, "yanchor": "top"})
    chart.label_y_axis(unit)
    return chart.figure()
