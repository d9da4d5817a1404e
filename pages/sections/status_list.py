"""The status page's parts: what may be shown to others. Names, states, strips and incidents, and nothing else."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from html import escape
from itertools import chain

from pages.components import formatting, theme
from pages.queries import cache
from pages.queries.target_history import target_histories
from pages.queries.time_range import TimeRange
from stats.consensus import seen_by_most
from stats.incidents import Incident, TargetState
from stats.status_bars import Bar
from stats.uptime import Uptime
from store.clock import DAY_MS

DAYS = 90
SHOWN = 20


@dataclass(frozen=True)
class StatusRow:
    """One target, over all places that probe it."""

    name: str
    state: TargetState
    bars: list[Bar]
    uptime: Uptime
    incidents: list[Incident]
    began: int | None
    """When it was first seen (milliseconds UTC); null where that was before the first bar."""


def lines(url: str, now: int) -> list[StatusRow]:
    """A line for each target, those that are down first."""
    until = now - now % DAY_MS + DAY_MS
    window = TimeRange(until - DAYS * DAY_MS, now, True, "")
    active = [target for target in cache.targets(url) if target.state == "active"]
    places = defaultdict(list)
    for history in target_histories(url, active, window, now, coarse=True):
        places[history.target.name].append(history)
    found = []
    for name, histories in places.items():
        each = [history.of(history.target.profile) for history in histories]
        first_at = histories[0].first_at
        seen = seen_by_most(each, window.since, until, first_at, DAY_MS / 1_000, DAYS, now=now)
        listed = sorted(chain(*(history.incidents for history in histories)), key=_began)
        bars = [replace(bar, seen=()) for bar in seen.bars]  # how it failed is not for others
        state = _of_most([history.state for history in histories])
        began = first_at if first_at > window.since else None
        found.append(StatusRow(name, state, bars, seen.uptime, listed, began))
    order = {"down": 0, "stale": 1, "not_counted": 2}
    return sorted(found, key=lambda line: (order.get(line.state.status, 3), line.name.lower()))


def _began(incident: Incident) -> int:
    return incident.began_at


def _of_most(states: list[TargetState]) -> TargetState:
    """Down only where most places see it; else the best of what is seen."""
    down = [state for state in states if state.status == "down"]
    if 2 * len(down) > len(states):
        return down[0]
    order = ("up", "not_counted", "stale", "never", "down")
    return min(states, key=lambda state: order.index(state.status))


def banner(found: list[StatusRow]) -> str:
    """All of it in one sentence."""
    down = [line for line in found if line.state.status == "down"]
    unknown = [line for line in found if line.state.status in ("stale", "never")]
    if down:
        kind, text = "down", f"{len(down)} of {formatting.plural(len(found), 'model')} down"
    elif unknown:
        kind, text = "stale", f"{len(unknown)} of {formatting.plural(len(found), 'model')} not seen lately"
    else:
        kind, text = "up", f"all {len(found)} up" if len(found) > 1 else f"{found[0].name} is up"
    return f'<div class="u u-card u-status {kind}" role="status">{theme.state(kind, text)}</div>'


def table(found: list[StatusRow], now: int, zone: str) -> str:
    """A row a target."""
    body = "".join(
        '<div class="u-status-row">'
        f'<div class="top"><b>{escape(line.name)}</b>{theme.state(line.state.status, _word(line.state))}</div>'
        f"{theme.strip(line.bars, zone)}"
        f'<div class="u-axis"><span>{DAYS} days ago</span><span>{_share(line, zone)}</span><span>today</span></div>'
        "</div>"
        for line in found
    )
    return f'<div class="u u-list u-statuses">{body}</div>'


def _share(line: StatusRow, zone: str) -> str:
    """What the strip comes to. Of a target that is younger than it, since when that is."""
    if line.uptime.share is not None:
        since = f" since {formatting.clock(line.began, zone)}" if line.began is not None else ""
        return f"{formatting.percent(line.uptime.share)} up{since}"
    return "not enough data" if line.uptime.probes else "no data"


def _word(state: TargetState) -> str:
    return {"not_counted": "not counted", "stale": "not seen lately", "never": "not probed yet"}.get(
        state.status, state.status
    )


def _goes_on(incident: Incident, zone: str, now: int) -> str:
    if incident.ended_at is not None:
        return ""
    return (
        ", still going on"
        if incident.is_known_now
        else f", unknown after {formatting.clock(incident.seen_until, zone, now)}"
    )


def incidents(found: list[StatusRow], now: int, zone: str) -> str:
    """The newest incidents of all targets."""
    listed = sorted(((i, line.name) for line in found for i in line.incidents), key=lambda pair: -pair[0].began_at)
    if not listed:
        return f'<div class="u q">No incident in {DAYS} days.</div>'
    body = "".join(
        f"<tr><td><b>{escape(name)}</b></td><td>{formatting.clock(i.began_at, zone, now)}</td>"
        f"<td>{formatting.duration(i.duration_s())}{_goes_on(i, zone, now)}</td></tr>"
        for i, name in listed[:SHOWN]
    )
    more = (
        f'<div class="q" style="margin-top:8px">The newest {SHOWN} of {len(listed)}.</div>'
        if len(listed) > SHOWN
        else ""
    )
    return (
        '<div class="u u-scroll"><table class="u-table">'
        "<thead><tr><th>Model</th><th>Began</th><th>For</th></tr></thead>"
        f"<tbody>{body}</tbody></table>{more}</div>"
    )
