"""The distance of a target's checks from its reference over time, and first tokens side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from charts.axes import local_times, set_time_axis
from charts.figure_builder import FigureBuilder, escape
from charts.palette import Palette
from stats.identity_history import ScoreBand, TokenChance

HEIGHT, LANE_HEIGHT, BARS_HEIGHT = 210, 26, 180
Step = tuple[int, str]
"""When something changed (milliseconds UTC), and what."""


def scores_over_time(
    scores: Sequence[tuple[int, float]],
    bands: Sequence[ScoreBand],
    lanes: Mapping[str, Sequence[Step]],
    since: int,
    until: int,
    palette: Palette,
    *,
    unit: str,
    zone: str = "UTC",
) -> go.Figure:
    """The score of each check, above a lane for each kind of change that may explain it. A band is the range of an
    epoch's equal checks; a dotted line is where another epoch began.
    """
    height = HEIGHT + LANE_HEIGHT * len(lanes)
    chart = FigureBuilder(palette, height)
    if not scores and not bands:
        return chart.empty("no check in this range")
    for band in bands:
        _add_band(chart, band, palette, zone)
    for band in bands[1:]:
        [at] = local_times((band.since,), zone)
        line = {"color": palette.muted, "width": 1, "dash": "dot"}
        chart.add_shape(type="line", x0=at, x1=at, y0=0, y1=1, yref="paper", line=line)
    chart.add_scatter(
        x=local_times([at for at, _ in scores], zone),
        y=[score for _, score in scores],
        mode="markers",
        marker={"size": 4, "color": palette.accent},
        name="distance",
        hovertemplate=f"%{{y:.3~f}} {unit}<extra></extra>",
        showlegend=False,
    )
    share = LANE_HEIGHT * len(lanes) / height
    _add_lanes(chart, lanes, palette, zone, share)
    chart.update_yaxes(domain=[share + 0.04, 1] if lanes else [0, 1])
    set_time_axis(chart, since, until, zone)
    chart.label_y_axis(unit)
    return chart.figure()


def _add_band(chart: FigureBuilder, band: ScoreBand, palette: Palette, zone: str) -> None:
    if band.highest is None:
        return
    began, ended = local_times((band.since, band.until), zone)
    fill = palette.with_opacity(palette.accent, 0.13)
    chart.add_scatter(
        x=[began, ended, ended, began],
        y=[0, 0, band.highest, band.highest],
        fill="toself",
        fillcolor=fill,
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        name="usual",
        showlegend=False,
    )


def _add_lanes(
    chart: FigureBuilder, lanes: Mapping[str, Sequence[Step]], palette: Palette, zone: str, share: float
) -> None:
    if not lanes:
        return
    names = list(lanes)
    steps = [(at, name, text) for name, listed in lanes.items() for at, text in listed]
    chart.add_scatter(
        x=local_times([at for at, _, _ in steps], zone),
        y=[names.index(name) for _, name, _ in steps],
        yaxis="y2",
        mode="markers",
        marker={"symbol": "diamond", "size": 8, "color": palette.second},
        text=[escape(text) for _, _, text in steps],
        hovertemplate="%{text}<extra></extra>",
        name="steps",
        showlegend=False,
    )
    chart.update_layout(
        yaxis2={
            "domain": [0, share],
            "range": [len(names) - 0.5, -0.5],
            "tickvals": list(range(len(names))),
            "ticktext": names,
            "tickfont": {"color": palette.muted, "size": 12},
            "gridcolor": palette.line,
            "zeroline": False,
            "fixedrange": True,
        },
        margin={"l": 92},
    )
    chart.update_xaxes(anchor="y2")


def token_chances(pairs: Sequence[TokenChance], palette: Palette) -> go.Figure:
    """The chances of a prompt's first tokens, before and after, as pairs of bars."""
    chart = FigureBuilder(palette, BARS_HEIGHT)
    if not pairs:
        return chart.empty("no first tokens to compare")
    names = [_visible_token(pair.token) for pair in pairs]
    for name, values, colour in (
        ("before", [pair.before for pair in pairs], palette.muted),
        ("now", [pair.after for pair in pairs], palette.accent),
    ):
        chart.add_bar(
            x=names,
            y=[None if value is None else 100 * value for value in values],
            name=name,
            marker={"color": colour},
            hovertemplate=f"{name} %{{y:.1f}}%<extra></extra>",
        )
    chart.update_layout(barmode="group", bargap=0.3, legend={"y": 1.02, "yanchor": "bottom"}, margin={"t": 30})
    chart.update_xaxes(type="category")
    chart.label_y_axis("%")
    return chart.figure()


def _visible_token(token: str) -> str:
    """A token with visible spaces and line breaks."""
    return escape("".join({" ": "␣", "\n": "⏎", "\t": "⇥"}.get(letter, letter) for letter in token[:20]))
