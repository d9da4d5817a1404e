"""Every HTTP route beside the pages, in one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.routing import BaseRoute

from api import (
    badges,
    catalog,
    downloads,
    events,
    feed,
    health,
    incidents,
    metrics,
    openapi,
    overview_csv,
    probes,
    report_routes,
    series,
    status_routes,
    statuspage_summary,
    summary,
    targets,
)
from api.endpoint import Answer, refuse_unknown, route


@dataclass(frozen=True)
class TargetRoute:
    """What follows a target's name in a path: who answers, and the parameters of its query."""

    handler: Callable[[Request, str], Answer]
    parameters: tuple[str, ...] = ()


OF_TARGET = {
    "": TargetRoute(targets.one_target),
    "summary": TargetRoute(summary.target_summary, summary.PARAMETERS),
    "series": TargetRoute(series.target_series, series.PARAMETERS),
}


def _of_target(request: Request) -> Answer:
    name, word = targets.split_path(request, tuple(OF_TARGET))
    refuse_unknown(request, OF_TARGET[word].parameters)
    return OF_TARGET[word].handler(request, name)


V1: list[BaseRoute] = [
    route("/api/v1/targets", targets.target_list),
    route(f"{targets.PREFIX}{{rest:path}}", _of_target, None),
    route("/api/v1/incidents", incidents.incident_list, incidents.PARAMETERS),
    route("/api/v1/events", events.event_list, events.PARAMETERS),
    route(probes.PATH, probes.probes, probes.PARAMETERS),
    route("/api/v1/models", catalog.model_list, catalog.MODEL_PARAMETERS),
    route("/api/v1/endpoints", catalog.endpoint_list, catalog.ENDPOINT_PARAMETERS),
    route(openapi.PATH, openapi.openapi, is_public=True),
    route("/api/v1/health", health.health, is_public=True),
]
OTHERS: list[BaseRoute] = [
    route(metrics.PATH, metrics.metrics),
    route(f"{badges.PREFIX}{{name:path}}", badges.badge, badges.PARAMETERS, is_public=True),
    route(
        overview_csv.PATH,
        overview_csv.overview_csv,
        overview_csv.PARAMETERS,
        ticket_for=overview_csv.ticket_for,
    ),
    route(feed.PATH, feed.feed, is_public=True),
    route(
        f"{report_routes.PREFIX}{{name:path}}",
        report_routes.report,
        report_routes.PARAMETERS,
        ticket_for=report_routes.ticket_for,
    ),
    route(statuspage_summary.PATH, statuspage_summary.status_summary, is_public=True),
]
"""What other programs read in forms of their own."""
ROUTES: list[BaseRoute] = [*downloads.ROUTES, *V1, *OTHERS, *status_routes.ROUTES]
