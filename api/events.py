"""`/api/v1/events`: what happened to targets, in one list, the newest first, as the pages' *Events* have it.

Of more than 20 targets together the list has no change points and served models: name a `target` to get those.
"""

from __future__ import annotations

from starlette.requests import Request

from api.endpoint import Answer
from api.errors import ApiError
from api.incidents import selected
from api.parameters import time_range
from api.rows import at_or_null
from pages.queries.events import fleet_events, target_events
from pages.queries.source import store_url
from pages.queries.time_range import TimeRange
from stats.events import KINDS, Event, filter_events
from store.clock import DAY_MS
from store.schema import Target

PARAMETERS = ("from", "to", "target", "location", "kind")
DEFAULT_MS = 7 * DAY_MS


def event_list(request: Request) -> Answer:
    """The events of a range, by default of the last 7 days; `target` and `kind` may come several times."""
    url, window = store_url(), time_range(request, DEFAULT_MS)
    kinds = request.query_params.getlist("kind")
    for kind in kinds:
        if kind not in KINDS:
            raise ApiError(f"kind={kind[:50]!r} is none of {', '.join(KINDS)}")
    events = filter_events(_events(url, selected(request, url), window), kinds)
    return Answer(
        {
            "from": at_or_null(window.since),
            "to": at_or_null(window.until),
            "events": [
                {
                    "kind": event.kind,
                    "at": at_or_null(event.at),
                    "target": event.target,
                    "location": event.location,
                    "text": event.text,
                    "lasted_s": event.lasted_s,
                }
                for event in events
            ],
        }
    )


def _events(url: str, targets: list[Target], window: TimeRange) -> list[Event]:
    """The one place that asks for them."""
    return target_events(url, targets[0], window) if len(targets) == 1 else fleet_events(url, targets, window)
