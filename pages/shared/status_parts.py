"""The status page's parts: what may be shown to others. Names, states, strips and incidents, and nothing else."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from html import escape
from itertools import chain
from typing import Any

from pages.shared import loader, looks, words
from stats import rollups
from stats.incidents import Incident, Standing, kept, standing_of
from stats.places import seen_by_most, share_up
from stats.strip import Bar
from store.rollups import DAY_MS
from store.rows import Target

DAYS = 90
SHOWN = 20
COARSEST_S = 86_400.0


@dataclass(frozen=True)
class Line:
    """One target, over all places that probe it."""

    name: str
    standing: Standing
    bars: list[Bar]
    share: float | None
    incidents: list[Incident]


def lines(url: str, now: int) -> list[Line]:
    """A line for each target, those that are down first."""
    until = now - now % DAY_MS + DAY_MS
    since = until - DAYS * DAY_MS
    targets: dict[str, list[Target]] = defaultdict(list)
    for target in loader.targets(url):
        if target.state == "active":
            targets[target.name].append(target)
    rows: dict[tuple[str, str, str], list[tuple[Any, ...]]] = defaultdict(list)
    for row in loader.coarse_rollups(url, since, until):
        rows[row[0], row[1], row[2]].append(row)
    stretches: dict[tuple[str, str, str], list[Any]] = defaultdict(list)
    for incident in loader.incidents(url, (), since, until):
        stretches[incident.target, incident.location, incident.profile].append(incident)
    newest = {(p.target, p.location, p.profile): p for p in loader.newest(url)}
    found = []
    for name, places in targets.items():
        keys = [(name, target.location, target.profile) for target in places]
        each = [rollups.strip(rows[key], since, until, COARSEST_S, DAYS) for key in keys]
        bars = seen_by_most(each) if len(each) > 1 else each[0]
        told = [kept(stretches[key]) for key in keys]
        standings = [
            standing_of(newest.get(key), mine, now, target.every_s)
            for key, mine, target in zip(keys, told, places, strict=True)
        ]
        bars = [replace(bar, seen=(), error=None) for bar in bars]  # how it failed is not for others
        found.append(Line(name, _of_most(standings), bars, share_up(bars), sorted(chain(*told), key=_began)))
    order = {"down": 0, "stale": 1, "not_counted": 2}
    return sorted(found, key=lambda line: (order.get(line.standing.word, 3), line.name.lower()))


def _began(incident: Incident) -> int:
    return incident.began_at


def _of_most(standings: list[Standing]) -> Standing:
    """Down only where most places see it; else the best of what is seen."""
    down = [standing for standing in standings if standing.word == "down"]
    if 2 * len(down) > len(standings):
        return down[0]
    order = ("up", "not_counted", "stale", "never", "down")
    return min(standings, key=lambda standing: order.index(standing.word))


def banner(found: list[Line]) -> str:
    """All of it in one sentence."""
    down = [line for line in found if line.standing.word == "down"]
    unknown = [line for line in found if line.standing.word in ("stale", "never")]
    if down:
        kind, text = "down", f"{len(down)} of {words.plural(len(found), 'model')} down"
    elif unknown:
        kind, text = "stale", f"{len(unknown)} of {words.plural(len(found), 'model')} not seen lately"
    else:
        kind, text = "up", f"all {len(found)} up" if len(found) > 1 else f"{found[0].name} is up"
    return f'<div class="u u-card u-status {kind}" role="status">{looks.state(kind, text)}</div>'


def table(found: list[Line], now: int, zone: str) -> str:
    """A row a target."""
    body = "".join(
        '<div class="u-status-row">'
        f'<div class="top"><b>{escape(line.name)}</b>{looks.state(line.standing.word, _word(line.standing))}</div>'
        f"{looks.strip(line.bars, zone)}"
        f'<div class="u-axis"><span>{DAYS} days ago</span><span>{_share(line)}</span><span>today</span></div></div>'
        for line in found
    )
    return f'<div class="u u-list u-statuses">{body}</div>'


def _share(line: Line) -> str:
    return f"{words.percent(line.share)} up" if line.share is not None else "no data"


def _word(standing: Standing) -> str:
    return {"not_counted": "not counted", "stale": "not seen lately", "never": "not probed yet"}.get(
        standing.word, standing.word
    )


def incidents(found: list[Line], now: int, zone: str) -> str:
    """The newest incidents of all targets."""
    listed = sorted(((i, line.name) for line in found for i in line.incidents), key=lambda pair: -pair[0].began_at)
    if not listed:
        return f'<div class="u q">No incident in {DAYS} days.</div>'
    body = "".join(
        f"<tr><td><b>{escape(name)}</b></td><td>{words.clock(i.began_at, zone, now)}</td>"
        f"<td>{words.duration(i.duration_s(now))}{'' if i.ended_at is not None else ', still going on'}</td></tr>"
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
