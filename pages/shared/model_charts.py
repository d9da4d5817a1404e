"""The model page's charts of a time window: what was measured over time, and how it is spread."""

from __future__ import annotations

from typing import Literal

import plotly.graph_objects as go
import streamlit as st

from charts import spread, times, tokens
from pages.shared import looks, model_more, model_parts, window
from pages.shared.past import THROUGHPUT, Past, past_of
from stats.distribution import by_hour_of_week, histogram
from stats.shifts import Shift
from store.rows import Target


def over_time(url: str, target: Target, number: int) -> None:
    """The four charts over time, drawn anew when a live window has moved by a pixel."""

    @st.fragment(run_every=window.pixel_s())
    def drawn() -> None:
        chosen = window.current()
        _over_time(past_of(url, target, chosen, window.now_ms()), number, chosen.words)

    drawn()


def _over_time(past: Past, number: int, when: str) -> None:
    target, name, zone, palette = past.target, past.target.name, window.zone(), looks.palette()
    changed = past.shifts(target.profile, "ttft_ms")
    wide, narrow = st.columns([2, 1])
    with wide, looks.card("ttft", "Time to first token", "median, p25 to p75, p5 to p95, slowest; failures below"):
        looks.chart(
            _bands(past, target.profile, "ttft_ms", "ms", number, changed),
            key="ttft_chart",
            alt=f"Time to first token of {name} {when}, in milliseconds, as percentile bands over time",
        )
    with narrow, looks.card("tokens", "Tokens per day", "used by the probes"):
        looks.chart(
            tokens.per_day(past.tokens_per_day(zone), palette),
            key="tokens_chart",
            alt=f"Prompt and completion tokens that probes of {name} used, by day",
        )
    if changed:
        st.html(model_more.shifts_list("TTFT", "ms", changed, zone))
    left, right = st.columns(2)
    with left, looks.card("total", "Total time", "to the last token of a ping"):
        shifted = past.shifts(target.profile, "total_ms")
        looks.chart(
            _bands(past, target.profile, "total_ms", "ms", number, shifted),
            key="total_chart",
            alt=f"Total time of replies of {name} {when}, in milliseconds, as percentile bands over time",
        )
    with right, looks.card("speed", "Output speed", "tokens per second after the first token, of throughput probes"):
        shifted = past.shifts(THROUGHPUT, "tokens_per_second")
        looks.chart(
            _bands(past, THROUGHPUT, "tokens_per_second", "tok/s", number, shifted),
            key="speed_chart",
            alt=f"Output speed of {name} {when}, in tokens per second, as percentile bands over time",
        )


def _bands(past: Past, profile: str, column: str, unit: str, number: int, changed: list[Shift]) -> go.Figure:
    """The percentile bands of one measured column, with its change points, its worst, and failures on the floor."""
    palette = looks.palette()
    worst: Literal["max", "min"] = "min" if column == "tokens_per_second" else "max"
    return times.bands(
        past.bands(profile, column),
        past.failures(profile),
        past.charted_since,
        past.until,
        palette,
        unit=unit,
        zone=window.zone(),
        colour=palette.of(number),
        shifts=changed,
        worst=worst,
    )


@st.fragment
def spread_card(url: str, target: Target, number: int) -> None:
    """How what was measured is spread; another measure draws this card alone."""
    chosen = window.current()
    past = past_of(url, target, chosen, window.now_ms())
    palette, colour = looks.palette(), looks.palette().of(number)
    with looks.card(
        "spread", "How it is spread", "of all good replies in this window; medians by the hour of the week"
    ):
        measure = st.segmented_control(
            "Of",
            list(model_parts.MEASURES),
            default=next(iter(model_parts.MEASURES)),
            required=True,
            key="spread",
            bind="query-params",
            label_visibility="collapsed",
        )
        of = model_parts.MEASURES[measure or next(iter(model_parts.MEASURES))]
        profile = of.profile or target.profile
        left, right = st.columns(2)
        with left:
            looks.chart(
                spread.histogram(histogram(past.counts(profile, of.column)), palette, unit=of.unit, colour=colour),
                key="histogram_chart",
                alt=f"How often which {measure} of {target.name} was measured {chosen.words}",
            )
        with right:
            by_hour = by_hour_of_week(past.hour_rows(profile), of.column, window.zone())
            looks.chart(
                spread.hours_of_week(by_hour, palette, unit=of.unit, colour=colour),
                key="week_chart",
                alt=f"Median {measure} of {target.name} by weekday and hour of the day",
            )
