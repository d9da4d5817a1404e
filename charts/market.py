"""Models as points: what they cost against what they offer."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from charts.axes import log_ticks
from charts.palette import Palette, figure, say

HEIGHT = 360
CONTEXT_TICKS = {8_192: "8k", 32_768: "32k", 131_072: "128k", 262_144: "256k", 1_048_576: "1M", 10_000_000: "10M"}


def scatter(
    table: pd.DataFrame,
    palette: Palette,
    *,
    column: str,
    label: str,
    ticks_named: dict[int, str] | None = None,
) -> go.Figure:
    """Each model of `stats.catalog.catalog` by its blended price (logarithmic; what is free stands left of it) and by
    `column`, logarithmic where `ticks_named` has its ticks. Models without the one or the other are left out.
    """
    chart = figure(palette, HEIGHT)
    known = table[table["usd_per_million_blended"].notna() & table[column].notna()]
    if known.empty:
        return say(chart, palette, "no model here has both numbers")
    price = known["usd_per_million_blended"].astype(float)
    paid = price[price > 0]
    low, high = (float(paid.min()), float(paid.max())) if len(paid) else (0.1, 1.0)
    free_at = low / 3
    for is_free, name, colour in ((False, "paid", palette.accent), (True, "free", palette.up)):
        part = known[(price == 0) == is_free]
        if part.empty:
            continue
        chart.add_scatter(
            x=[free_at] * len(part) if is_free else list(part["usd_per_million_blended"].astype(float)),
            y=list(part[column].astype(float)),
            text=list(part["name"].map(_plain)),
            customdata=list(part["usd_per_million_blended"].astype(float)),
            mode="markers",
            name=name,
            marker={"size": 7, "color": palette.faded(colour, 0.7), "line": {"width": 0}},
            hovertemplate="<b>%{text}</b><br>$%{customdata:,.4~r} per million<br>%{y:,.4~r} "
            f"{label}<extra></extra>",
        )
    ticks = log_ticks(low, high)
    has_free = bool((price == 0).any())
    chart.update_xaxes(
        type="log",
        tickvals=([free_at] if has_free else []) + ticks,
        ticktext=(["free"] if has_free else []) + [f"${tick:g}" for tick in ticks],
        tickangle=0,
        range=[math.log10(free_at if has_free else low) - 0.15, math.log10(high) + 0.15],
        title={"text": "USD per million tokens, 3 in to 1 out", "font": {"color": palette.muted, "size": 12}},
    )
    chart.update_yaxes(title={"text": label, "font": {"color": palette.muted, "size": 12}, "standoff": 4})
    if ticks_named:
        values = known[column].astype(float)
        chart.update_yaxes(
            type="log",
            tickvals=list(ticks_named),
            ticktext=list(ticks_named.values()),
            range=[math.log10(values.min()) - 0.1, math.log10(values.max()) + 0.1],
        )
    chart.update_layout(hovermode="closest", legend={"y": 1.02, "yanchor": "bottom"}, margin={"t": 30})
    return chart


def _plain(name: str) -> str:
    """A name that Plotly does not take for markup."""
    return name.replace("&", "&amp;").replace("<", "&lt;")
