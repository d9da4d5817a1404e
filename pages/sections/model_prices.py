"""The model page's history: what ever changed is charted, what never did is a sentence and no flat line."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from charts import step_lines
from pages.components import formatting, theme
from pages.queries import cache
from pages.sections import model_providers
from pages.shell import time_range
from stats.catalog_changes import changes, steps
from store.clock import HOUR_MS, now_ms
from store.schema import Model

CHARTED = {
    "price": {"in": "usd_per_million_input", "out": "usd_per_million_output"},
    "context": {"context": "context_tokens"},
}


def card(name: str, versions: Sequence[Model]) -> None:
    """Price and context size of a model's versions, of which there is one at least, and each change in words."""
    zone = time_range.zone()
    moved = [what for what, facts in CHARTED.items() if any(_moved(versions, fact) for fact in facts.values())]
    with theme.card("history", "History", "price and context size, as they were told, with each change"):
        for what, place in zip(moved, st.columns(len(moved)) if moved else (), strict=True):
            with place:
                _chart(what, name, versions, zone)
        newest = max(versions, key=lambda model: model.valid_from)
        still = [_said(what, newest) for what in CHARTED if what not in moved]
        if still:
            since = formatting.day(min(model.valid_from for model in versions), zone)
            told = escape("; ".join(still))
            st.html(f'<div class="u">{told} <span class="q">unchanged since {since}, when first told</span></div>')
        found = changes(versions)
        if found:
            st.html(model_providers.changes_list(found, zone))


def _moved(versions: Sequence[Model], fact: str) -> bool:
    return len({getattr(model, fact) for model in versions}) > 1


def _said(what: str, model: Model) -> str:
    if what == "context":
        return f"{model.context_tokens:,d} tokens of context" if model.context_tokens else "context size not known"
    price_in, price_out = model.usd_per_million_input, model.usd_per_million_output
    if price_in is None and price_out is None:
        return "price not known"
    return f"{formatting.price(price_in)} in, {formatting.price(price_out)} out per million tokens"


def _chart(what: str, name: str, versions: Sequence[Model], zone: str) -> None:
    until = cache.rounded(now_ms(), HOUR_MS)  # as long as nothing changes it is the same chart
    lines = {label: steps(versions, fact, until) for label, fact in CHARTED[what].items()}
    unit, heading = {
        "price": ("USD per million", f"Price of {name} in USD per million tokens"),
        "context": ("tokens", f"Context size of {name} in tokens"),
    }[what]
    theme.chart(
        step_lines.step_lines(lines, theme.palette(), unit=unit, zone=zone),
        key=f"{what}_chart",
        alt=f"{heading} since it is known",
    )
