"""The Capabilities card of the model page: what the catalog claims, and what tests found."""

from __future__ import annotations

import streamlit as st
from markupsafe import Markup

from pages.components import formatting, theme
from pages.components.states import state
from pages.components.table import NOTHING, Cell, Column, bold, moment, quiet, table
from pages.queries import cache
from pages.shell import sign_in, time_range
from stats.capabilities import CAPABILITIES, CapabilityState, capability_states
from store.clock import now_ms
from store.schema import Target

HOW = (
    "Not tested. Set capabilities = true in the target's [[target]] section to test daily what the catalog claims: "
    "13 short requests, dialects chat and azure only."
)
NOTE = "A result changes when two consecutive tests agree. Claimed: by the catalog; a dash where it states nothing."


@sign_in.fragment(run_every="60s")
def capabilities_card(url: str, target: Target) -> None:
    """One card; a line of how to switch the tests on for a target without any."""
    states = capability_states(cache.capability_tests(url, (target.name,), target.location))
    with theme.card("capabilities", "Capabilities", "what the catalog claims, and what tests found"):
        st.html(capabilities(states, now_ms(), time_range.zone()) if states else NOTHING.format(HOW))


def capabilities(states: list[CapabilityState], now: int, zone: str) -> Markup:
    """One row a capability, and a provider where responses name it."""
    has_providers = any(one.provider for one in states)
    columns: list[str | Column] = [
        "Capability",
        "Claimed",
        "Tested",
        "Since",
        "Held in last 30",
        "Last test",
        Column("", "left wrap"),
    ]
    columns[:0] = ["Provider"] if has_providers else []

    def cells(one: CapabilityState) -> list[str | Cell | None]:
        return [
            *([bold(one.provider or "")] if has_providers else []),
            CAPABILITIES[one.capability],
            _claim(one.claimed),
            _status(one),
            None if one.since is None else formatting.clock(one.since, zone, now),
            formatting.share_of(one.held, one.tries) if one.tries else None,
            moment(one.tested_at, now, zone),
            quiet(one.reason),
        ]

    return table(columns, map(cells, states), region="Capabilities", most_px=440, note=NOTE)


def _claim(claimed: bool | None) -> str | None:
    return None if claimed is None else "yes" if claimed else "no"


def _status(one: CapabilityState) -> Markup:
    """In the colour of what is down only where a claim does not hold."""
    if one.status == "holds":
        return state("up", "holds")
    if one.status == "fails":
        return state("down" if one.claimed else "not_counted", "fails")
    return state("no_data", "not tested")
