"""`/api/v1/incidents`: periods of confirmed failures, the newest first, each from its beginning to its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from api.endpoint import Answer
from api.parameters import time_range
from api.rows import at_or_null
from api.targets import known, named
from pages.queries import cache
from pages.queries.source import store_url
from stats.incidents import Incident, incidents, incidents_in
from store.clock import DAY_MS, now_ms
from store.schema import Target

PARAMETERS = ("from", "to", "target", "location")
DEFAULT_MS = 30 * DAY_MS


@dataclass(frozen=True)
class TargetIncident:
    """An incident, and whose it is."""

    target: Target
    incident: Incident


def incident_list(request: Request) -> Answer:
    """The incidents that a range has a part of: by default of the last 30 days, of all targets."""
    url, window = store_url(), time_range(request, DEFAULT_MS)
    targets = selected(request, url)
    listed = incidents_between(url, targets, window.since, window.until)
    return Answer(
        {
            "from": at_or_null(window.since),
            "to": at_or_null(window.until),
            "incidents": [_as_json(each) for each in listed],
        }
    )


def selected(request: Request, url: str) -> list[Target]:
    """The targets that the query names (`target` may come several times), at `location` where that is given."""
    names, location = request.query_params.getlist("target"), request.query_params.get("location") or None
    if names:
        return [target for name in dict.fromkeys(names) for target in named(url, name, location)]
    return [target for target in known(url) if location in (None, target.location)]


def incidents_between(url: str, targets: Sequence[Target], since: int, until: int) -> list[TargetIncident]:
    """The incidents of the profiles that decide uptime, as the pages list them; the newest first."""
    now = now_ms()
    names = {target.name for target in targets}
    rows = cache.incidents(url, tuple(names) if len(names) == 1 else (), since, until)
    newest = cache.newest_by_series(url)
    listed = []
    for target in targets:
        series = (target.name, target.location, target.profile)
        mine = [row for row in rows if (row.target, row.location, row.profile) == series]
        found = incidents(mine, newest.get(series), now, target.every_s)
        listed += [TargetIncident(target, incident) for incident in incidents_in(found, since, until)]
    return sorted(listed, key=lambda each: (-each.incident.began_at, each.target.name, each.target.location))


def _as_json(each: TargetIncident) -> dict[str, Any]:
    incident = each.incident
    return {
        "target": each.target.name,
        "location": each.target.location,
        "began_at": at_or_null(incident.began_at),
        "ended_at": at_or_null(incident.ended_at),
        "seen_until": at_or_null(incident.seen_until) if incident.ended_at is None else None,
        "is_open": incident.ended_at is None,
        "duration_s": incident.duration_s(),
        "cause": incident.cause,
        "probes": incident.probes,
        "error": incident.error,
    }
