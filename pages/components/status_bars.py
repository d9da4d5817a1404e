"""Status bars, as HTML: on hover each says when it was and what was seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from textwrap import shorten

from markupsafe import Markup

from pages.components import formatting
from pages.components.states import WORDS
from stats.status_bars import Bar, State

LONGEST_ERROR = 120
STATES: tuple[State, ...] = ("up", "partly", "down", "not_counted", "paused", "no_data")


def status_bars(bars: Sequence[Bar], zone: str, *, big: bool = False, unit: str = "probe") -> Markup:
    """A row of bars; `unit` is what each counts."""
    counts = Counter(bar.state for bar in bars)
    summary = ", ".join(f"{counts[state]} {WORDS[state]}" for state in STATES if counts[state])
    elements = (_bar(bar, 1, zone, unit) for bar in bars) if big else _merged(bars, zone, unit)
    return Markup('<div class="u-strip{}" role="img" aria-label="{} bars: {}">{}</div>').format(
        " big" if big else "", len(bars), summary, Markup().join(elements)
    )


def _merged(bars: Sequence[Bar], zone: str, unit: str) -> Iterator[Markup]:
    """Adjacent bars of one state as one element, which its style cuts into bars again: a page of many targets would be
    two thirds of a megabyte of them.
    """
    for state, alike in groupby(bars, key=lambda bar: bar.state):
        run = list(alike)
        if state == "partly":  # each has its own height
            yield from (_bar(bar, 1, zone, unit) for bar in run)
            continue
        seconds = {name: sum(getattr(bar, name) for bar in run) for name in ("up_s", "down_s", "not_counted_s")}
        probes, seen = sum(bar.probes for bar in run), Counter[str]()
        for bar in run:
            seen.update(dict(bar.seen))
        error = next((bar.error for bar in run if bar.error), None)
        merged = Bar(run[0].since, run[-1].until, **seconds, probes=probes, seen=tuple(seen.most_common()), error=error)
        yield _bar(merged, len(run), zone, unit)


def _bar(bar: Bar, count: int, zone: str, unit: str) -> Markup:
    style = Markup(' style="--d:{}%"').format(max(18, round(bar.down_share * 100))) if bar.state == "partly" else ""
    if count > 1:
        style = Markup(' style="--n:{}"').format(count)
    return Markup('<i class="{}"{} data-tip="{}"></i>').format(bar.state, style, _describe(bar, zone, unit))


def _describe(bar: Bar, zone: str, unit: str) -> str:
    text = f"{formatting.span(bar.since, bar.until, zone)}: {WORDS[bar.state]}"
    if bar.down_s and bar.state == "partly":
        text += f" ({formatting.duration(bar.down_s)} of {formatting.duration(bar.up_s + bar.down_s)})"
    if bar.probes:
        text += f", {formatting.plural(bar.probes, unit)}"
    if bar.seen and bar.state not in ("up", "paused"):
        text += f": {', '.join(f'{formatting.count(count)} {formatting.outcome(name)}' for name, count in bar.seen)}"
        text += f"; first error: {shorten(bar.error, LONGEST_ERROR, placeholder='…')}" if bar.error else ""
    return text


def legend() -> Markup:
    """What the bars mean."""
    causes = {"not_counted": " (rate limit, key, quota, error in Uptoken)", "paused": " (maintenance)"}
    mark = Markup('<span><span class="u-strip"><i class="{0}"></i></span>{1}</span>')
    marks = (mark.format(state, WORDS[state] + causes.get(state, "")) for state in STATES if state != "partly")
    return Markup('<div class="u u-legend q">{}</div>').format(Markup().join(marks))
