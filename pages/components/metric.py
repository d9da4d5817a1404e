"""The numbers on top of a page: each a label, a number and its unit, and a quieter line that says what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import streamlit as st
from markupsafe import Markup

from pages.components import glossary
from pages.components.sparkline import sparkline
from pages.components.states import explained


@dataclass(frozen=True)
class Metric:
    """One number. `term` is the label's entry in the glossary, `help` what else there is to say of this one."""

    label: str
    number: str
    unit: str
    note: str
    term: str | None = None
    help: str | None = None
    trend: Sequence[float | None] = ()
    colour: str = "var(--u-accent)"
    tone: Literal["", "up", "down", "degraded", "not_counted"] = ""


def metrics(items: Sequence[Metric]) -> None:
    """Draw them beside each other, or below each other where there is no room."""
    st.html(Markup('<div class="u u-metrics">{}</div>').format(Markup().join(map(_card, items))))


def _card(item: Metric) -> Markup:
    explanation = " ".join(part for part in (glossary.DEFINITIONS.get(item.term or ""), item.help) if part)
    return Markup(
        '<div class="u-metric {}" data-label="{}"><div class="label">{}</div><div class="number">{}{}</div>'
        '<div class="q">{}</div>{}</div>'
    ).format(
        item.tone,
        item.label,
        explained(item.label, explanation) if explanation else item.label,
        item.number,
        Markup(" <small>{}</small>").format(item.unit) if item.unit else "",
        item.note,
        sparkline(item.trend, item.colour, wide=True),
    )
