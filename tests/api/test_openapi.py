"""The API's description is valid, names every route and parameter, and every response is as it says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from starlette.routing import Route
from starlette.testclient import TestClient

from api import (
    badges,
    catalog,
    downloads,
    events,
    incidents,
    overview_csv,
    probes,
    report_routes,
    series,
    status_routes,
    summary,
)
from api.openapi import FILE
from api.registry import ROUTES
from pages.queries import access
from pages.queries.overview_rows import NOT_UP, ORDERS
from stats.incidents import Status

pytestmark = pytest.mark.thorough

SPEC: dict[str, Any] = json.loads(FILE.read_text())
A_DAY = "from=2026-11-24&to=2026-11-25"
REQUESTS = {
    "/api/v1/targets": ["", "?odd=1"],
    "/api/v1/targets/{name}": ["", "?odd=1"],
    "/api/v1/targets/{name}/summary": ["", f"?{A_DAY}", f"?{A_DAY}&profile=all", "?from=x"],
    "/api/v1/targets/{name}/series": [
        *(f"?{A_DAY}&metric={metric}" for metric in series.METRICS),
        *(f"?{A_DAY}&stat={stat}" for stat in series.STATS),
        "?step=x",
    ],
    "/api/v1/incidents": ["", f"?{A_DAY}", "?target=Nobody", "?from=x"],
    "/api/v1/events": ["", f"?{A_DAY}", f"?{A_DAY}&target=Two", "?kind=x", "?target=Nobody"],
    "/api/v1/probes": ["", f"?{A_DAY}&limit=10", "?limit=x", "?target=Nobody"],
    "/api/v1/models": ["", "?odd=1"],
    "/api/v1/endpoints": ["", "?odd=1"],
    "/api/v1/health": [""],
    "/api/v1/openapi.json": [""],
    "/metrics": [""],
    "/api/overview.csv": ["", "?range=7d&sort=price&prompt=1000", "?sort=x", "?odd=1"],
    "/badge/{name}.svg": ["", "?metric=x"],
    "/badge/{name}.json": ["", "?metric=state", "?metric=ttft", "?range=x"],
    "/report/{name}": ["", "?month=x", "?odd=1"],
    "/feed.atom": [""],
    "/api/v2/summary.json": [""],
}


def resolve(described: dict[str, Any]) -> dict[str, Any]:
    """What a reference within the description names."""
    for part in described.get("$ref", "").removeprefix("#/").split("/") if "$ref" in described else ():
        described = SPEC[part] if part == "components" else described[part]
    return described


def query_parameters(path: str) -> dict[str, dict[str, Any]]:
    """The described parameters of a query, by name."""
    listed = [resolve(each) for each in SPEC["paths"][path]["get"].get("parameters", ())]
    return {each["name"]: each for each in listed if each["in"] == "query"}


def check(path: str, answer: Any) -> None:
    """The status is one that the description has, and a JSON body is as its schema says."""
    described = resolve(SPEC["paths"][path]["get"]["responses"][str(answer.status_code)])
    media = answer.headers["content-type"].partition(";")[0]
    assert media in described["content"], (path, answer.status_code, media)
    schema = described["content"][media]["schema"]
    if media == "application/json":
        checker = Draft202012Validator(
            {"components": SPEC["components"], **schema}, format_checker=Draft202012Validator.FORMAT_CHECKER
        )
        errors = [
            f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
            for error in checker.iter_errors(answer.json())
        ]
        assert errors == [], (path, answer.text[:500])


def test_the_description_is_a_valid_openapi_document_and_is_served(past: Path, client: TestClient) -> None:
    validate(SPEC)
    assert client.get("/api/v1/openapi.json").json() == SPEC


def test_every_route_is_described_and_every_description_has_requests_here() -> None:
    assert set(REQUESTS) == set(SPEC["paths"])
    described = {re.sub(r"\{name\}.*", "", path) for path in SPEC["paths"]}
    pages = {re.sub(r"\{\w+:path\}", "", route.path) for route in status_routes.ROUTES}
    registered = {re.sub(r"\{\w+:path\}", "", route.path) for route in ROUTES if isinstance(route, Route)}
    assert registered - {downloads.PATH, *pages} == described


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/api/v1/targets/{name}/summary", summary.PARAMETERS),
        ("/api/v1/targets/{name}/series", series.PARAMETERS),
        ("/api/v1/incidents", incidents.PARAMETERS),
        ("/api/v1/events", events.PARAMETERS),
        ("/api/v1/probes", probes.PARAMETERS),
        ("/api/v1/models", catalog.MODEL_PARAMETERS),
        ("/api/v1/endpoints", catalog.ENDPOINT_PARAMETERS),
        ("/badge/{name}.svg", badges.PARAMETERS),
        ("/badge/{name}.json", badges.PARAMETERS),
        ("/api/overview.csv", overview_csv.PARAMETERS),
        ("/report/{name}", report_routes.PARAMETERS),
    ],
)
def test_the_description_has_just_the_parameters_that_are_taken(path: str, parameters: tuple[str, ...]) -> None:
    assert sorted(query_parameters(path)) == sorted(parameters)


def test_the_description_has_the_words_that_are_taken() -> None:
    described = query_parameters("/api/v1/targets/{name}/series")
    assert tuple(described["metric"]["schema"]["enum"]) == series.METRICS
    assert tuple(described["stat"]["schema"]["enum"]) == tuple(series.STATS)
    overview = query_parameters("/api/overview.csv")
    assert tuple(overview["sort"]["schema"]["enum"]) == ORDERS
    assert set(overview["state"]["schema"]["enum"]) == {NOT_UP, *get_args(Status)}


@pytest.mark.parametrize("path", list(REQUESTS))
def test_every_response_is_as_it_is_described(past: Path, client: TestClient, path: str) -> None:
    for name in ("acme%2Fone", "Two", "Nobody"):
        for query in REQUESTS[path]:
            check(path, client.get(f"{path.replace('{name}', name)}{query}"))


@pytest.mark.parametrize("path", list(REQUESTS))
def test_every_response_over_a_fuller_store_is_as_it_is_described(filled: Path, client: TestClient, path: str) -> None:
    for name in ("Steady", "Broken", "Keyless"):
        for query in REQUESTS[path]:
            check(path, client.get(f"{path.replace('{name}', name)}{query}"))


@pytest.mark.parametrize("path", list(REQUESTS))
def test_every_refusal_is_as_it_is_described(
    past: Path, client: TestClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for door in ("login", "closed"):
        monkeypatch.setattr(access, "guard", lambda door=door: door)
        answer = client.get(path.replace("{name}", "Two"))
        assert answer.status_code == (401 if door == "login" else 403)
        check(path, answer)


@pytest.mark.parametrize("path", list(REQUESTS))
def test_without_a_store_every_response_is_as_it_is_described(store_at: Path, client: TestClient, path: str) -> None:
    check(path, client.get(path.replace("{name}", "Two")))
