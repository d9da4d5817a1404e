"""The API as the real dashboard serves it: encoded names, other hosts, the headers of every response."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator

import pytest

from benchmarks.browser import dashboard_process
from store import open_store
from store.schema import Run
from tests.api.conftest import now_ms
from tests.factories import MINUTE, probe, target

pytestmark = pytest.mark.waits
NAME = "acme/one: 100% ü"
ENCODED = "acme%2Fone%3A%20100%25%20%C3%BC"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    path = tmp_path_factory.mktemp("served") / "a.db"
    store, now = open_store(f"sqlite:///{path}"), now_ms()
    store.write([target(NAME), *(probe(now - n * MINUTE, target=NAME) for n in range(1, 61))])
    store.write([Run("probe", now - 1_000, "here", now, 1)])
    store.close()
    with dashboard_process(f"sqlite:///{path}") as (url, _):
        host, _, port = url.removeprefix("http://").partition(":")
        yield host, int(port)


def ask(address: tuple[str, int], path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    client = http.client.HTTPConnection(*address, timeout=20)
    try:
        client.request(method, path, headers=headers)
        answer = client.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        client.close()


def test_a_name_with_everything_in_it_has_its_summary_its_series_and_its_badge(address: tuple[str, int]) -> None:
    status, _, body = ask(address, f"/api/v1/targets/{ENCODED}/summary")
    assert (status, json.loads(body)["probes"]) == (200, 60)
    status, _, body = ask(address, f"/api/v1/targets/{ENCODED}/series?metric=probes&step=1h")
    assert (status, sum(point["value"] for point in json.loads(body)["points"])) == (200, 60)
    status, headers, body = ask(address, f"/badge/{ENCODED}.svg?metric=state")
    assert (status, headers["content-type"]) == (200, "image/svg+xml")
    assert "100% ü: up" in body.decode()


def test_every_route_answers_beside_the_pages(address: tuple[str, int]) -> None:
    for path in (
        "/api/v1/targets",
        "/api/v1/health",
        "/api/v1/probes",
        "/metrics",
        "/feed.atom",
        "/api/v2/summary.json",
    ):
        status, headers, _ = ask(address, path)
        assert status == 200, path
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors" in headers["content-security-policy"]
    assert ask(address, "/")[0] == 200


def test_head_has_the_headers_and_no_body(address: tuple[str, int]) -> None:
    for path in ("/api/v1/health", "/api/v1/probes", "/metrics"):
        status, headers, body = ask(address, path, "HEAD")
        assert (status, body) == (200, b""), path
        assert headers["content-type"] == ask(address, path)[1]["content-type"]


def test_foreign_names_and_foreign_pages_get_421(address: tuple[str, int]) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        status, _, body = ask(address, "/api/v1/targets", **headers)
        assert status == 421
        assert b"acme" not in body


def test_an_unchanged_response_is_not_sent_again(address: tuple[str, int]) -> None:
    path = "/api/v1/incidents?from=2026-11-01&to=2026-11-02"
    tag = ask(address, path)[1]["etag"]
    status, _, body = ask(address, path, **{"If-None-Match": tag})
    assert (status, body) == (304, b"")
