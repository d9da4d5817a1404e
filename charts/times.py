"""A measured time or rate over time: its percentiles as bands, and failures on the floor of the chart."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from charts.axes import local, over_window
from charts.palette import Palette, figure, say
from stats.shifts import Shift

HEIGHT = 300


def bands(
    table: pd.DataFrame,
    failures: pd.DataFrame,
    since: int,
    until: int,
    palette: Palette,
    *,
    unit: str,
    zone: str = "UTC",
    colour: str | None = None,
    shifts: Sequence[Shift] = (),
) -> go.Figure:
    """The chart of `stats.latency.bands`, with the change points of `stats.shifts`.

    `failures` has `started_at` (milliseconds UTC), `outcome` and `error`; each is a mark on the floor.
    `zone` is the time zone of the axis. With neither samples nor failures the chart says so.
    """
    chart = figure(palette, HEIGHT)
    colour = colour or palette.accent
    if not int(table["count"].sum()) and failures.empty:
        return say(chart, palette, "no sample in this window")
    at = local(table["at"], zone)
    for low, high, opacity, name in (("p5", "p95", 0.13, "p5 to p95"), ("p25", "p75", 0.26, "p25 to p75")):
        for x, bottom, top in _unbroken(at, table[low], table[high]):
            chart.add_scatter(
                x=[*x, *reversed(x)],
                y=[*top, *reversed(bottom)],
                fill="toself",
                fillcolor=palette.faded(colour, opacity),
                line={"width": 0},
                mode="lines",
                hoverinfo="skip",
                name=name,
                showlegend=False,
            )
    chart.add_scatter(
        x=at,
        y=table["p50"].round(1),
        mode="lines+markers" if int((table["count"] > 0).sum()) < 30 else "lines",
        marker={"size": 5},
        line={"color": colour, "width": 2},
        name="median",
        customdata=table[["p5", "p95", "count"]].round(1).to_numpy(),
        hovertemplate=f"%{{y:,.4~r}} {unit}, p5 %{{customdata[0]:,.4~r}}, p95 %{{customdata[1]:,.4~r}} "
        "(%{customdata[2]:,d} probes)<extra></extra>",
        showlegend=False,
    )
    if shifts:
        chart.update_layout(margin={"t": 26})  # for their words
    for shift in shifts:
        _mark(chart, shift, palette, zone, unit)
    _floor(chart, failures, palette, zone)
    if not int(table["count"].sum()):
        chart.update_yaxes(range=[0, 1], showticklabels=False, showgrid=False)
    over_window(chart, since, until, zone)
    chart.update_yaxes(title={"text": unit, "font": {"color": palette.muted, "size": 12}, "standoff": 4})
    return chart


def _unbroken(
    at: list[pd.Timestamp], low: pd.Series, high: pd.Series
) -> list[tuple[list[pd.Timestamp], list[float], list[float]]]:
    """The stretches without a missing value: an area that is filled to itself would close over a gap."""
    runs: list[tuple[list[pd.Timestamp], list[float], list[float]]] = []
    fresh = True
    for moment, bottom, top in zip(at, low, high, strict=True):
        if pd.isna(bottom) or pd.isna(top):
            fresh = True
            continue
        if fresh:
            runs.append(([], [], []))
            fresh = False
        moments, bottoms, tops = runs[-1]
        moments.append(moment)
        bottoms.append(round(float(bottom), 1))
        tops.append(round(float(top), 1))
    return runs


def _mark(chart: go.Figure, shift: Shift, palette: Palette, zone: str, unit: str) -> None:
    """A change point: a line at its moment, and what changed in words."""
    [at] = local((shift.at,), zone)
    chart.add_shape(
        type="line",
        x0=at,
        x1=at,
        y0=0,
        y1=1,
        yref="paper",
        line={"color": palette.muted, "width": 1, "dash": "dot"},
    )
    chart.add_annotation(
        x=at,
        y=1,
        yref="paper",
        yanchor="bottom",
        text=f"{shift.before:,.0f} → {shift.after:,.0f} {unit}",
        showarrow=False,
        font={"color": palette.muted, "size": 11},
    )


def _floor(chart: go.Figure, failures: pd.DataFrame, palette: Palette, zone: str) -> None:
    if failures.empty:
        return
    chart.add_scatter(
        x=local(failures["started_at"], zone),
        y=[0] * len(failures),
        mode="markers",
        marker={"symbol": "triangle-up", "size": 8, "color": palette.down},
        cliponaxis=False,
        name="failure",
        text=failures["outcome"],
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )
