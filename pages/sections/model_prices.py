"""Price and context size over time: charted where they changed, a sentence where they never did."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from markupsafe import Markup

from charts import step_lines
from pages.components import formatting, theme
from pages.components.table import NOTHING, quiet
from pages.queries import cache
from pages.shell import time_range
from stats.catalog_changes import Change, changes, steps
from store.clock import HOUR_MS, now_ms
from store.schema import Model

CHARTED = {
    "price": {"in": "usd_per_million_input", "out": "usd_per_million_output"},
    "context": {"context": "context_tokens"},
}
MOST_CHANGES = 20


def history_card(name: str, versions: Sequence[Model]) -> None:
    """Price and context size of a model's versions, of which there is one at least, and each change in words."""
    zone = time_range.zone()
    moved = [what for what, facts in CHARTED.items() if any(_moved(versions, fact) for fact in facts.values())]
    charts = [f"{what}_chart" for what in moved]
    with theme.card("history", "History", "price and context size as published, with each change", charts=charts):
        for what, place in zip(moved, st.columns(len(moved)) if moved else (), strict=True):
            with place:
                _chart(what, name, versions, zone)
        newest = max(versions, key=lambda model: model.valid_from)
        constant = [_describe_fact(what, newest) for what in CHARTED if what not in moved]
        if constant:
            since = formatting.day(min(model.valid_from for model in versions), zone)
            note = quiet(f"unchanged since {since}, when it was first recorded")
            st.html(Markup('<div class="u">{} {}</div>').format("; ".join(constant), note))
        if changed := changes(versions):
            st.html(changes_list(changed, zone))


def _moved(versions: Sequence[Model], fact: str) -> bool:
    return len({getattr(model, fact) for model in versions}) > 1


def _describe_fact(what: str, model: Model) -> str:
    if what == "price":
        return formatting.prices_in_words(model)
    size = model.context_tokens
    return f"{formatting.count(size)} tokens of context" if size else "context size unknown"


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
        alt=f"{heading} since it was first recorded",
    )


def changes_list(changed: list[Change], zone: str) -> Markup:
    """Each change in words, newest first."""
    lines = [_describe_change(change, zone) for change in changed[:MOST_CHANGES]]
    lines += [f"and {len(changed) - MOST_CHANGES} more"] if len(changed) > MOST_CHANGES else []
    return NOTHING.format(Markup().join(Markup("<div>{}</div>").format(line) for line in lines))


def _describe_change(change: Change, zone: str) -> str:
    when = formatting.clock(change.at, zone, 0)
    if change.what == "listed":
        return f"{when}: {'listed again' if change.after == 'yes' else 'no longer listed'}"
    if change.what in ("parameters", "other prices"):
        return f"{when}: {change.what} changed"
    before, after = (
        formatting.price(value) if value and change.what.startswith("price") else value or formatting.UNKNOWN
        for value in (change.before, change.after)
    )
    return f"{when}: {change.what} changed from {before} to {after}"
