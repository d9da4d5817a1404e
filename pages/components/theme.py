"""The visual language: colours as CSS variables, page heads, cards and charts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import plotly.graph_objects as go
import streamlit as st
from markupsafe import Markup

from charts.palette import PALETTES, Mode, Palette


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


def style() -> None:
    """Put the style sheet into the page, once a run."""
    # Plotly's toasts and Streamlit's dialogs are put beside the app, which has the mode's scheme
    beside = ".plotly-notifier,[data-testid=stDialog]"
    scheme = f"{beside}{{color-scheme:{mode()}}}"
    st.html(f"<style>.stApp,{beside}{{{_variables()}}}{scheme}{_CSS.read_text()}</style>")


def swatch(colour: str) -> Markup:
    """The mark of a target: its colour, beside its name."""
    return Markup('<span class="u-swatch" style="background:{}"></span>').format(colour)


def head(text: str, note: str = "") -> Markup:
    """The head of a page, and what it is for."""
    facts = Markup('<div class="facts"><span>{}</span></div>').format(note) if note else ""
    return Markup('<div class="u u-head"><h1>{}</h1>{}</div>').format(text, facts)


def title(text: str, note: str = "", charts: Sequence[str] = (), figure: str = "") -> Markup:
    """The heading of a card and a quieter note. `charts`: the keys of charts that get a button to save them; `figure`:
    the title under which the card itself, drawn in HTML, is saved.
    """
    quiet = Markup("<span>{}</span>").format(note) if note else ""
    save = Markup().join(_SAVE.format("chart", key) for key in charts)
    save += _SAVE.format("figure", figure) if figure else Markup()
    return Markup('<div class="u u-title" style="margin:0">{}{}{}</div>').format(save, text, quiet)


_SAVE = Markup(
    '<button type="button" class="u-png" data-{}="{}" aria-label="Save this chart as PNG" '
    'data-tip="Save this chart as PNG, with its source and range">PNG</button>'
)


@contextmanager
def card(key: str, heading: str, note: str = "", *, charts: Sequence[str] = (), figure: str = "") -> Iterator[None]:
    """A bordered part of a page with a heading. `charts` and `figure`: what gets a button to save it, as in `title`."""
    with st.container(border=True, key=f"card_{key}"):
        st.html(title(heading, note, charts, figure))
        yield


def _config(figure: go.Figure) -> dict[str, object]:
    """A drag zooms and a double click undoes it, so Plotly's own buttons would only cover what is charted. A drag in a
    chart of the page's window is undone by the page itself.
    """
    return {"displayModeBar": False, "doubleClick": False if figure.layout.meta else "reset"}


def chart(figure: go.Figure, *, key: str, alt: str) -> None:
    """A chart in its own colours; `alt` is its description for a screen reader."""
    st.plotly_chart(figure, theme=None, config=_config(figure), key=key, alt=alt)
