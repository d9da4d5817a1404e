"""A target's state in words, the same on the overview and in the header of its page."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Literal

from markupsafe import Markup

from pages.components import formatting, states
from pages.components.table import quiet
from stats.incidents import TargetState
from store.schema import Probe, Target

RESTED = ("not_counted", "paused", "stale", "never")
"""States that mean no more than that a resting target is not probed."""


def why_key(target: Target, about: Literal["state", "uptime"]) -> str:
    """The key of what a click on a target's state or uptime explains (`pages.sections.why`)."""
    return json.dumps([target.name, target.location, about])


def badge(
    state: TargetState,
    target: Target,
    newest: Probe | None,
    rest: tuple[int, str] | None,
    since: str,
    now: int,
    zone: str,
) -> Markup:
    """The state with its mark. `rest`: until when the target rests, and why. `since` is added to a state with a known
    beginning.
    """
    resting = f"resting until {formatting.until(rest[0], zone, now)}" if rest is not None else ""
    if rest is not None and state.status in RESTED:
        return states.state("not_counted", resting, rest[1], why_key(target, "state"))
    text = {
        "not_counted": formatting.outcome(state.outcome),
        "stale": f"no probe since {formatting.clock(state.since or now, zone, now)}",
        "waiting": formatting.missing_key(target.api_key_env),
    }.get(state.status, states.WORDS[state.status])
    if state.status in ("up", "down", "not_counted") and state.since is not None:
        text += since
    shown = states.state(state.status, text, describe_newest(state, newest), why_key(target, "state"))
    return shown + states.with_tip(quiet(f", {resting}"), rest[1]) if rest is not None else shown


def describe_newest(state: TargetState, newest: Probe | None) -> str:
    """Why it is degraded, and the newest probe's result if the state is based on it."""
    if newest is None or newest.outcome != state.outcome:
        return state.note
    seen = f"Newest probe: {formatting.outcome(newest.outcome)}. {formatting.describe_probe(asdict(newest))}"
    return f"{state.note} {seen}" if state.note else seen
