"""How measured values are spread, as HTML: two hundred boxes that nobody zooms, which Plotly would take as long to draw
as three charts over time.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import pandas as pd

NOTHING = '<div class="u u-none">no sample in this window</div>'
MARKS = 5


def histogram(table: pd.DataFrame, colour: str, unit: str, write: Callable[[float], str]) -> str:
    """The bars of `stats.distribution.histogram`, on a logarithmic axis. `colour` is what CSS takes; `write` writes a
    number without its unit.
    """
    if table.empty:
        return NOTHING
    most = float(table["share"].max())
    bars = "".join(
        f'<i style="height:{max(0.5, share / most * 100):.1f}%" '
        f'data-tip="{write(low)} to {write(high)} {escape(unit)}: {share:.1%} of all"></i>'
        for low, high, share in zip(table["low"], table["high"], table["share"], strict=True)
    )
    step = max(1, len(table) // MARKS)
    marks = "".join(
        f'<span style="left:{(place + 0.5) / len(table):.1%}">{write(float((row.low * row.high) ** 0.5))}</span>'
        for place, row in enumerate(table.itertuples())
        if place % step == step // 2
    )
    middle = table.iloc[int(table["share"].argmax())]
    said = f"Histogram: most often {write(middle['low'])} to {write(middle['high'])} {unit}, {most:.1%} of all"
    return (
        f'<div class="u u-histogram" role="img" aria-label="{escape(said, quote=True)}" style="--c:{colour}">'
        f'<div class="top q">{most:.0%} of all</div><div class="bars">{bars}</div><div class="marks q">{marks}</div>'
        f'<div class="q unit">{escape(unit)}</div></div>'
    )


def hours_of_week(table: pd.DataFrame, colour: str, unit: str, write: Callable[[float], str]) -> str:
    """The medians of `stats.distribution.by_hour_of_week`: the stronger the colour, the larger."""
    if table.isna().all(axis=None):
        return NOTHING
    low, high = float(table.min(axis=None)), float(table.max(axis=None))
    span = (high - low) or 1.0

    def cell(day: str, hour: int, value: float) -> str:
        if pd.isna(value):
            return f'<i class="none" data-tip="{day} {hour}:00: no sample"></i>'
        strength = f"--s:{8 + 92 * (value - low) / span:.0f}%"
        return f'<i style="{strength}" data-tip="{day} {hour}:00: {write(value)} {unit}"></i>'

    rows = "".join(
        f"<b>{day}</b>{''.join(cell(str(day), hour, values[hour]) for hour in range(24))}"
        for day, values in table.iterrows()
    )
    hours = "".join(f"<span>{hour}:00</span>" for hour in (0, 6, 12, 18))
    said = f"Medians by weekday and hour of the day, between {write(low)} and {write(high)} {unit}"
    return (
        f'<div class="u u-week" role="img" aria-label="{escape(said, quote=True)}" style="--c:{colour}">'
        f'<div class="cells">{rows}<b></b><div class="hours q">{hours}</div></div>'
        f'<div class="scale q">{write(low)} <i></i> {write(high)} {escape(unit)}</div></div>'
    )
