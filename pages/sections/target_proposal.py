"""What a command proposes for a new target, in the page's words: how its one probe ended, and what a day costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from pages.components.states import state

INTERVALS = ("default", "30s", "1m", "5m", "15m", "30m", "1h")

_FIELDS = {
    "--api-key-env": "Key variable",
    "--base-url": "Base URL",
    "--model": "Model",
    "--name": "Name",
    "--every": "Interval",
}
"""The page's labels for the options that errors name."""


def in_page_words(text: str) -> str:
    """A command's sentence, with the page's labels instead of options."""
    for option, label in _FIELDS.items():
        text = text.replace(f"with {option}", f"under {label}").replace(option, label)
    return text


def tested_state(test: Mapping[str, Any]) -> Markup:
    """A target's state by its probe, in the command's words."""
    kind = "up" if test["outcome"] == "ok" else "not_counted" if test["is_reached"] else "down"
    return state("waiting" if test["waits_for_key"] else kind, test["words"])


def day_in_words(day: Mapping[str, Any]) -> str:
    """`1,464 probes a day, at most $0.0122`."""
    costs = f"at most {day['words']}" if day["words"].startswith("$") else day["words"]
    return f"{day['probes']:,.0f} probes a day, {costs}"
