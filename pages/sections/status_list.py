"""The public status: names, states, status bars and incidents, and nothing else."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import chain

from markupsafe import Markup

from pages.components import formatting, states
from pages.components.status_bars import status_bars
from pages.components.table import NOTHING, bold, table
from pages.queries import cache
from pages.queries.target_history import target_histories
from pages.queries.time_range import TimeRange
from stats.consensus import consensus
from stats.incidents import Incident, TargetState
from stats.status_bars import Bar, clip_bars
from stats.uptime import Uptime
from store.clock import DAY_MS

DAYS = 90
SHOWN = 20


@dataclass(frozen=True)
class StatusRow:
    """One target, over all locations that probe it."""

    name: str
    state: TargetState
    bars: list[Bar]
    uptime: Uptime
    incidents: list[Incident]
    began: int | None
    """When it was first seen (milliseconds UTC); null where that was before the first bar."""


def status_rows(url: str, now: int) -> list[StatusRow]:
    """A row for each target, those that are down first."""
    until = now - now % DAY_MS + DAY_MS
    window = TimeRange(until - DAYS * DAY_MS, now, True, "")
    active = [target for target in cache.targets(url) if target.state == "active"]
    by_name = defaultdict(list)
    for history in target_histories(url, active, window, now, coarse=True):
        by_name[history.target.name].append(history)
    rows = []
    for name, histories in by_name.items():
        each = [history.of(history.target.profile) for history in histories]
        first_at = histories[0].first_at
        seen = consensus(each, window.since, until, first_at, DAY_MS / 1_000, DAYS, now=now)
        incidents = sorted(chain(*(history.incidents for history in histories)), key=_began)
        bars = [_public(bar) for bar in clip_bars(seen.bars, now)]
        state = majority([history.state for history in histories])
        began = first_at if first_at > window.since else None
        rows.append(StatusRow(name, state, bars, seen.uptime, incidents, began))
    order = {"down": 0, "stale": 1, "not_counted": 2}
    return sorted(rows, key=lambda row: (order.get(row.state.status, 3), row.name.lower()))


def _public(bar: Bar) -> Bar:
    """The public is not shown how it failed."""
    return bar if bar.state == "paused" else replace(bar, seen=())


def _began(incident: Incident) -> int:
    return incident.began_at


def majority(states: list[TargetState]) -> TargetState:
    """Down only where most locations see it down; else the best of what is seen."""
    down = [state for state in states if state.status == "down"]
    if 2 * len(down) > len(states):
        return down[0]
    order = ("up", "not_counted", "paused", "stale", "never", "down")
    return min(states, key=lambda state: order.index(state.status))


def banner(rows: list[StatusRow]) -> Markup:
    """The overall state in one sentence."""
    models = formatting.plural(len(rows), "model")
    down = sum(row.state.status == "down" for row in rows)
    unknown = sum(row.state.status in ("stale", "never") for row in rows)
    if down:
        kind, text = "down", f"{down} of {models} down"
    elif unknown:
        kind, text = "stale", f"{unknown} of {models} without a recent probe"
    else:
        kind, text = "up", f"{rows[0].name} is up" if len(rows) == 1 else f"all {len(rows)} up"
    return Markup('<div class="u u-card u-status {}" role="status">{}</div>').format(kind, states.state(kind, text))


def status_list(rows: list[StatusRow], zone: str) -> Markup:
    """A row a target."""
    row_html = Markup(
        '<div class="u-status-row"><div class="top"><b>{}</b>{}</div>{}<div class="u-axis"><span>{} days ago</span>'
        "<span>{}</span><span>today</span></div></div>"
    )
    body = Markup().join(
        row_html.format(row.name, states.state(row.state.status), status_bars(row.bars, zone), DAYS, _share(row, zone))
        for row in rows
    )
    return Markup('<div class="u u-list u-statuses">{}</div>').format(body)


def _share(row: StatusRow, zone: str) -> str:
    """The uptime of the bars. Of a target that is younger than they are, with its first moment."""
    if row.uptime.share is not None:
        since = f" since {formatting.clock(row.began, zone)}" if row.began is not None else ""
        return f"{formatting.percent(row.uptime.share)} up{since}"
    return "not enough data" if row.uptime.probes else "no data"


def _ongoing(incident: Incident, zone: str, now: int) -> str:
    if incident.ended_at is not None:
        return ""
    if incident.is_known_now:
        return ", ongoing"
    return f", unknown after {formatting.clock(incident.seen_until, zone, now)}"


def incident_table(rows: list[StatusRow], now: int, zone: str) -> Markup:
    """The newest incidents of all targets."""
    newest = sorted(((i, row.name) for row in rows for i in row.incidents), key=lambda pair: -pair[0].began_at)
    if not newest:
        return NOTHING.format(f"No incidents in the last {DAYS} days.")
    return table(
        ("Model", "Began", "Duration"),
        [
            (
                bold(name),
                formatting.clock(incident.began_at, zone, now),
                f"{formatting.duration(incident.duration_s())}{_ongoing(incident, zone, now)}",
            )
            for incident, name in newest[:SHOWN]
        ],
        note=f"The newest {SHOWN} of {len(newest)}." if len(newest) > SHOWN else "",
    )
