"""Why a target is in its state, and what its uptime is made of: a dialog, read from the store when it is opened."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

import streamlit as st
from markupsafe import Markup

from pages.components import formatting, states
from pages.components.table import NOTHING, Cell, Column, bold, moment, quiet, table
from pages.queries import cache
from pages.queries.situation import host_of
from pages.queries.target_history import TargetHistory, target_history
from pages.sections.target_state import badge
from pages.shell import time_range
from pages.shell.browser import WHY
from stats.routes import parse_route
from stats.uptime import ENOUGH_COVERAGE
from stats.why import Counted, UptimeReasons, classify_probe, uptime_reasons
from store import Selection
from store.clock import now_ms
from store.schema import PROBES, Probe, Target

SHOWN = 10
_READ = 200
_KINDS = {"nothing": "not by itself", "not_counted": "not counted"}
_RULES = {
    "up": "Its newest probe succeeded.",
    "degraded": "Its newest probe succeeded, and it is slower than it should be.",
    "down": "Its newest probe failed.",
    "not_counted": "Its newest probe says nothing about whether the target is up.",
    "paused": "Its newest slot was paused or excluded.",
    "stale": "Its newest probe is older than three intervals and a minute, so its state is not known.",
    "never": "It was never probed.",
    "waiting": "It is not probed before its key is set.",
    "disabled": "Its configuration has `enabled = false`.",
}


def explain_asked(url: str) -> None:
    """Open the dialog when somebody clicked on a state or an uptime; nothing is read before."""
    asked = st.session_state.pop(WHY, None)
    if asked is None:
        return
    with suppress(ValueError, TypeError):
        name, location, about = json.loads(asked)
        found = next((one for one in cache.targets(url) if (one.name, one.location) == (name, location)), None)
        if found is not None:
            _open(url, found, is_uptime=about == "uptime")


def _open(url: str, target: Target, *, is_uptime: bool) -> None:
    title = f"Why this {'uptime' if is_uptime else 'state'}?"

    @st.dialog(title, width="large")
    def dialog() -> None:
        now, zone = now_ms(), time_range.zone()
        history = target_history(url, target, time_range.current(), now)
        st.html(_uptime(history, now, zone) if is_uptime else _state(history, now, zone))
        st.html(_links(target))

    dialog()


def _links(target: Target) -> Markup:
    own = urlencode({"target": target.name, "location": target.location} | time_range.in_link())
    return Markup(
        '<div class="u q"><a href="glossary#outcomes" target="_self">What each outcome means</a> · '
        '<a href="model?{}" target="_self">All of {}</a></div>'
    ).format(own, target.name)


def _state(history: TargetHistory, now: int, zone: str) -> Markup:
    """The state, the rule behind it, and the newest probes."""
    target, state, newest = history.target, history.state, cache.newest_of(history.url, history.target)
    since = "" if state.since is None else f" since {formatting.clock(state.since, zone, now)}"
    shown = badge(state, target, newest, cache.resting(history.url, target, now), since, now, zone)
    rule = " ".join(part for part in (_RULES[state.status], state.note, _incident(history, zone, now)) if part)
    head = Markup('<div class="u" style="margin-bottom:10px">{} {} {}<div style="margin-top:4px">{}</div></div>')
    probes = _newest(history)
    note = f"The newest {len(probes)} {target.profile} probes from {target.location}; one slot is {target.every_s:g} s."
    return head.format(bold(target.name), quiet(target.location), shown, rule) + _probes(
        target, probes, now, zone, note
    )


def _incident(history: TargetHistory, zone: str, now: int) -> str:
    last = history.incidents[-1] if history.incidents else None
    if history.state.status != "down" or last is None or last.ended_at is not None:
        return ""
    failed = formatting.plural(last.probes, "probe")
    return f"An incident is open since {formatting.clock(last.began_at, zone, now)}: {failed} failed in a row."


def _newest(history: TargetHistory) -> list[Probe]:
    target = history.target
    rows = cache.store(history.url).read(PROBES, Selection(targets=(target.name,)), newest_first=True, limit=_READ)
    return _own(target, rows)


def _failures(history: TargetHistory) -> list[Probe]:
    target = history.target
    selection = Selection(history.since, history.ends, (target.name,), failed=True)
    return _own(target, cache.store(history.url).read(PROBES, selection, newest_first=True, limit=_READ))


def _own(target: Target, rows: Iterable[tuple[Any, ...]]) -> list[Probe]:
    probes = (Probe(*row) for row in rows)
    mine = [one for one in probes if (one.location, one.profile) == (target.location, target.profile)]
    return mine[:SHOWN]


def _uptime(history: TargetHistory, now: int, zone: str) -> Markup:
    """What was up, down and left out, and the newest probes that were not up."""
    target, reasons = history.target, uptime_reasons(history.deciding, history.uptime())
    failures = _failures(history)
    head = Markup('<div class="u" style="margin-bottom:10px">{} {}<div style="margin-top:4px">{}</div></div>')
    note = f"The newest {len(failures)} probes of this range that did not succeed." if failures else ""
    below = _probes(target, failures, now, zone, note) if failures else NOTHING.format("No probe failed in this range.")
    below = Markup('<div style="margin-top:16px">{}</div>').format(below)
    return head.format(bold(target.name), quiet(target.location), _sum(reasons)) + _parts(reasons) + below


def _sum(reasons: UptimeReasons) -> str:
    uptime = reasons.uptime
    decided_s = uptime.up_s + uptime.down_s
    if uptime.share is None:
        covered = formatting.percent(uptime.coverage)
        return f"No number: {covered} of the range was decided, and below {ENOUGH_COVERAGE:.0%} none is shown."
    return (
        f"{_minutes(uptime.up_s)} up of {_minutes(decided_s)} that were decided is {formatting.percent(uptime.share)}; "
        f"{formatting.bounds(uptime.interval)} with 95% confidence, from {formatting.probes(uptime.probes)}."
    )


def _parts(reasons: UptimeReasons) -> Markup:
    uptime = reasons.uptime
    failed, left_out = (_list(counts) for counts in (reasons.failed, reasons.not_counted))
    left_out += ", not in the uptime" if left_out else ""
    rows = [
        (states.state("up"), _minutes(uptime.up_s), "slots whose probe succeeded"),
        (states.state("down"), _minutes(uptime.down_s), failed or "no probe failed"),
        (states.state("not_counted"), _minutes(uptime.not_counted_s), left_out or "none; would not be in the uptime"),
        (states.state("no_data"), _minutes(reasons.undecided_s), "slots without a deciding probe, not in the uptime"),
    ]
    return table(["", "Time", Column("What it is", "left wrap")], rows)


def _list(counts: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{formatting.count(count)} × {formatting.outcome(outcome)}" for outcome, count in counts)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:,.1f} min"


def _probes(target: Target, probes: Sequence[Probe], now: int, zone: str, note: str) -> Markup:
    left, wrap = "left", "left wrap"
    columns: list[str | Column] = [
        "Started",
        Column("Outcome", left),
        Column("Route", wrap),
        "Slot",
        Column("Counts as", wrap),
    ]
    return table(columns, [_row(target, probe, now, zone) for probe in probes], note=note, region="Probes")


def _row(target: Target, probe: Probe, now: int, zone: str) -> list[str | Cell | None]:
    verdict = classify_probe(probe.outcome, probe.stands_for_s, probe.measured_outcome)
    mark = "no_data" if verdict.kind == "nothing" else verdict.kind
    said = formatting.describe_probe(asdict(probe))
    outcome = states.state(mark, formatting.outcome(probe.outcome), said)
    status = quiet(f" HTTP {probe.http_status}") if probe.http_status is not None else Markup()
    when = moment(probe.started_at, now, zone)
    slot = f"{probe.stands_for_s:g} s" if probe.stands_for_s else "none"
    return [when, outcome + status, _route(target, probe), slot, _describe(verdict)]


def _describe(verdict: Counted) -> Markup:
    return Markup("{} {}").format(_KINDS.get(verdict.kind, verdict.kind), quiet(verdict.reason))


def _route(target: Target, probe: Probe) -> str:
    """Who was tried, as the router reports it; else who served it; else the host that was asked."""
    attempts = parse_route(probe.route) if probe.route else []
    if attempts:
        return " → ".join(f"{one.provider} {one.status or ''}".strip() for one in attempts)
    return f"{probe.provider} at {host_of(target)}" if probe.provider else host_of(target)
