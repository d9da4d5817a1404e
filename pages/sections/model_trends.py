"""The model page's chart: one metric over the range, and its distribution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import plotly.graph_objects as go
import streamlit as st
from markupsafe import Markup

from charts import percentile_bands, tokens
from charts.palette import PALETTES, Mode
from pages.components import distribution_boxes, formatting, glossary, theme
from pages.queries import cache, series_colours
from pages.queries.target_history import THROUGHPUT, Gaps, TargetHistory, target_history
from pages.queries.time_range import TimeRange
from pages.shell import sign_in, time_range
from stats.change_points import Shift
from stats.distribution import by_hour_of_week, histogram
from stats.tokens import DayTokens
from store.schema import Target


@dataclass(frozen=True)
class Metric:
    """A metric that the chart can show. `column` is the measured column (null: a sum by day), `profile` that of its
    probes (null: the target's own).
    """

    key: str
    title: str
    note: str
    unit: str
    column: str | None = None
    profile: str | None = None
    write: Callable[[float], str] = formatting.milliseconds
    worst: Literal["max", "min"] = "max"


MOST_CHANGES = 5
BANDS = "median, p25 to p75, p5 to p95, {}; failures below"
METRICS = {
    "TTFT": Metric("ttft", "Time to first token", BANDS.format("maximum"), "ms", "ttft_ms"),
    "Total time": Metric("total", "Total time", f"to the last token: {BANDS.format('maximum')}", "ms", "total_ms"),
    "Output speed": Metric(
        "speed",
        "Output speed",
        f"after the first token, of throughput probes: {BANDS.format('minimum')}",
        "tok/s",
        "tokens_per_second",
        THROUGHPUT,
        formatting.rate,
        "min",
    ),
    "Tokens": Metric("tokens", "Tokens per day", "used by the probes", "tokens"),
    "Cost": Metric("cost", "Cost per day", "of the probes whose cost is known", "USD"),
}
OLD_MEASURES = {"time to first token": "TTFT", "total time": "Total time", "output speed": "Output speed"}
"""Values of the distribution's former control, in old links."""


@dataclass(frozen=True)
class Trend:
    """One metric's chart, the notes below it, and its distribution, if it has one: a histogram, and the medians by hour
    of the week.
    """

    chart: go.Figure
    notes: Markup
    distribution: tuple[Markup, Markup] | None


def performance(url: str, target: Target, number: int) -> None:
    """The chosen metric, drawn again whenever a live range has moved by a pixel."""
    began = cache.first_at(url).get(target.name, 0)

    @sign_in.fragment(run_every=time_range.pixel_s(began))
    def draw() -> None:
        chosen = time_range.steady(began)
        name = st.segmented_control(
            "Metric",
            list(METRICS),
            default=next(iter(METRICS)),
            required=True,
            key="metric",
            bind="query-params",
            label_visibility="collapsed",
        )
        name = name or next(iter(METRICS))
        metric, edges = METRICS[name], (chosen.since, chosen.until, chosen.is_live)
        mode, zone = theme.mode(), time_range.zone()
        trend = _trend(url, target.name, target.location, *edges, mode, zone, number, name, _target=target)
        with theme.card("trend", metric.title, metric.note, charts=[f"{metric.key}_chart"]):
            alt = f"{metric.title} of {target.name} {chosen.words}, in {metric.unit}"
            alt += ", as percentile bands over time" if metric.column else ", by day"
            theme.chart(trend.chart, key=f"{metric.key}_chart", alt=alt)
            if trend.notes:
                st.html(trend.notes)
        if trend.distribution is not None:
            figure = f"{metric.title} of {target.name}: distribution, {metric.unit}"
            note = "successful responses in this range; median by hour of week"
            with theme.card("spread", "Distribution", note, figure=figure):
                for place, part in zip(st.columns(2, gap="large"), trend.distribution, strict=True):
                    place.html(part)

    draw()


# A figure is built once for all viewers of the same view, mode and zone, and is not copied.
@st.cache_resource(ttl=300, max_entries=96, show_spinner=False)
def _trend(
    url: str, name: str, location: str, since: int, until: int, is_live: bool, mode: Mode, zone: str, number: int,
    metric: str, *, _target: Target,
) -> Trend:  # fmt: skip
    history = target_history(url, _target, TimeRange(since, until, is_live, ""), until)
    of, palette = METRICS[metric], PALETTES[mode]
    if of.column is None:
        days = history.tokens_per_day(zone)
        chart = tokens.cost_per_day(days, palette) if of.key == "cost" else tokens.per_day(days, palette)
        return Trend(chart, _sums(days), None)
    profile = of.profile or _target.profile
    changed = history.shifts(profile, of.column)
    chart = percentile_bands.bands(
        history.bands(profile, of.column),
        history.failures(profile),
        history.charted_since,
        history.until,
        palette,
        unit=of.unit,
        zone=zone,
        colour=palette.series_colour(number),
        shifts=changed,
        worst=of.worst,
    )
    notes = _gaps(history.gaps(), history.newest_note) if of.profile == THROUGHPUT else Markup()
    return Trend(chart, notes + _change_points(of, changed, zone), _distribution(history, of, profile, zone, number))


def _distribution(history: TargetHistory, of: Metric, profile: str, zone: str, number: int) -> tuple[Markup, Markup]:
    colour, column = series_colours.variable(number), of.column or ""
    week = by_hour_of_week(history.hours(profile), column, zone)
    return (
        distribution_boxes.histogram(histogram(history.samples(profile, column)), colour, of.unit, of.write),
        distribution_boxes.hours_of_week(week, colour, of.unit, of.write),
    )


def _sums(days: Sequence[DayTokens]) -> Markup:
    """The range's tokens and cost, in one line."""
    costs = [day.cost_usd for day in days if day.cost_usd is not None]
    cost = formatting.money(sum(costs)) if costs else "cost unknown"
    return Markup('<div class="u q"><b>{}</b> prompt and <b>{}</b> completion tokens, <b>{}</b> · {}</div>').format(
        formatting.count(sum(day.prompt_tokens for day in days)),
        formatting.count(sum(day.completion_tokens for day in days)),
        cost,
        formatting.probes(sum(day.requests for day in days)),
    )


def _gaps(gaps: Gaps | None, note: str) -> Markup:
    """Inter-token latency, in one line."""
    if gaps is None:
        return Markup()
    return Markup('<div class="u q">{} p50 <b>{}</b>, p99 <b>{}</b> · {}{}</div>').format(
        glossary.term("inter-token latency", "Inter-token latency"),
        formatting.latency(gaps.p50_ms),
        formatting.latency(gaps.p99_ms),
        formatting.plural(gaps.count, "throughput probe"),
        note,
    )


def _change_points(of: Metric, changed: Sequence[Shift], zone: str) -> Markup:
    """Each change point in words, newest first."""
    if not changed:
        return Markup()
    lines = (
        Markup("<div><b>{} changed from {} to {} {}</b> on {}</div>").format(
            of.title if of.key != "ttft" else "TTFT",
            of.write(shift.before),
            of.write(shift.after),
            of.unit,
            formatting.clock(shift.at, zone, 0),
        )
        for shift in sorted(changed, key=lambda shift: -shift.at)[:MOST_CHANGES]
    )
    more = f"The newest {MOST_CHANGES} of {len(changed)}. " if len(changed) > MOST_CHANGES else ""
    note = Markup('<div class="q">{}Rank test; false-alarm rate: about 1% per series.</div>').format(more)
    return Markup('<div class="u">{}{}</div>').format(Markup().join(lines), note)
