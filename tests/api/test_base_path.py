"""Below a path of a shared host: a real nginx passes it on to a dashboard with `server.baseUrlPath`."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest

from api.downloads import link
from benchmarks.browser import dashboard_process
from store import Selection, open_store
from store.schema import Run
from tests.api.conftest import now_ms
from tests.factories import MINUTE, probe, target
from tests.middlebox import nginx

pytestmark = pytest.mark.waits
NAME, ENCODED = "acme/one", "acme%2Fone"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder: Path = tmp_path_factory.mktemp("below")
    store, now = open_store(f"sqlite:///{folder}/a.db"), now_ms()
    store.write([target(NAME), *(probe(now - n * MINUTE, target=NAME) for n in range(1, 61))])
    store.write([Run("probe", now - 1_000, "here", now, 1)])
    store.close()
    with (
        dashboard_process(f"sqlite:///{folder}/a.db", "--server.baseUrlPath", "stats/uptoken") as (url, _),
        nginx(folder, int(url.rpartition(":")[2])) as front,
    ):
        yield front.port


def ask(port: int, path: str) -> tuple[int, dict[str, str], str]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        client.request("GET", path)
        answer = client.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
    finally:
        client.close()


def test_every_route_answers_below_the_base_path_and_so_do_the_pages(port: int) -> None:
    kinds = {
        "api/v1/targets": "application/json",
        f"api/v1/targets/{ENCODED}/summary": "application/json",
        "api/v1/openapi.json": "application/json",
        f"badge/{ENCODED}.svg?metric=state": "image/svg+xml",
        "feed.atom": "application/atom+xml",
        "metrics": "text/plain",
        "api/v2/summary.json": "application/json",
        "api/export.csv?table=runs": "text/csv",
    }
    for path, kind in kinds.items():
        status, headers, _ = ask(port, f"/stats/uptoken/{path}")
        assert (status, headers["content-type"].partition(";")[0]) == (200, kind), path
        assert headers["x-content-type-options"] == "nosniff"
    assert "Streamlit" in ask(port, "/stats/uptoken/")[2]
    assert "Streamlit" in ask(port, "/stats/uptoken/model")[2]


def test_links_stay_below_the_base_path(port: int) -> None:
    status, headers, _ = ask(port, "/stats/uptoken/status")
    assert (status, urljoin("/stats/uptoken/status", headers["location"])) == (308, "/stats/uptoken/status/")
    pages = ["/stats/uptoken/status/"]
    for page in pages:  # and what they lead to
        status, _, html = ask(port, page)
        assert status == 200, page
        for found in re.findall(r'(?:href|src)="([^"#]+)"', html):
            path = urlsplit(urljoin(page, unescape(found)))
            assert path.path.startswith("/stats/uptoken/"), (page, found)
            if "/status/" in path.path and path.path not in pages:
                pages.append(path.path)
    assert f"/stats/uptoken/status/{ENCODED}" in pages
    first = json.loads(ask(port, "/stats/uptoken/api/v1/probes?limit=10")[2])
    assert first["next"].startswith("/stats/uptoken/api/v1/probes?")
    assert ask(port, first["next"])[0] == 200
    export = urljoin("/stats/uptoken/export", link("runs", Selection()))
    assert ask(port, export)[1]["content-type"].startswith("text/csv")
