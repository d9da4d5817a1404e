"""What every response tells a browser: over a real dashboard, and in a real browser that must not complain."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, ConsoleMessage

from benchmarks.browser import dashboard_process
from store import open_store
from tests.chromium import PAGES, new_page
from tests.pages.conftest import now_ms, rows

ADDRESSES = (*PAGES, "status/", "status/Steady")
EMBEDDED = ("/status/?embed", "/status/?embed=true", "/status?embed=true", "/status/Steady?embed")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('safeguards')}/a.db"
    store = open_store(url)
    store.write(rows(now_ms()))
    store.close()
    return url


@pytest.fixture(scope="module")
def address(url: str) -> Iterator[str]:
    with dashboard_process(url, "--server.allowedHosts", "127.0.0.1") as (address, _):
        yield address


def test_every_response_has_the_headers(address: str) -> None:
    page = urlopen(f"{address}/").read().decode()
    script = page.partition('src="./static/js/')[2].partition('"')[0]
    paths = [f"/{name}" for name in ADDRESSES]
    paths += [
        f"/static/js/{script}",
        "/api/export.csv?table=runs",
        "/_stcore/health",
        "/_stcore/host-config",
        "/_stcore/metrics",
        "/api/export.csv?table=none",
        "/media/none",
        "/status/nobody",
        "/status/?embed=false",
        "/?embed=true",
        "/model?embed=true",
        "/public-status?embed=true",
        "/base/status?embed=true",
        *EMBEDDED,
    ]
    for path in paths:
        try:
            answer = urlopen(address + path)
        except HTTPError as problem:
            answer = problem
        with answer:
            headers = answer.headers
        assert headers.get_all("x-content-type-options") == ["nosniff"], path
        assert headers.get_all("referrer-policy") == ["same-origin"], path
        policies = " ".join(headers.get_all("content-security-policy"))
        assert ("frame-ancestors 'self'" in policies) is (path not in EMBEDDED), path
        assert ("frame-ancestors *" in policies) is (path in EMBEDDED), path
    port = address.rpartition(":")[2]
    with pytest.raises(HTTPError) as refused:
        urlopen(f"http://localhost:{port}/")
    assert refused.value.code == 421
    assert refused.value.headers["content-security-policy"] == "frame-ancestors 'self'"


@pytest.mark.process
def test_behind_a_login_streamlits_metrics_are_for_nobody(url: str, address: str, tmp_path: Path) -> None:
    assert urlopen(f"{address}/_stcore/metrics").status == 200
    secrets = tmp_path / "secrets.toml"
    secrets.write_text('[auth]\nclient_id = "x"\n')
    with dashboard_process(url, "--secrets.files", str(secrets)) as (guarded, _):
        for path in ("/_stcore/metrics", "/_stcore/metrics/", "/_stcore/metrics?families=session"):
            with pytest.raises(HTTPError) as refused:
                urlopen(guarded + path)
            assert refused.value.code == 403


def test_pages_draw_all_and_the_console_stays_empty(address: str, browser: Browser) -> None:
    page = new_page(browser)
    said: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        looks_for_its_server = "/_stcore/" in message.location["url"]  # Streamlit, first below the page's own path
        frames_a_page = message.text.startswith(("Unrecognized feature: ", "An iframe which has both allow-scripts"))
        if (
            message.type in ("error", "warning") and not looks_for_its_server and not frames_a_page
        ):  # Streamlit's frames
            said.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda problem: said.append(str(problem)))
    for name in ADDRESSES:
        page.goto(f"{address}/{name}")
        page.locator(".u-title, .u-metric, .u-head, h1, h2").first.wait_for()
        if name == "public-status":
            page.frame_locator("iframe").get_by_text("Steady").first.wait_for()
        if name == "model":
            page.locator(".js-plotly-plot").first.wait_for()
    assert said == []
    page.close()


def test_another_site_may_frame_the_status_page_alone(address: str, browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        f'<iframe id="status" src="{address}/status?embed=true"></iframe><iframe id="front" src="{address}/"></iframe>'
    )
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    try:
        page = new_page(browser)
        refused: list[str] = []
        page.on("console", lambda message: refused.append(message.text) if "frame" in message.text else None)
        page.goto(f"http://127.0.0.1:{site.server_port}/index.html")
        page.frame_locator("#status").get_by_text("Steady").first.wait_for()
        assert len(refused) == 1 and "frame-ancestors 'self'" in refused[0]
        assert page.frame_locator("#front").get_by_text("Steady").count() == 0
        page.close()
    finally:
        site.shutdown()
        site.server_close()
