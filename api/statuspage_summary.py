"""`/api/v2/summary.json` in the form of Atlassian Statuspage, for programs that read status pages.

https://metastatuspage.com/api has that form. It has no word for a target of which nothing is known, so such a one is
`degraded_performance` with a description that says so.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from uuid import UUID, uuid5

from starlette.requests import Request

from api.endpoint import Answer
from api.incidents import TargetIncident, incidents_between
from api.rows import at_or_null
from api.targets import known
from pages.queries import cache
from pages.queries.public_status import Maintenance, page_settings, planned_maintenance
from pages.queries.source import store_url
from pages.queries.target_history import target_states
from stats.incidents import TargetState, majority
from store.clock import now_ms
from store.schema import Target

PATH = "/api/v2/summary.json"
PAGE_ID = "uptoken"
_NAMESPACE = UUID("0d3a7c1e-5b8f-5a0e-8a0d-2f1c9b7e6d5a")
_STATUS = {
    "paused": "under_maintenance",
    "up": "operational",
    "not_counted": "operational",
    "down": "major_outage",
    "degraded": "degraded_performance",
}
_UNKNOWN = "No recent probe: its state is unknown."


def status_summary(_request: Request) -> Answer:
    """The page, its overall status, a component a target, and the incidents that are not over."""
    url, now = store_url(), now_ms()
    by_name: dict[str, list[Target]] = defaultdict(list)
    for target in known(url):
        if target.state == "active":
            by_name[target.name].append(target)
    active = [target for name in sorted(by_name) for target in by_name[name]]
    states = dict(zip(active, target_states(url, active, now), strict=True))
    newest_at = max((probe.started_at for probe in cache.newest(url)), default=0)
    components = [
        _component(name, majority([states[target] for target in mine]), place, cache.first_at(url).get(name))
        for place, (name, mine) in enumerate(sorted(by_name.items()), 1)
    ]
    by_id = {component["id"]: component for component in components}
    is_down = {name for name, mine in by_name.items() if majority([states[target] for target in mine]).status == "down"}
    ongoing = [
        each
        for each in incidents_between(url, active, now, now + 1)
        if each.incident.ended_at is None and each.target.name in is_down
    ]
    return Answer(
        {
            "page": {
                "id": PAGE_ID,
                "name": page_settings().title,
                "url": "./",
                "time_zone": "Etc/UTC",
                "updated_at": at_or_null(newest_at),
            },
            "status": _overall([component["status"] for component in components]),
            "components": components,
            "incidents": [_incident(each, by_id[_id(each.target.name)]) for each in ongoing],
            "scheduled_maintenances": [_maintenance(planned, by_id, now) for planned in planned_maintenance(url, now)],
        },
        max_age_s=10,
    )


def _id(key: str) -> str:
    return uuid5(_NAMESPACE, key).hex


def _component(name: str, state: TargetState, position: int, first_at: int | None) -> dict[str, Any]:
    known_status = _STATUS.get(state.status)
    return {
        "id": _id(name),
        "name": name,
        "status": known_status or "degraded_performance",
        "created_at": at_or_null(first_at),
        "updated_at": at_or_null(state.since if state.since is not None else first_at),
        "position": position,
        "description": None if known_status else _UNKNOWN,
        "showcase": True,
        "start_date": None,
        "group_id": None,
        "page_id": PAGE_ID,
        "group": False,
        "only_show_if_degraded": False,
    }


def _overall(statuses: list[str]) -> dict[str, str]:
    down, slow = statuses.count("major_outage"), statuses.count("degraded_performance")
    if not statuses:
        return {"indicator": "minor", "description": "Nothing Is Monitored Yet"}
    if down == len(statuses):
        return {"indicator": "critical", "description": "Major System Outage"}
    if down:
        return {"indicator": "major", "description": "Partial System Outage"}
    if statuses.count("under_maintenance"):
        return {"indicator": "maintenance", "description": "Service Under Maintenance"}
    if slow:
        return {"indicator": "minor", "description": "Partially Degraded Service"}
    return {"indicator": "none", "description": "All Systems Operational"}


def _incident(each: TargetIncident, component: dict[str, Any]) -> dict[str, Any]:
    """Nothing of the cause: whoever may see the public status page reads this."""
    began = at_or_null(each.incident.began_at)
    key = _id(f"{each.target.name} {each.target.location} {each.incident.began_at}")
    update: dict[str, Any] = {
        "id": _id(f"{key} investigating"),
        "status": "investigating",
        "body": f"{each.target.name} is down.",
        "incident_id": key,
        "created_at": began,
        "updated_at": began,
        "display_at": began,
        "affected_components": [],
    }
    return {
        "id": key,
        "name": f"{each.target.name} is down",
        "status": "investigating",
        "created_at": began,
        "updated_at": began,
        "monitoring_at": None,
        "resolved_at": None,
        "impact": "major",
        "shortlink": "./",
        "started_at": began,
        "page_id": PAGE_ID,
        "incident_updates": [update],
        "components": [component],
    }


def _maintenance(planned: Maintenance, components: dict[str, dict[str, Any]], now: int) -> dict[str, Any]:
    """A window that is open or to come."""
    since, until = at_or_null(planned.since), at_or_null(planned.until)
    return {
        "id": _id(f"maintenance {planned.since} {planned.until} {' '.join(planned.targets)}"),
        "name": "Maintenance",
        "status": "in_progress" if planned.since <= now else "scheduled",
        "created_at": since,
        "updated_at": since,
        "monitoring_at": None,
        "resolved_at": None,
        "impact": "maintenance",
        "shortlink": "./",
        "started_at": since,
        "page_id": PAGE_ID,
        "incident_updates": [],
        "components": [components[_id(name)] for name in planned.targets if _id(name) in components],
        "scheduled_for": since,
        "scheduled_until": until,
    }
