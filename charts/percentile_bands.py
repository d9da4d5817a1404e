"""A measured time or rate over time: its percentiles as bands, and failures on the floor of the chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from textwrap import shorten
from typing import Literal

import pandas as pd
import plotly.graph_objects as go

from charts.axes import local_times, set_time_axis
from charts.figure_builder import FigureBuilder, escape
from charts.palette import Palette
from stats.change_points import Shift
from stats.downsampling import Mark
from stats.latency import Band

HEIGHT = 300
STANDS_OUT = 1.5
LONGEST_ERROR = 90
CEILING = 1.6
"""How far above most p95 the scale goes at most, as long as everything usual fits in."""


def bands(
    bands: Sequence[Band],
    failures: Sequence[Mark],
    since: int,
    until: int,
    palette: Palette,
    *,
    unit: str,
    zone: str = "UTC",
    colour: str | None = None,
    shifts: Sequence[Shift] = (),
    worst: Literal["max", "min"] = "max",
) -> go.Figure:
    """The chart of `stats.latency.bands`, with the change points of `stats.change_points`.

    `failures` are marks on the floor. `worst` is the end of the scale that hurts: the slowest response of each
    interval is a dot, so that no spike disappears; one far beyond the bands stands at the ceiling, instead of
    flattening them.
    `zone` is the time zone of the axis. With neither samples nor failures the chart says so.
    """
    chart = FigureBuilder(palette, HEIGHT)
    table = table_of(bands)
    colour = colour or palette.accent
    if not int(table["count"].sum()) and not failures:
        return chart.empty("no sample in this window")
    at = local_times(table["at"], zone)
    _add_areas(chart, at, table, palette, colour)
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
    _add_worst(chart, at, table, palette.with_opacity(colour, 0.5), unit, worst)
    if shifts:
        chart.update_layout(margin={"t": 26})  # room for their labels
    for shift in shifts:
        _add_change_point(chart, shift, palette, zone, unit)
    _add_failures(chart, failures, palette, zone)
    if not int(table["count"].sum()):
        chart.update_yaxes(range=[0, 1], showticklabels=False, showgrid=False)
    set_time_axis(chart, since, until, zone)
    chart.label_y_axis(unit)
    return chart.figure()


def _add_areas(
    chart: FigureBuilder, at: list[pd.Timestamp], table: pd.DataFrame, palette: Palette, colour: str
) -> None:
    for low, high, opacity, name in (("p5", "p95", 0.13, "p5 to p95"), ("p25", "p75", 0.26, "p25 to p75")):
        for x, bottom, top in _unbroken(at, table[low], table[high]):
            chart.add_scatter(
                x=[*x, *reversed(x)],
                y=[*top, *reversed(bottom)],
                fill="toself",
                fillcolor=palette.with_opacity(colour, opacity),
                line={"width": 0},
                mode="lines",
                hoverinfo="skip",
                name=name,
                showlegend=False,
            )


def table_of(bands: Sequence[Band]) -> pd.DataFrame:
    """A row for each band; null becomes NaN."""
    table = pd.DataFrame(bands, columns=[item.name for item in fields(Band)])
    return table.astype({name: float for name in table.columns if name not in ("at", "count")})


def _unbroken(
    at: list[pd.Timestamp], low: pd.Series, high: pd.Series
) -> list[tuple[list[pd.Timestamp], list[float], list[float]]]:
    """The parts without a missing value: an area that is filled to itself would close over a gap."""
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


def _add_change_point(chart: FigureBuilder, shift: Shift, palette: Palette, zone: str, unit: str) -> None:
    """A line at the moment of a change point, with the medians before and after."""
    [at] = local_times((shift.at,), zone)
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


def _add_worst(
    chart: FigureBuilder, at: list[pd.Timestamp], table: pd.DataFrame, colour: str, unit: str, worst: str
) -> None:
    """The worst sample of each stretch, where it lies outside of the bands. Where a heavy tail makes all of them lie
    beyond the scale, those that stand out among them: marks without an end would say nothing.
    """
    beyond = (table["max"] > table["p95"]) if worst == "max" else (table["min"] < table["p5"])
    beyond &= table["count"] > 1
    if worst == "max":
        beyond &= (table["max"] <= _ceiling(table)) | (table["max"] > STANDS_OUT * table["max"].median())
    if not beyond.any():
        return
    values = table[worst][beyond]
    # of rates the worst are the lowest, which zero bounds by itself
    ceiling = math.inf if worst == "min" else _ceiling(table)
    shown = values.clip(upper=ceiling)
    chart.add_scatter(
        x=[moment for moment, is_beyond in zip(at, beyond, strict=True) if is_beyond],
        y=list(shown.round(1)),
        customdata=list(values.round(1)),
        mode="markers",
        marker={
            "size": [5 if cut else 3.5 for cut in values > ceiling],
            "symbol": ["triangle-up" if cut else "circle" for cut in values > ceiling],
            "color": colour,
            "line": {"width": 0},  # Plotly outlines marks of several sizes in white
        },
        name="slowest",
        hovertemplate=f"slowest %{{customdata:,.4~r}} {unit}<extra></extra>",
        showlegend=False,
    )
    if worst == "max" and (values > ceiling).any():
        chart.update_yaxes(range=[0, ceiling * 1.03])


def _ceiling(table: pd.DataFrame) -> float:
    return max(CEILING * float(table["p95"].quantile(0.9)), 1.15 * float(table["p75"].max()))


def _add_failures(chart: FigureBuilder, failures: Sequence[Mark], palette: Palette, zone: str) -> None:
    if not failures:
        return
    chart.add_scatter(
        x=local_times([mark.since for mark in failures], zone),
        y=[0] * len(failures),
        mode="markers",
        marker={"symbol": "triangle-up", "size": 8, "color": palette.down},
        cliponaxis=False,
        name="failure",
        text=[_describe(mark) for mark in failures],
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )


def _describe(mark: Mark) -> str:
    """`server error`, `3 failures: 2 server error, 1 timeout`, and below it the first one's error."""
    named = [(outcome.replace("_", " "), count) for outcome, count in mark.outcomes]
    what = named[0][0] if mark.count == 1 else f"{mark.count:,d} failures: "
    if mark.count > 1:
        what += ", ".join(f"{count:,d} {name}" for name, count in named)
    if mark.error is None:
        return what
    error = escape(shorten(mark.error, LONGEST_ERROR, placeholder="…"))  # Plotly breaks no line
    return f"{what}<br>{'' if mark.count == 1 else 'first: '}{error}"
