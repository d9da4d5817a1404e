"""Events: what happened to targets, from every source, as one list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Literal, get_args

from stats.capabilities import capability_changes
from stats.catalog_changes import Change, changes
from stats.change_points import Shift
from stats.identity_changes import identity_changes
from stats.incidents import Incident
from stats.status_bars import Bar
from store.alert_tables import Alert
from store.capability_tables import CapabilityTest
from store.identity_tables import IdentityEpoch
from store.schema import Model

Kind = Literal[
    "down",
    "recovered",
    "degraded",
    "change_point",
    "price",
    "context",
    "served_model",
    "declared",
    "identity_changed",
    "capability",
    "retirement",
    "gap",
    "alert",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
EVERYTHING = "*"
"""The target of an alert that is about the collector."""
VARIES_ABOVE = 0.2
"""A target whose served model changed in more of the steps between samples than this has several at once."""

_CATALOG_KINDS: dict[str, Kind] = {
    "price in": "price",
    "price out": "price",
    "price per request": "price",
    "other prices": "price",
    "context": "context",
    "max output": "context",
    "last day": "retirement",
    "listed": "retirement",
}


@dataclass(frozen=True)
class Event:
    """Something that happened at a moment (milliseconds UTC). `target` is null for what concerns a location as a whole,
    `location` for what does not depend on one. `lasted_s`: how long the incident or the gap lasted; null while it is
    not over, and for what has no length.
    """

    kind: Kind
    at: int
    target: str | None
    location: str | None
    text: str
    lasted_s: float | None = None


@dataclass(frozen=True)
class ServedModel:
    """The model that a response said it came from, at a moment (milliseconds UTC)."""

    at: int
    name: str


def merge_events(sources: Iterable[Iterable[Event]], since: int, until: int) -> list[Event]:
    """The events of a range, newest first; equal ones once."""
    listed = {event for source in sources for event in source if since <= event.at < until}
    return sorted(listed, key=_newest_first)


def filter_events(events: Iterable[Event], kinds: Sequence[str] = (), targets: Sequence[str] = ()) -> list[Event]:
    """Those of these kinds and of these targets; none: of all."""
    return [
        event
        for event in events
        if (not kinds or event.kind in kinds) and (not targets or (event.target or "") in targets)
    ]


def incident_events(target: str, location: str, incidents: Iterable[Incident]) -> Iterator[Event]:
    """Where each incident began, and where it ended."""
    for incident in incidents:
        lasted_s = incident.duration_s() if incident.ended_at is not None else None
        yield Event("down", incident.began_at, target, location, incident.cause.replace("_", " "), lasted_s)
        if incident.ended_at is not None:
            yield Event("recovered", incident.ended_at, target, location, "", lasted_s)


def alert_events(alerts: Iterable[Alert]) -> Iterator[Event]:
    """What was sent to channels, and when targets were degraded, whichever of their channels it was sent to."""
    for alert in alerts:
        target = alert.target if alert.target != EVERYTHING else None
        kind, cause = alert.kind.replace("_", " "), f", {alert.cause}" if alert.cause else ""
        if alert.kind == "degraded":
            ended_at = alert.ended_at if alert.ended_at is not None else alert.closed_at
            lasted_s = (ended_at - alert.since) / 1_000 if ended_at is not None else None
            yield Event("degraded", alert.since, target, alert.location, alert.cause or "", lasted_s)
        if alert.sent_at is not None:
            yield Event("alert", alert.sent_at, target, alert.location, f"sent to {alert.channel}: {kind}{cause}")
        if alert.recovery_sent_at is not None:
            text = f"sent to {alert.channel}: {kind} is over"
            yield Event("alert", alert.recovery_sent_at, target, alert.location, text)


def identity_events(epochs: Iterable[IdentityEpoch]) -> Iterator[Event]:
    """Where a target began to serve something else."""
    for change in identity_changes(epochs):
        yield Event("identity_changed", change.at, change.target, change.location, change.text)


def capability_events(tests: Iterable[CapabilityTest]) -> Iterator[Event]:
    """Where a capability stopped holding, and where it holds again."""
    for change in capability_changes(tests):
        yield Event("capability", change.at, change.target, change.location, change.text)


def shift_events(target: str, location: str, what: str, unit: str, shifts: Iterable[Shift]) -> Iterator[Event]:
    """The change points of a measured column."""
    for shift in shifts:
        text = f"{what} from {_level(shift.before)} to {_level(shift.after)} {unit}"
        yield Event("change_point", shift.at, target, location, text)


def _level(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def catalog_events(target: str, versions: Sequence[Model]) -> Iterator[Event]:
    """What one source's versions of a target's model say: prices, context, and when it is retired."""
    for change in changes(versions):
        if change.what in _CATALOG_KINDS:
            yield Event(_CATALOG_KINDS[change.what], change.at, target, None, _describe(change))
    last = max(versions, key=lambda model: model.valid_from, default=None)
    if last is not None and last.valid_to is None and last.expires_at is not None:
        yield Event("retirement", last.expires_at, target, None, "last day in the catalog")


def _describe(change: Change) -> str:
    if change.what == "listed":
        return "listed again" if change.after == "yes" else "no longer listed"
    if change.what == "other prices":
        return "other prices changed"
    unit = {"price": " USD per million tokens", "context": " tokens"}.get(_CATALOG_KINDS[change.what], "")
    unit = " USD" if change.what == "price per request" else unit
    return f"{change.what} from {change.before or 'unknown'} to {change.after or 'unknown'}{unit}"


def gap_events(location: str, bars: Sequence[Bar]) -> Iterator[Event]:
    """The stretches of bars without data between bars with data, and a last one of two bars or more."""
    place = next((number for number, bar in enumerate(bars) if bar.state != "no_data"), len(bars))
    for state, alike in groupby(bars[place:], key=lambda bar: bar.state):
        run = list(alike)
        place += len(run)
        if state != "no_data":
            continue
        is_over = place < len(bars)
        if is_over or len(run) > 1:  # the last bar is not over yet
            lasted_s = (run[-1].until - run[0].since) / 1_000 if is_over else None
            yield Event("gap", run[0].since, None, location, "no probes", lasted_s)


def served_model_events(
    target: str, location: str, samples: Sequence[ServedModel | None], find: Callable[[int, int], ServedModel | None]
) -> Iterator[Event]:
    """Where the served model became another one, from samples in the order of time (null: none is known there).

    `find(since, until)` gives the first response known in a range (milliseconds UTC); between two samples that differ
    it is asked for the middle again and again. A change back within one step between samples is not seen.
    """
    for before, first in _changes(samples, find):
        yield Event("served_model", first.at, target, location, f"from {before.name} to {first.name}")


def declared_events(
    what: str,
    target: str,
    location: str,
    samples: Sequence[ServedModel | None],
    find: Callable[[int, int], ServedModel | None],
) -> Iterator[Event]:
    """Like `served_model_events`, for other values in responses: the fingerprint, the provider, or the tokens of the
    same prompt. A difference of one token is no event: the operands of the prompt vary.
    """
    for before, first in _changes(samples, find):
        if not _is_next_to(before.name, first.name):
            yield Event("declared", first.at, target, location, f"{what} from {before.name} to {first.name}")


def _is_next_to(one: str, other: str) -> bool:
    return one.isdecimal() and other.isdecimal() and abs(int(one) - int(other)) <= 1


def _changes(
    samples: Sequence[ServedModel | None], find: Callable[[int, int], ServedModel | None]
) -> Iterator[tuple[ServedModel, ServedModel]]:
    known = [sample for sample in samples if sample is not None]
    steps = [(before, after) for before, after in pairwise(known) if before.name != after.name]
    if len(steps) <= max(1.0, VARIES_ABOVE * len(known)):
        for before, after in steps:
            yield before, _first_of_next(before, after, find)


def _first_of_next(
    before: ServedModel, after: ServedModel, find: Callable[[int, int], ServedModel | None]
) -> ServedModel:
    """The first response that is not from `before`'s model any more."""
    low, high = before.at + 1, after.at  # what lies between them is not known yet
    while low < high:
        middle = (low + high) // 2
        found = find(middle, high)
        if found is not None and found.name == before.name:
            low = found.at + 1
        else:
            after, high = found or after, middle
    return after


def _newest_first(event: Event) -> tuple[int, str, str, str, str]:
    return -event.at, event.kind, event.target or "", event.location or "", event.text
