"""The model page's charts of a range: measurements over time, and their distribution."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import plotly.graph_objects as go
import streamlit as st
from markupsafe import Markup

from charts import percentile_bands, tokens
from charts.palette import PALETTES, Mode
from pages.components import distribution_boxes, formatting, glossary, theme
from pages.queries import cache, series_colours
from pages.queries.target_history import THROUGHPUT, Gaps, target_history
from pages.queries.time_range import TimeRange
from pages.shell import sign_in, time_range
from stats.change_points import Shift
from stats.distribution import by_hour_of_week, histogram
from store.schema import Target


@dataclass(frozen=True)
class Measure:
    """What is measured: its column, unit, the profile that measures it (null: the target's own), how it is written."""

    column: str
    unit: str
    profile: str | None
    write: Callable[[float], str]


MEASURES = {
    "time to first token": Measure("ttft_ms", "ms", None, formatting.milliseconds),
    "total time": Measure("total_ms", "ms", None, formatting.milliseconds),
    "output speed": Measure("tokens_per_second", "tok/s", THROUGHPUT, formatting.rate),
}


@dataclass(frozen=True)
class TrendCharts:
    """The four charts over time, and the change points of the first."""

    ttft: go.Figure
    tokens: go.Figure
    total: go.Figure
    speed: go.Figure
    changed: list[Shift]
    gaps: Markup


def trends(url: str, target: Target, number: int) -> None:
    """The four charts over time, redrawn when a live range has moved by a pixel."""
    began = cache.first_at(url).get(target.name, 0)

    @sign_in.fragment(run_every=time_range.pixel_s(began))
    def draw() -> None:
        chosen = time_range.steady(began)
        edges = (chosen.since, chosen.until, chosen.is_live)
        mode, zone = theme.mode(), time_range.zone()
        charts = _trends(url, target.name, target.location, *edges, mode, zone, number, _target=target)
        _draw(charts, target.name, chosen.words)

    draw()


# A figure is made once for all who look at the same, in one mode and zone, and is not copied for each of them.
@st.cache_resource(ttl=300, max_entries=48, show_spinner=False)
def _trends(
    url: str, name: str, location: str, since: int, until: int, is_live: bool, mode: Mode, zone: str, number: int,
    *, _target: Target,
) -> TrendCharts:  # fmt: skip
    history = target_history(url, _target, TimeRange(since, until, is_live, ""), until)
    palette, profile = PALETTES[mode], _target.profile
    changed = history.shifts(profile, "ttft_ms")

    def bands(profile: str, column: str, unit: str, shifts: list[Shift]) -> go.Figure:
        worst: Literal["max", "min"] = "min" if column == "tokens_per_second" else "max"
        return percentile_bands.bands(
            history.bands(profile, column),
            history.failures(profile),
            history.charted_since,
            history.until,
            palette,
            unit=unit,
            zone=zone,
            colour=palette.series_colour(number),
            shifts=shifts,
            worst=worst,
        )

    return TrendCharts(
        ttft=bands(profile, "ttft_ms", "ms", changed),
        tokens=tokens.per_day(history.tokens_per_day(zone), palette),
        total=bands(profile, "total_ms", "ms", history.shifts(profile, "total_ms")),
        speed=bands(THROUGHPUT, "tokens_per_second", "tok/s", history.shifts(THROUGHPUT, "tokens_per_second")),
        changed=changed,
        gaps=_gaps(history.gaps(), history.newest_note),
    )


def _gaps(gaps: Gaps | None, note: str) -> Markup:
    """Inter-token latency in a line."""
    if gaps is None:
        return Markup()
    return Markup('<div class="u q">{} p50 <b>{}</b>, p99 <b>{}</b> · {}{}</div>').format(
        glossary.term("inter-token latency", "Inter-token latency"),
        formatting.latency(gaps.p50_ms),
        formatting.latency(gaps.p99_ms),
        formatting.plural(gaps.count, "throughput probe"),
        note,
    )


def _draw(charts: TrendCharts, name: str, when: str) -> None:
    bands = "as percentile bands over time"
    wide, narrow = st.columns([2, 1])
    with wide, theme.card("ttft", "Time to first token", "median, p25 to p75, p5 to p95, maximum; failures below"):
        theme.chart(
            charts.ttft, key="ttft_chart", alt=f"Time to first token of {name} {when}, in milliseconds, {bands}"
        )
    with narrow, theme.card("tokens", "Tokens per day", "used by the probes"):
        theme.chart(
            charts.tokens, key="tokens_chart", alt=f"Prompt and completion tokens that probes of {name} used, by day"
        )
    if charts.changed:
        st.html(_change_points("TTFT", charts.changed, time_range.zone()))
    left, right = st.columns(2)
    with left, theme.card("total", "Total time", "to the last token of a ping"):
        theme.chart(
            charts.total, key="total_chart", alt=f"Total time of responses of {name} {when}, in milliseconds, {bands}"
        )
    with right, theme.card("speed", "Output speed", "tokens per second after the first token, from throughput probes"):
        theme.chart(
            charts.speed, key="speed_chart", alt=f"Output speed of {name} {when}, in tokens per second, {bands}"
        )
        if charts.gaps:
            st.html(charts.gaps)


def _change_points(what: str, changed: Iterable[Shift], zone: str) -> Markup:
    """Each change point of a latency in words, newest first."""
    lines = (
        Markup("<div><b>{} changed from {} to {}</b> on {}</div>").format(
            what,
            formatting.milliseconds(shift.before),
            formatting.latency(shift.after),
            formatting.clock(shift.at, zone, 0),
        )
        for shift in sorted(changed, key=lambda shift: -shift.at)
    )
    return Markup(
        '<div class="u u-card">{}<div class="q">Rank test; false-alarm rate: about 1% per series.</div></div>'
    ).format(Markup().join(lines))


@sign_in.fragment()
def distribution_card(url: str, target: Target, number: int) -> None:
    """The distribution of what was measured; another measure draws this card alone."""
    chosen = time_range.steady(cache.first_at(url).get(target.name, 0))
    with theme.card("spread", "Distribution", "successful responses in this range; median by hour of week"):
        measure = st.segmented_control(
            "Measure",
            list(MEASURES),
            default=next(iter(MEASURES)),
            required=True,
            key="spread",
            bind="query-params",
            label_visibility="collapsed",
        )
        edges = (chosen.since, chosen.until, chosen.is_live)
        view = (*edges, time_range.zone(), number, measure or next(iter(MEASURES)))
        bars, week = _distribution(url, target.name, target.location, *view, _target=target)
        left, right = st.columns(2, gap="large")
        left.html(bars)
        right.html(week)


@st.cache_data(ttl=300, max_entries=96, show_spinner=False)
def _distribution(
    url: str, name: str, location: str, since: int, until: int, is_live: bool, zone: str, number: int, measure: str,
    *, _target: Target,
) -> tuple[Markup, Markup]:  # fmt: skip
    history = target_history(url, _target, TimeRange(since, until, is_live, ""), until)
    of, colour = MEASURES[measure], series_colours.variable(number)
    profile = of.profile or _target.profile
    week = by_hour_of_week(history.hours(profile), of.column, zone)
    return (
        distribution_boxes.histogram(histogram(history.samples(profile, of.column)), colour, of.unit, of.write),
        distribution_boxes.hours_of_week(week, colour, of.unit, of.write),
    )
