"""Outages: the incidents of one target at all its locations as one list, for readers who know no locations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stats.incidents import Incident


@dataclass(frozen=True)
class Outage:
    """Incidents that overlap (milliseconds UTC). Without an end it was still open at `seen_until`, as `Incident` has
    it; `locations` is how many saw it.
    """

    began_at: int
    ended_at: int | None
    seen_until: int
    is_known_now: bool
    locations: int

    @property
    def duration_s(self) -> float:
        return ((self.seen_until if self.ended_at is None else self.ended_at) - self.began_at) / 1_000


def outages(by_location: Sequence[Sequence[Incident]]) -> list[Outage]:
    """The outages in the incidents of each location, oldest first."""
    each = [(incident, place) for place, listed in enumerate(by_location) for incident in listed]
    groups: list[list[tuple[Incident, int]]] = []
    for incident, place in sorted(each, key=lambda pair: pair[0].began_at):
        if groups and incident.began_at < max(_last_moment(other) for other, _ in groups[-1]):
            groups[-1].append((incident, place))
        else:
            groups.append([(incident, place)])
    return [_outage(group) for group in groups]


def _outage(group: Sequence[tuple[Incident, int]]) -> Outage:
    still_open = [incident for incident, _ in group if incident.ended_at is None]
    last = max(_last_moment(incident) for incident, _ in group)
    return Outage(
        began_at=group[0][0].began_at,
        ended_at=None if still_open else last,
        seen_until=last,
        is_known_now=any(incident.is_known_now for incident in still_open),
        locations=len({place for _, place in group}),
    )


def _last_moment(incident: Incident) -> int:
    return incident.seen_until if incident.ended_at is None else incident.ended_at
