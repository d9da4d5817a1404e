"""How measured values are spread, as HTML: two hundred boxes that nobody zooms, which Plotly would take as long to draw
as three charts over time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from stats.distribution import DAYS, HistogramBar

NOTHING = '<div class="u u-none">no sample in this window</div>'
MARKS = 5


def histogram(found: Sequence[HistogramBar], colour: str, unit: str, write: Callable[[float], str]) -> str:
    """The bars of `stats.distribution.histogram`, on a logarithmic axis. `colour` is what CSS takes; `write` writes a
    number without its unit.
    """
    if not found:
        return NOTHING
    most = max(bar.share for bar in found)
    bars = "".join(
        f'<i style="height:{max(0.5, bar.share / most * 100):.1f}%" '
        f'data-tip="{write(bar.low)} to {write(bar.high)} {escape(unit)}: {bar.share:.1%} of all"></i>'
        for bar in found
    )
    step = max(1, len(found) // MARKS)
    marks = "".join(
        f'<span style="left:{(place + 0.5) / len(found):.1%}">{write((bar.low * bar.high) ** 0.5)}</span>'
        for place, bar in enumerate(found)
        if place % step == step // 2
    )
    middle = max(found, key=lambda bar: bar.share)
    said = f"Histogram: most often {write(middle.low)} to {write(middle.high)} {unit}, {most:.1%} of all"
    return (
        f'<div class="u u-histogram" role="img" aria-label="{escape(said, quote=True)}" style="--c:{colour}">'
        f'<div class="top q">{most:.0%} of all</div><div class="bars">{bars}</div><div class="marks q">{marks}</div>'
        f'<div class="q unit">{escape(unit)}</div></div>'
    )


def hours_of_week(
    medians: Sequence[Sequence[float | None]], colour: str, unit: str, write: Callable[[float], str]
) -> str:
    """The medians of `stats.distribution.by_hour_of_week`: the stronger the colour, the larger."""
    known = [value for day in medians for value in day if value is not None]
    if not known:
        return NOTHING
    low, high = min(known), max(known)
    span = (high - low) or 1.0

    def cell(day: str, hour: int, value: float | None) -> str:
        if value is None:
            return f'<i class="none" data-tip="{day} {hour}:00: no sample"></i>'
        strength = f"--s:{8 + 92 * (value - low) / span:.0f}%"
        return f'<i style="{strength}" data-tip="{day} {hour}:00: {write(value)} {unit}"></i>'

    rows = "".join(
        f"<b>{day}</b>{''.join(cell(day, hour, value) for hour, value in enumerate(values))}"
        for day, values in zip(DAYS, medians, strict=True)
    )
    hours = "".join(f"<span>{hour}:00</span>" for hour in (0, 6, 12, 18))
    said = f"Medians by weekday and hour of the day, between {write(low)} and {write(high)} {unit}"
    return (
        f'<div class="u u-week" role="img" aria-label="{escape(said, quote=True)}" style="--c:{colour}">'
        f'<div class="cells">{rows}<b></b><div class="hours q">{hours}</div></div>'
        f'<div class="scale q">{write(low)} <i></i> {write(high)} {escape(unit)}</div></div>'
    )
