"""What changed in a catalog, and when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from store.schema import Model

WATCHED = {
    "context_tokens": "context",
    "max_output_tokens": "max output",
    "usd_per_million_input": "price in",
    "usd_per_million_output": "price out",
    "usd_per_request": "price per request",
    "name": "name",
    "supported_parameters": "parameters",
    "more_prices": "other prices",
    "expires_at": "last day",
}


@dataclass(frozen=True)
class Change:
    """One fact that changed at a moment (milliseconds UTC): before and after, null where it is not stated."""

    at: int
    what: str
    before: str | None
    after: str | None


def changes(versions: Iterable[Model]) -> list[Change]:
    """What changed between the versions of one model from one source, newest first. A model that was removed and
    came back is a change of `listed`.
    """
    ordered = sorted(versions, key=lambda model: model.valid_from)
    listed: list[Change] = []
    for before, after in pairwise(ordered):
        if before.valid_to is not None and before.valid_to < after.valid_from:
            listed.append(Change(before.valid_to, "listed", "yes", "no"))
            listed.append(Change(after.valid_from, "listed", "no", "yes"))
        for name, word in WATCHED.items():
            old, new = getattr(before, name), getattr(after, name)
            if old != new:
                listed.append(Change(after.valid_from, word, _text(name, old), _text(name, new)))
    if ordered and ordered[-1].valid_to is not None:
        listed.append(Change(ordered[-1].valid_to, "listed", "yes", "no"))
    return sorted(listed, key=lambda change: change.at, reverse=True)


def steps(versions: Sequence[Model], name: str, until: int) -> list[tuple[int, float | None]]:
    """A number of the catalog as a step line: moments (milliseconds UTC) and the value from then on, null while the
    model was not listed or the value is not a number (`varies`); the last one is carried to `until`.
    """
    line: list[tuple[int, float | None]] = []
    for model in sorted(versions, key=lambda version: version.valid_from):
        if line and line[-1][1] is None:
            if line[-1][0] < model.valid_from:
                line.append((model.valid_from, None))
            else:  # one version follows the other: nothing to break the line for
                line.pop()
        value = _number(getattr(model, name))
        line.append((model.valid_from, value))
        line.append((model.valid_to if model.valid_to is not None else until, value))
        if model.valid_to is not None:
            line.append((model.valid_to, None))
    return line


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None


def _text(name: str, value: object) -> str | None:
    if name == "expires_at" and isinstance(value, int):
        return f"{datetime.fromtimestamp(value / 1_000, UTC):%Y-%m-%d}"
    return None if value is None else f"{value:,d}" if isinstance(value, int) else str(value)
