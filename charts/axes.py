"""Axes of time and of amounts. Plotly knows no time zones: it shows the wall-clock times that it is given."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd

from charts.figure_builder import FigureBuilder

MOMENTS = {"moments": True}
"""The `layout.meta` of a chart of a time window: the page marks the same moment in all of these, and handles a drag."""


def local_times(moments: Iterable[int], zone: str) -> list[pd.Timestamp]:
    """Moments (milliseconds UTC) as wall-clock times in `zone`."""
    times = pd.to_datetime(pd.Series(moments, dtype="int64"), unit="ms", utc=True)
    return list(times.dt.tz_convert(zone).dt.tz_localize(None))


def set_time_axis(chart: FigureBuilder, since: int, until: int, zone: str) -> None:
    """Make the x axis the complete time window, whether there is data or not, and let it alone be zoomed."""
    chart.update_layout(meta=MOMENTS)
    chart.update_xaxes(
        type="date", range=local_times((since, until), zone), tickformatstops=DATES, hoverformat="%-d %b, %H:%M"
    )
    chart.update_yaxes(fixedrange=True)


DATES = [
    {"dtickrange": [None, 60_000], "value": "%H:%M:%S\n%-d %b"},
    {"dtickrange": [60_000, 43_200_000], "value": "%H:%M\n%-d %b"},
    {"dtickrange": [43_200_000, "M1"], "value": "%-d %b"},
    {"dtickrange": ["M1", None], "value": "%b\n%Y"},
]
"""Moments as everywhere else on the pages: `24 Nov`, `14:20`."""


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers between two positive ones for a logarithmic axis: powers of ten, and over less than two decades
    their double and fivefold too.
    """
    steps = (1,) if high / low >= 100 else (1, 2, 5)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [step * 10.0**power for power in powers for step in steps]
    return [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
