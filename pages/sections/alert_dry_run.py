"""What an alert would have sent over the past, as its thresholds are dragged, and its TOML."""

from __future__ import annotations

import json

import streamlit as st
from markupsafe import Markup

from pages.components import code_block, formatting, theme
from pages.components.number_inputs import numeric
from pages.components.table import Column, bold, quiet, table
from pages.queries import cache
from pages.queries.dry_run import DAYS, LONGEST_ROW, DryRun, dry_run
from pages.sections import overview_events
from pages.shell import sign_in, time_range
from stats.events import Event
from store.clock import HOUR_MS, now_ms
from store.schema import Target

SHOWN = 50


@sign_in.fragment()
def dry_run_card(url: str) -> None:
    """Its controls draw this card alone."""
    targets = [target for target in cache.targets(url) if target.state != "removed"]
    with theme.card("dry_run", "Dry run", "what an alert would have sent, by the probes that are recorded"):
        if not targets:
            st.html('<div class="u q">No target is configured yet.</div>')
            return
        target, after, clear_after = _controls(targets)
        now, zone = now_ms(), time_range.zone()
        found = dry_run(url, target, after, clear_after, now)
        st.html(sentence(found, now, zone) + moments(found, target, now, zone))
        code_block.show(rule_toml(target.name, after, clear_after), "toml")
        st.caption(
            "With your own channel in `to`. Maintenance and outages of the collector's own network count as they did; "
            "silences do not. Only `down` can be tried: the other kinds look at more than failures."
        )


def _controls(targets: list[Target]) -> tuple[Target, int, int]:
    names = sorted({target.name for target in targets})
    which, bad, good = st.columns([2, 1, 1], vertical_alignment="bottom")
    with which:
        name = st.selectbox("Target", names, key="alert_target", bind="query-params")
        places = sorted({target.location for target in targets if target.name == name})
        place = places[0]
        if len(places) > 1:
            place = st.selectbox("Location", places, key="alert_location", bind="query-params")
    with bad:
        after = numeric(st.slider, "Failed slots in a row (after)", 1, LONGEST_ROW, 2, key="alert_after")
    with good:
        clear_after = numeric(st.slider, "Good slots in a row (clear_after)", 1, LONGEST_ROW, 2, key="alert_clear")
    target = next(target for target in targets if (target.name, target.location) == (name, place))
    return target, int(after), int(clear_after)


def sentence(found: DryRun, now: int, zone: str) -> Markup:
    """How many messages, and of which time."""
    if found.is_cut:
        when = f"since {formatting.clock(found.since, zone, now)}; it failed too often to look further back"
    elif now - found.since < DAYS * 24 * HOUR_MS - HOUR_MS:
        when = f"since the first probe, {formatting.ago(found.since, now)}"
    else:
        when = f"in the last {DAYS} days"
    said = bold(formatting.plural(len(found.messages), "message"))
    return Markup('<div class="u" role="status">This rule would have sent {} {}.</div>').format(said, when)


def moments(found: DryRun, target: Target, now: int, zone: str) -> Markup:
    """When, linked to the moment on the model's page, and what; the newest first."""
    if not found.messages:
        return Markup()
    rows = []
    for message in reversed(found.messages[-SHOWN:]):
        event = Event("down", message.at, target.name, target.location, message.text)
        when = Markup('<a href="{}" target="_self">{}</a>')
        rows.append(
            (when.format(overview_events.link(event), formatting.clock(message.at, zone, now)), quiet(message.text))
        )
    more = f"The newest {SHOWN} of {formatting.count(len(found.messages))}." if len(found.messages) > SHOWN else ""
    return table((Column("When", "left"), Column("Message", "left wrap")), rows, note=more, region="Messages")


def rule_toml(name: str, after: int, clear_after: int) -> str:
    """The `[[alert]]`, as `targets.toml` has it."""
    quoted = json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007f")
    return (
        f'[[alert]]\non = ["down", "recovered"]\ntargets = [{quoted}]\nto = ["ops"]\n'
        f"after = {after}\nclear_after = {clear_after}"
    )
