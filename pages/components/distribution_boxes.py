"""The distribution of measured values, as HTML: two hundred boxes that nobody zooms, which Plotly would take as long to
draw as three charts over time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup

from stats.distribution import DAYS, HistogramBar

NO_SAMPLES = Markup('<div class="u u-none">no samples in this range</div>')
MARKS = 5


def histogram(bars: Sequence[HistogramBar], colour: str, unit: str, write: Callable[[float], str]) -> Markup:
    """The bars of `stats.distribution.histogram`, on a logarithmic axis. `colour` is what CSS takes; `write` writes a
    number without its unit.
    """
    if not bars:
        return NO_SAMPLES
    peak = max(bars, key=lambda bar: bar.share)
    boxes = (
        Markup('<i style="height:{:.1f}%" data-tip="{} to {} {}: {:.1%} of all"></i>').format(
            max(0.5, bar.share / peak.share * 100), write(bar.low), write(bar.high), unit, bar.share
        )
        for bar in bars
    )
    step = max(1, len(bars) // MARKS)
    marks = (
        Markup('<span style="left:{:.1%}">{}</span>').format(
            (place + 0.5) / len(bars), write((bar.low * bar.high) ** 0.5)
        )
        for place, bar in enumerate(bars)
        if place % step == step // 2
    )
    label = f"Histogram: most often {write(peak.low)} to {write(peak.high)} {unit}, {peak.share:.1%} of all"
    return Markup(
        '<div class="u u-histogram" role="img" aria-label="{}" style="--c:{}"><div class="top q">{:.0%} of all</div>'
        '<div class="bars">{}</div><div class="marks q">{}</div><div class="q unit">{}</div></div>'
    ).format(label, colour, peak.share, Markup().join(boxes), Markup().join(marks), unit)


def hours_of_week(
    medians: Sequence[Sequence[float | None]], colour: str, unit: str, write: Callable[[float], str]
) -> Markup:
    """The medians of `stats.distribution.by_hour_of_week`: the stronger the colour, the larger."""
    known = [value for day in medians for value in day if value is not None]
    if not known:
        return NO_SAMPLES
    low, high = min(known), max(known)
    span = (high - low) or 1.0

    def box(day: str, hour: int, value: float | None) -> Markup:
        if value is None:
            return Markup('<i class="none" data-tip="{} {}:00: no samples"></i>').format(day, hour)
        return Markup('<i style="--s:{:.0f}%" data-tip="{} {}:00: {} {}"></i>').format(
            8 + 92 * (value - low) / span, day, hour, write(value), unit
        )

    rows = Markup().join(
        Markup("<b>{}</b>{}").format(day, Markup().join(box(day, hour, value) for hour, value in enumerate(values)))
        for day, values in zip(DAYS, medians, strict=True)
    )
    hours = Markup().join(Markup("<span>{}:00</span>").format(hour) for hour in (0, 6, 12, 18))
    label = f"Medians by weekday and hour of the day, between {write(low)} and {write(high)} {unit}"
    return Markup(
        '<div class="u u-week" role="img" aria-label="{}" style="--c:{}"><div class="cells">{}<b></b>'
        '<div class="hours q">{}</div></div><div class="scale q">{} <i></i> {} {}</div></div>'
    ).format(label, colour, rows, hours, write(low), write(high), unit)
