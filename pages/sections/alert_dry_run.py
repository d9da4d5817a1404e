"""The dry run of an alert: the messages it would have sent, as its thresholds are dragged, and its TOML."""

from __future__ import annotations

import json

import streamlit as st
from markupsafe import Markup

from pages.components import code_block, formatting, theme
from pages.components.number_inputs import numeric
from pages.components.table import Column, bold, quiet, table
from pages.queries import cache
from pages.queries.dry_run import DAYS, IN_A_ROW, KINDS, LONGEST_ROW, DryRun, Trial, dry_run
from pages.sections import overview_events
from pages.shell import sign_in, time_range
from stats.events import Event
from store.clock import HOUR_MS, now_ms
from store.schema import Target

SHOWN = 50


NO_TRIAL = (
    "`relay_errors` has no dry run: a month of relayed requests is too much to read again. `recovered` is sent "
    "whenever one of these ends."
)
NOTES = {
    "down": "Maintenance and outages of the collector's own network count as they did then; silences are ignored.",
    "degraded": "Set `ttft_max` in the target's `[[target]]`. With 0, only its usual TTFT counts: the p95 of 15 "
    "minutes above 3 times the median of the same hour over 7 days.",
    "slo_burn": "Set `slo` in the target's `[[target]]`.",
    "certificate": "Uses the current certificate: earlier ones are not recorded.",
    "budget": "Uses each day's final total, at the time it was last written: the moments in between are not recorded.",
    "collector_stopped": "At the time when the collector ran again and noticed the gap.",
}


@sign_in.fragment()
def dry_run_card(url: str) -> None:
    """The card, as a fragment: its controls redraw only this card."""
    targets = [target for target in cache.targets(url) if target.state != "removed"]
    with theme.card("dry_run", "Dry run", "the messages an alert would have sent, from recorded data"):
        if not targets:
            st.html('<div class="u q">No target is configured yet.</div>')
            return
        target, trial = _controls(targets)
        now, zone = now_ms(), time_range.zone()
        found = dry_run(url, target, trial, now)
        st.html(sentence(found, now, zone) + moments(found, target, now, zone))
        code_block.show(rule_toml(target.name, trial), "toml")
        note = NOTES.get(trial.kind, "")
        st.caption(f"Replace `ops` with your channel. {note}{' ' if note else ''}{NO_TRIAL}")


def _controls(targets: list[Target]) -> tuple[Target, Trial]:
    names = sorted({target.name for target in targets})
    which, what, bad, good = st.columns([5, 5, 4, 4], vertical_alignment="bottom")
    with which:
        name = st.selectbox("Target", names, key="alert_target", bind="query-params")
        places = sorted({target.location for target in targets if target.name == name})
        place = places[0]
        if len(places) > 1:
            place = st.selectbox("Location", places, key="alert_location", bind="query-params")
    target = next(target for target in targets if (target.name, target.location) == (name, place))
    with what:
        kind = st.selectbox("Kind", KINDS, key="alert_kind", bind="query-params")
    after = clear_after = 2
    ttft_max_s = slo = None
    if kind in IN_A_ROW:
        with bad:
            after = int(numeric(st.slider, "Bad in a row (after)", 1, LONGEST_ROW, 2, key="alert_after"))
        with good:
            clear_after = int(numeric(st.slider, "Good in a row (clear_after)", 1, LONGEST_ROW, 2, key="alert_clear"))
    if kind == "degraded":
        chosen_s = numeric(
            st.slider, "ttft_max, seconds", 0.0, 30.0, min(30.0, target.ttft_max_s or 2.0), 0.1, key="alert_ttft_max"
        )
        ttft_max_s = chosen_s or None
    if kind == "slo_burn":
        with bad:
            slo = numeric(
                st.slider, "slo, percent", 50.0, 99.99, min(99.99, max(50.0, target.slo or 99.5)), 0.01, key="alert_slo"
            )
    return target, Trial(kind, after, clear_after, ttft_max_s, slo)


def sentence(found: DryRun, now: int, zone: str) -> Markup:
    """How many messages, and over which time."""
    if found.is_cut:
        when = f"since {formatting.clock(found.since, zone, now)}; it was bad too often to look further back"
    elif now - found.since < DAYS * 24 * HOUR_MS - HOUR_MS:
        when = f"since the first probe, {formatting.ago(found.since, now)}"
    else:
        when = f"in the last {DAYS} days"
    said = bold(formatting.plural(len(found.messages), "message"))
    return Markup('<div class="u" role="status">This rule would have sent {} {}.</div>').format(said, when)


def moments(found: DryRun, target: Target, now: int, zone: str) -> Markup:
    """Each message and its time, which links to that moment on the model's page; the newest first."""
    if not found.messages:
        return Markup()
    rows = []
    for message in reversed(found.messages[-SHOWN:]):
        event = Event("alert", message.at, target.name, target.location, message.text)
        when = Markup('<a href="{}" target="_self">{}</a>')
        rows.append(
            (when.format(overview_events.link(event), formatting.clock(message.at, zone, now)), quiet(message.text))
        )
    more = f"The newest {SHOWN} of {formatting.count(len(found.messages))}." if len(found.messages) > SHOWN else ""
    return table((Column("When", "left"), Column("Message", "left wrap")), rows, note=more, region="Messages")


def rule_toml(name: str, trial: Trial) -> str:
    """The `[[alert]]` as TOML."""
    quoted = json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007f")
    kinds = '["down", "recovered"]' if trial.kind == "down" else f'["{trial.kind}"]'
    text = f'[[alert]]\non = {kinds}\ntargets = [{quoted}]\nto = ["ops"]'
    if trial.kind in IN_A_ROW:
        text += f"\nafter = {trial.after}\nclear_after = {trial.clear_after}"
    return text
