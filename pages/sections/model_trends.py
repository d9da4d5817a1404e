"""The model page's charts of a time window: what was measured over time, and how it is spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import plotly.graph_objects as go
import streamlit as st

from charts import percentile_bands, tokens
from charts.palette import PALETTES, Mode
from pages.components import distribution_boxes, formatting, glossary, theme
from pages.queries import cache, series_colours
from pages.queries.target_history import THROUGHPUT, Gaps, target_history
from pages.queries.time_range import TimeRange
from pages.sections import model_header, model_providers
from pages.shell import sign_in, time_range
from stats.change_points import Shift
from stats.distribution import by_hour_of_week, histogram
from store.schema import Target


@dataclass(frozen=True)
class OverTime:
    """The four charts over time, and the change points of the first."""

    ttft: go.Figure
    tokens: go.Figure
    total: go.Figure
    speed: go.Figure
    changed: list[Shift]
    gaps: str


def over_time(url: str, target: Target, number: int) -> None:
    """The four charts over time, drawn anew when a live window has moved by a pixel."""
    began = cache.first_at(url).get(target.name, 0)

    @sign_in.fragment(run_every=time_range.pixel_s(began))
    def drawn() -> None:
        chosen = time_range.steady(began)
        edges = (chosen.since, chosen.until, chosen.is_live)
        found = _over_time(
            url, target.name, target.location, *edges, theme.mode(), time_range.zone(), number, _target=target
        )
        _draw(found, target.name, chosen.words)

    drawn()


# A figure is made once for all who look at the same, in one mode and zone, and is not copied for each of them.
@st.cache_resource(ttl=300, max_entries=48, show_spinner=False)
def _over_time(
    url: str, name: str, location: str, since: int, until: int, is_live: bool, mode: Mode, zone: str, number: int,
    *, _target: Target,
) -> OverTime:  # fmt: skip
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

    return OverTime(
        ttft=bands(profile, "ttft_ms", "ms", changed),
        tokens=tokens.per_day(history.tokens_per_day(zone), palette),
        total=bands(profile, "total_ms", "ms", history.shifts(profile, "total_ms")),
        speed=bands(THROUGHPUT, "tokens_per_second", "tok/s", history.shifts(THROUGHPUT, "tokens_per_second")),
        changed=changed,
        gaps=_gaps(history.gaps(), history.newest_note),
    )


def _gaps(found: Gaps | None, note: str) -> str:
    """Inter-token latency in a line."""
    if found is None:
        return ""
    term = glossary.term("inter-token latency", "Inter-token latency")
    return (
        f'<div class="u q">{term} p50 <b>{formatting.milliseconds(found.p50_ms)} ms</b>, p99 '
        f"<b>{formatting.milliseconds(found.p99_ms)} ms</b> · "
        f"{formatting.plural(found.count, 'throughput probe')}{note}</div>"
    )


def _draw(found: OverTime, name: str, when: str) -> None:
    wide, narrow = st.columns([2, 1])
    with wide, theme.card("ttft", "Time to first token", "median, p25 to p75, p5 to p95, slowest; failures below"):
        theme.chart(
            found.ttft,
            key="ttft_chart",
            alt=f"Time to first token of {name} {when}, in milliseconds, as percentile bands over time",
        )
    with narrow, theme.card("tokens", "Tokens per day", "used by the probes"):
        theme.chart(
            found.tokens, key="tokens_chart", alt=f"Prompt and completion tokens that probes of {name} used, by day"
        )
    if found.changed:
        st.html(model_providers.shifts_list("TTFT", "ms", found.changed, time_range.zone()))
    left, right = st.columns(2)
    with left, theme.card("total", "Total time", "to the last token of a ping"):
        theme.chart(
            found.total,
            key="total_chart",
            alt=f"Total time of replies of {name} {when}, in milliseconds, as percentile bands over time",
        )
    with right, theme.card("speed", "Output speed", "tokens per second after the first token, of throughput probes"):
        theme.chart(
            found.speed,
            key="speed_chart",
            alt=f"Output speed of {name} {when}, in tokens per second, as percentile bands over time",
        )
        if found.gaps:
            st.html(found.gaps)


@sign_in.fragment()
def spread_card(url: str, target: Target, number: int) -> None:
    """How what was measured is spread; another measure draws this card alone."""
    chosen = time_range.steady(cache.first_at(url).get(target.name, 0))
    with theme.card("spread", "How it is spread", "all good replies in this window; medians by the hour of the week"):
        measure = st.segmented_control(
            "Of",
            list(model_header.MEASURES),
            default=next(iter(model_header.MEASURES)),
            required=True,
            key="spread",
            bind="query-params",
            label_visibility="collapsed",
        )
        edges = (chosen.since, chosen.until, chosen.is_live)
        asked = (*edges, time_range.zone(), number, measure or next(iter(model_header.MEASURES)))
        bars, week = _spread(url, target.name, target.location, *asked, _target=target)
        left, right = st.columns(2, gap="large")
        left.html(bars)
        right.html(week)


@st.cache_data(ttl=300, max_entries=96, show_spinner=False)
def _spread(
    url: str, name: str, location: str, since: int, until: int, is_live: bool, zone: str, number: int, measure: str,
    *, _target: Target,
) -> tuple[str, str]:  # fmt: skip
    history = target_history(url, _target, TimeRange(since, until, is_live, ""), until)
    of, colour = model_header.MEASURES[measure], series_colours.variable(number)
    profile = of.profile or _target.profile
    week = by_hour_of_week(history.hours(profile), of.column, zone)
    return (
        distribution_boxes.histogram(histogram(history.samples(profile, of.column)), colour, of.unit, of.write),
        distribution_boxes.hours_of_week(week, colour, of.unit, of.write),
    )
