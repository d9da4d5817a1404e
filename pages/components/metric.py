"""The numbers on top of a page: each a label, a number and its unit, and a quieter line that says what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import streamlit as st

from pages.components import glossary, theme


@dataclass(frozen=True)
class Metric:
    """One number. `word` is the label's word in the glossary, `help` what else there is to say of this one."""

    label: str
    number: str
    unit: str
    note: str
    word: str | None = None
    help: str | None = None
    course: Sequence[float | None] = ()
    colour: str = "var(--u-accent)"
    tone: Literal["", "up", "down", "not_counted"] = ""


def metrics(items: Sequence[Metric]) -> None:
    """Draw them beside each other, or below each other where there is no room."""
    st.html(f'<div class="u u-metrics">{"".join(_card(item) for item in items)}</div>')


def _card(item: Metric) -> str:
    explanation = " ".join(part for part in (glossary.WORDS.get(item.word or ""), item.help) if part)
    label = glossary.explained(item.label, explanation) if explanation else escape(item.label)
    unit = f" <small>{escape(item.unit)}</small>" if item.unit else ""
    spark = theme.spark(item.course, item.colour, wide=True)
    return (
        f'<div class="u-metric {item.tone}" data-label="{escape(item.label, quote=True)}">'
        f'<div class="label">{label}</div>'
        f'<div class="number">{escape(item.number)}{unit}</div><div class="q">{escape(item.note)}</div>{spark}</div>'
    )
