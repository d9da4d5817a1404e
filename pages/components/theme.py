"""The visual language in HTML: tokens as CSS variables, cards, strips and sparklines. Every text is escaped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from html import escape
from itertools import groupby
from pathlib import Path
from textwrap import shorten
from urllib.parse import quote

import plotly.graph_objects as go
import streamlit as st

from charts.palette import PALETTES, Mode, Palette
from pages.components import formatting
from stats.status_bars import Bar, State

LONGEST_ERROR = 120
BAR_WORDS: dict[State, str] = {
    "up": "up",
    "partly": "partly down",
    "down": "down",
    "not_counted": "not counted",
    "no_data": "no data",
}


def mode() -> Mode:
    """Light or dark, as the viewer's Streamlit shows it."""
    return "dark" if st.context.theme.type == "dark" else "light"


def palette() -> Palette:
    """The colours of the viewer's mode, for charts."""
    return PALETTES[mode()]


def _variables() -> str:
    # light-dark() follows the page's own colour scheme, so that a change of mode needs no rerun
    light, dark = PALETTES["light"], PALETTES["dark"]
    pairs = {
        field.name.replace("_", "-"): (getattr(light, field.name), getattr(dark, field.name))
        for field in fields(Palette)
        if field.name != "series"
    }
    pairs |= {f"series-{number}": pair for number, pair in enumerate(zip(light.series, dark.series, strict=True))}
    return "".join(f"--u-{name}:light-dark({bright},{dim});" for name, (bright, dim) in pairs.items())


ICON = Path(__file__).with_name("icon.svg")
LOGO = Path(__file__).with_name("logo.svg")
_CSS = Path(__file__).with_suffix(".css")

_TEXT_SHADES = (
    "--u-up-text:light-dark(#157a52,#3fbf8c);--u-down-text:light-dark(#b8324a,#ef6b7b);"
    "--u-not-counted-text:light-dark(#8a5d0c,#e2b04f);"
)
"""The state colours as text, darkened on light paper until small text has the contrast that WCAG AA asks for."""


def style() -> None:
    """Put the style sheet into the page, once a run."""
    toast = f".plotly-notifier{{color-scheme:{mode()}}}"  # Plotly puts it beside the app, which has the mode's scheme
    st.html(f"<style>.stApp,.plotly-notifier{{{_variables()}{_TEXT_SHADES}}}{toast}{_CSS.read_text()}</style>")


def swatch(colour: str) -> str:
    """The mark of a target: its colour, beside its name."""
    return f'<span class="u-swatch" style="background:{colour}"></span>'


def head(text: str, note: str = "") -> str:
    """The head of a page, and what it is for."""
    facts = f'<div class="facts"><span>{escape(note)}</span></div>' if note else ""
    return f'<div class="u u-head"><h1>{escape(text)}</h1>{facts}</div>'


def title(text: str, note: str = "") -> str:
    """The heading of a card, and what it shows in quieter words."""
    quiet = f"<span>{escape(note)}</span>" if note else ""
    return f'<div class="u u-title" style="margin:0">{escape(text)}{quiet}</div>'


@contextmanager
def card(key: str, heading: str, note: str = "") -> Iterator[None]:
    """A bordered part of a page, with its heading."""
    with st.container(border=True, key=f"card_{key}"):
        st.html(title(heading, note))
        yield


def _config(figure: go.Figure) -> dict[str, object]:
    """A drag zooms and a double click undoes it, so Plotly's own buttons would only cover what is charted. A drag in a
    chart of the page's window is undone by the page itself.
    """
    return {"displayModeBar": False, "doubleClick": False if figure.layout.meta else "reset"}


def chart(figure: go.Figure, *, key: str, alt: str) -> None:
    """A chart in its own colours; `alt` is what a screen reader says of it."""
    st.plotly_chart(figure, theme=None, config=_config(figure), key=key, alt=alt)


def strip(bars: Sequence[Bar], zone: str, *, big: bool = False, unit: str = "probe") -> str:
    """The bars of `stats.status_bars.strip`; on hover each says when it was and what was seen, in how many `unit`s."""
    said = Counter(bar.state for bar in bars)
    summary = ", ".join(f"{said[state]} {word}" for state, word in BAR_WORDS.items() if said[state])
    return (
        f'<div class="u-strip{" big" if big else ""}" role="img" aria-label="{len(bars)} bars: {summary}">'
        + "".join((_bar(bar, 1, zone, unit) for bar in bars) if big else _runs(bars, zone, unit))
        + "</div>"
    )


def _runs(bars: Sequence[Bar], zone: str, unit: str) -> Iterator[str]:
    """Bars of one state that follow each other as one element, which its style cuts into bars again: a page of many
    targets would be two thirds of a megabyte of them.
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
        together = Bar(
            run[0].since, run[-1].until, **seconds, probes=probes, seen=tuple(seen.most_common()), error=error
        )
        yield _bar(together, len(run), zone, unit)


def _bar(bar: Bar, count: int, zone: str, unit: str) -> str:
    said = f"{formatting.span(bar.since, bar.until, zone)}: {BAR_WORDS[bar.state]}"
    if bar.down_s and bar.state == "partly":
        said += f" ({formatting.duration(bar.down_s)} of {formatting.duration(bar.up_s + bar.down_s)})"
    if bar.probes:
        said += f", {formatting.plural(bar.probes, unit)}"
    if bar.seen and bar.state != "up":
        said += f": {', '.join(f'{formatting.count(count)} {formatting.outcome(name)}' for name, count in bar.seen)}"
        said += f"; the first said: {shorten(bar.error, LONGEST_ERROR, placeholder='…')}" if bar.error else ""
    share = f' style="--d:{max(18, round(bar.down_share * 100))}%"' if bar.state == "partly" else ""
    if count > 1:
        share = f' style="--n:{count}"'
    return f'<i class="{bar.state}"{share} data-tip="{escape(said, quote=True)}"></i>'


def legend() -> str:
    """What the bars mean."""
    marks = (
        ("up", "up"),
        ("down", "down"),
        ("not_counted", "not counted (rate limit, key, quota, error in Uptoken)"),
        ("no_data", "no data"),
    )
    return (
        '<div class="u u-legend q">'
        + "".join(f'<span><span class="u-strip"><i class="{state}"></i></span>{text}</span>' for state, text in marks)
        + "</div>"
    )


def spark(values: Sequence[float | None], colour: str, *, wide: bool = False) -> str:
    """A line without axes; a missing value breaks it. `colour` is what CSS takes."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    span = (high - low) or 1.0
    step = 104 / max(1, len(values) - 1)
    path, pen_up = [], True
    for number, value in enumerate(values):
        if value is None:
            pen_up = True
            continue
        # whole numbers, and a sign between them instead of a space: a page has hundreds of these lines
        path.append(f"{'M' if pen_up else 'L'}{number * step:.0f}-{1 + 98 * (value - low) / span:.0f}")
        pen_up = False
    # the page takes no inline SVG, but a mask: the line is cut out of a box that has the mode's own colour
    image = (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='-2 -106 108 112' preserveAspectRatio='none'><path"
        f" d='{''.join(path)}' fill='none' stroke='#000' stroke-width='1.6' vector-effect='non-scaling-stroke'"
        " stroke-linejoin='round'/></svg>"
    )
    encoded = quote(image, safe=" '=:/-")  # what may stand in a quoted url() needs no three letters each
    mask = f"url(&quot;data:image/svg+xml,{encoded}&quot;)"
    style = f"background:{colour};mask:{mask} 0 0/100% 100% no-repeat"
    return f'<div class="u-spark{" wide" if wide else ""}" style="{style}" aria-hidden="true"></div>'


MARKS = {"up": "●", "down": "▼", "not_counted": "◆", "stale": "○", "waiting": "○", "never": "○", "disabled": "○"}


def state(kind: str, text: str, seen: str = "") -> str:
    """A target's state or a probe's outcome: a mark that differs in shape, the word, and the colour. `seen` is shown on
    hover, on touch and on focus.
    """
    said = f'<span class="u-state {kind}">{MARKS[kind]} {escape(text)}</span>'
    return with_tip(said, seen) if seen else said


def with_tip(markup: str, said: str) -> str:
    """HTML that says more on hover, on touch and on focus."""
    tip = escape(said, quote=True)
    return f'<button type="button" class="u-seen" aria-description="{tip}" data-tip="{tip}">{markup}</button>'
