"""A target's status bars, with its incidents in words, from one location and from all."""

from __future__ import annotations

from dataclasses import asdict

import streamlit as st
from markupsafe import Markup

from pages.components import formatting, theme
from pages.components.states import with_tip
from pages.components.status_bars import status_bars
from pages.components.table import bold, quiet
from pages.queries import cache
from pages.queries.target_history import BARS, PARTS_OF_A_BAR, TargetHistory, target_histories
from pages.queries.time_range import TimeRange
from pages.shell import sign_in, time_range
from stats.consensus import consensus
from stats.incidents import Incident, mean_time_between_failures_s, mean_time_to_recovery_s
from store.clock import now_ms
from store.schema import Target

SHOWN = 3


def uptime_card(history: TargetHistory, window: TimeRange, now: int, zone: str) -> Markup:
    """The bars, and the newest incidents below them."""
    bars, newest = history.bars_with_errors(), reversed(history.incidents[-SHOWN:])
    lines = (Markup("<div>{}</div>").format(_incident(history, incident, now, zone)) for incident in newest)
    return Markup(
        '<div class="u u-card"><div style="margin-bottom:10px">{}</div>{}'
        '<div class="u-axis"><span>{}</span><span>{}</span><span>{}</span></div>'
        '<div class="q" style="margin-top:4px">{}</div></div>'
    ).format(
        theme.title("Uptime", figure=f"Uptime of {history.target.name}"),
        status_bars(bars, zone, big=True),
        formatting.clock(bars[0].since, zone, now),
        _summary(history),
        "now" if window.is_live else formatting.clock(window.until, zone, now),
        Markup().join(lines),
    )


def _summary(history: TargetHistory) -> str:
    incidents = history.incidents
    if not incidents:
        return "no incidents"
    total_s = sum(incident.duration_s(history.since, history.until) for incident in incidents)
    text = f"{formatting.plural(len(incidents), 'incident')}, {formatting.duration(total_s)} in total"
    recovery_s = mean_time_to_recovery_s(incidents)
    between_s = mean_time_between_failures_s(incidents, history.uptime().up_s)
    text += f"; mean time to recovery {formatting.duration(recovery_s)}" if recovery_s is not None else ""
    return text + (f", between failures {formatting.duration(between_s)}" if len(incidents) > 1 and between_s else "")


def _incident(history: TargetHistory, incident: Incident, now: int, zone: str) -> Markup:
    target = history.target
    if incident.ended_at is not None:
        ended = f"down for {formatting.duration(incident.duration_s())}"
    elif incident.is_known_now:
        ended = "still down"
    else:
        ended = f"unknown after {formatting.clock(incident.seen_until, zone, now)}"
    if incident.began_at < history.since or (incident.ended_at or incident.seen_until) > history.until:
        ended += f", {formatting.duration(incident.duration_s(history.since, history.until))} of it in this range"
    why = f": {incident.error}" if incident.error else ""
    first = cache.probe_at(history.url, target.name, target.location, target.profile, incident.began_at)
    tip = f"{formatting.probes(incident.probes)} failed"
    if first is not None:
        tip += f". First: {formatting.outcome(first.outcome)}. {formatting.describe_probe(asdict(first))}"
    text = f"{formatting.clock(incident.began_at, zone, now)}, {ended}, {formatting.outcome(incident.cause)}{why}"
    return with_tip(text, tip)


def all_locations_card(url: str, target: Target, locations: list[str]) -> None:
    """`all_locations`, refreshed every 10 seconds."""

    @sign_in.fragment(run_every="10s")
    def draw() -> None:
        st.html(all_locations(url, target, locations, time_range.current().fresh(), now_ms(), time_range.zone()))

    draw()


def all_locations(url: str, target: Target, locations: list[str], window: TimeRange, now: int, zone: str) -> Markup:
    """The status bars of a target that is probed from several locations, as most of them see it."""
    everyone = [other for other in cache.targets(url) if other.name == target.name and other.location in locations]
    histories = target_histories(url, everyone, window, now, parts=PARTS_OF_A_BAR)
    first, every_s = histories[0], max(other.every_s for other in everyone)
    each = [history.of(history.target.profile) for history in histories]
    seen = consensus(each, first.since, first.ends, first.first_at, every_s, BARS)
    covered = f"coverage {formatting.percent(seen.uptime.coverage)}"
    note = formatting.uptime_note(seen.uptime) if seen.uptime.share is None else covered
    return Markup('<div class="u u-card">{}{} {}{}</div>').format(
        theme.title(
            "All locations",
            f"from {len(locations)} locations: down only where most of them see it down",
            figure=f"Uptime of {target.name} from all locations",
        ),
        bold(formatting.percent(seen.uptime.share)),
        quiet(note),
        status_bars(seen.bars, zone, big=True),
    )
