"""Events as a table: when, what kind, of what, and in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup

from pages.components import formatting, states
from pages.components.table import NOTHING, Cell, Column, below, bold, quiet, table
from stats.events import KINDS, Event, Kind

SHOWN = 50
LABELS: dict[Kind, str] = {kind: kind.replace("_", " ") for kind in KINDS}
_KINDS_OF: dict[str, Kind] = {label: kind for kind, label in LABELS.items()}
_STATES: dict[Kind, str] = {"down": "down", "recovered": "up", "degraded": "degraded", "gap": "no_data"}
"""The state whose mark and colour a kind of event has."""


def kinds_of(labels: Sequence[str]) -> list[Kind]:
    """The kinds that these labels are of."""
    return [_KINDS_OF[label] for label in labels]


def event_list(
    events: Sequence[Event], link: Callable[[Event], str], zone: str, now: int, *, has_targets: bool, most_px: int = 420
) -> Markup:
    """The first `SHOWN` events; `link` is the address of an event's moment. `has_targets`: of more than one target."""
    if not events:
        return NOTHING.format("No events in this range.")
    columns = [Column("When", "left"), Column("Event", "left"), Column("What", "left wrap")]
    columns[2:2] = [Column("Target", "left wrap")] if has_targets else []
    rows = [_row(event, link(event), zone, now, has_targets=has_targets) for event in events[:SHOWN]]
    more = f"The newest {SHOWN} of {formatting.count(len(events))}." if len(events) > SHOWN else ""
    return table(columns, rows, note=more, region="Events", most_px=most_px)


def _row(event: Event, link: str, zone: str, now: int, *, has_targets: bool) -> list[str | Cell | None]:
    when = Markup('<a href="{}" target="_self">{}</a>').format(link, formatting.clock(event.at, zone, now))
    label = LABELS[event.kind]
    mark = states.state(_STATES[event.kind], label) if event.kind in _STATES else label
    target = [bold(event.target) + below(event.location) if event.target else bold(event.location or "")]
    return [when, mark, *(target if has_targets else []), describe(event)]


def describe(event: Event) -> Markup:
    """An event's text, and how long it lasted."""
    if event.lasted_s is None:
        lasted = "not over" if event.kind in ("down", "degraded", "gap") else ""
    else:
        lasted = f"{'after' if event.kind == 'recovered' else 'for'} {formatting.duration(event.lasted_s)}"
    return Markup(" ").join(part for part in (Markup.escape(event.text), quiet(lasted)) if part)
