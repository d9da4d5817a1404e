"""Whether targets that claim the same model serve the same one: the distance between their first tokens."""

from __future__ import annotations

import streamlit as st

from pages.components import theme
from pages.components.table import bold, quiet, table
from pages.queries import identity
from store.schema import Target

_NOTE = (
    "Median distance in nats; on the diagonal, between a target's own checks. Up to about 0.1: another engine, kernel "
    "or hardware, or a nearly lossless requantization. Above 0.5: other weights or another prompt. Only models with "
    "the same tokens can be compared."
)


def distances_card(url: str, targets: list[Target]) -> None:
    """One row and one column per target; nothing unless two of them have a reference."""
    found = identity.distances(url, tuple(targets))
    if found is None:
        return
    rows = [
        [bold(name), *(_cell(value, is_own=number == place) for place, value in enumerate(values))]
        for number, (name, values) in enumerate(zip(found.names, found.rows, strict=True))
    ]
    with theme.card("identity_distances", "Identity", "the distance between their first tokens after the same prompts"):
        st.html(table(["", *found.names], rows, note=_NOTE, region="Distances"))


def _cell(value: float | None, *, is_own: bool) -> str | None:
    if value is None:
        return None
    return quiet(f"{value:.2f}") if is_own else f"{value:.2f}"
