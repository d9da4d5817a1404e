"""Streamlit's files over a network: compressed once, kept, and asked for before the page needs them."""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import brotli
import pytest
import streamlit as st
from playwright.sync_api import Browser
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket
from streamlit.web.server.starlette.starlette_static_routes import create_streamlit_static_assets_routes

from benchmarks.browser import dashboard
from pages.shell import frontend
from pages.shell.copies import Copies
from pages.shell.static_files import StaticFiles
from store import open_store
from tests.pages.conftest import now_ms, rows

TEXT = b"export const one = 1;\n" * 400


def wait_for(copy: Callable[[], bytes | None]) -> bytes:
    deadline = time.monotonic() + 30
    while (body := copy()) is None:
        assert time.monotonic() < deadline, "the copy was not made"
        time.sleep(0.01)
    return body


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "static" / "js").mkdir(parents=True)
    (tmp_path / "static" / "js" / "one.js").write_bytes(TEXT)
    return tmp_path


def one_copy(root: Path, folder: Path, encoding: str = "br") -> bytes:
    copies = Copies(root, folder, ["static/js/one.js"])
    copies.start([])
    return wait_for(lambda: copies.get("static/js/one.js", encoding))


def test_a_copy_is_made_when_somebody_asks_and_kept_for_the_next_process(root: Path) -> None:
    folder = root / "data" / "cache"
    assert brotli.decompress(one_copy(root, folder)) == TEXT
    assert gzip.decompress(one_copy(root, folder, "gzip")) == TEXT
    kept = sorted(folder.iterdir())
    assert [re.sub("[0-9a-f]{16}", "HASH", path.name) for path in kept] == ["one.js.HASH.br", "one.js.HASH.gzip"]
    assert [path.stat().st_mode & 0o777 for path in (folder, *kept)] == [0o700, 0o600, 0o600]
    before = [path.stat().st_mtime_ns for path in kept]
    one_copy(root, folder)
    assert [path.stat().st_mtime_ns for path in kept] == before


def test_a_copy_that_is_damaged_or_of_another_version_is_made_again(root: Path) -> None:
    folder = root / "cache"
    whole = one_copy(root, folder)
    (kept,) = folder.iterdir()
    for damage in (whole[:-3], b"", brotli.compress(b"something else")):
        kept.write_bytes(damage)
        assert one_copy(root, folder) == whole == kept.read_bytes()
    (root / "static/js/one.js").write_bytes(b"// the next version\n" + TEXT)
    assert brotli.decompress(one_copy(root, folder)) == b"// the next version\n" + TEXT


def test_without_a_folder_to_keep_them_in_there_are_copies_all_the_same(root: Path) -> None:
    (root / "cache").write_text("a file where the folder should be")
    assert brotli.decompress(one_copy(root, root / "cache")) == TEXT


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("copies")


@pytest.fixture(params=["", "stats/models"])
def base(request: pytest.FixtureRequest) -> Iterator[str]:
    st.config.set_option("server.baseUrlPath", request.param)
    yield f"/{request.param}".rstrip("/")
    st.config.set_option("server.baseUrlPath", "")


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(await socket.receive_text())
    await socket.close()


@pytest.fixture
def client(kept: Path, base: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Streamlit's own static routes behind ours; what is small is compressed at the start."""
    small = [f"static/js/{path.name}" for path in (frontend.ROOT / "static/js").glob("Button*.js")]
    monkeypatch.setattr(frontend, "first_files", lambda: small)
    routes = [
        Route(f"{base}/api/text", lambda _: PlainTextResponse("rows")),
        WebSocketRoute(f"{base}/_stcore/stream", echo),
        *create_streamlit_static_assets_routes(base),
    ]
    with TestClient(Starlette(routes=routes, middleware=[Middleware(StaticFiles, folder=kept)])) as client:
        yield client


BUTTON = f"/static/js/{next((frontend.ROOT / 'static/js').glob('Button.*.js')).name}"
PLAIN = (frontend.ROOT / BUTTON[1:]).read_bytes()


def test_a_file_is_sent_as_the_browser_takes_it_and_not_again(client: TestClient, base: str) -> None:
    address = base + BUTTON
    whole = client.get(address, headers={"Accept-Encoding": "identity"})
    assert (whole.content, whole.headers.get("content-encoding")) == (PLAIN, None)
    tags = {whole.headers["etag"]}
    for encoding in ("gzip", "br"):
        headers = {"Accept-Encoding": f"{encoding}, deflate"}
        wait_for(lambda headers=headers: client.head(address, headers=headers).headers.get("content-encoding"))
        with client.stream("GET", address, headers=headers) as answer:
            raw = b"".join(answer.iter_raw())
        assert answer.headers["content-encoding"] == encoding
        assert {"gzip": gzip, "br": brotli}[encoding].decompress(raw) == PLAIN
        assert answer.headers["content-length"] == str(len(raw)) and len(raw) < len(PLAIN)
        assert answer.headers["content-type"] == whole.headers["content-type"]
        assert answer.headers["cache-control"] == whole.headers["cache-control"]
        assert "immutable" in answer.headers["cache-control"]
        again = client.get(address, headers=headers | {"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
        assert again.headers["vary"] == answer.headers["vary"] == whole.headers["vary"] == "Accept-Encoding"
        tags.add(answer.headers["etag"])
    assert len(tags) == 3, "each form has a tag of its own"


def test_a_part_of_a_file_is_a_part_of_the_file_itself(client: TestClient, base: str) -> None:
    part = client.get(base + BUTTON, headers={"Accept-Encoding": "br, gzip", "Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, PLAIN[10:20])
    assert "content-encoding" not in part.headers and part.headers["vary"] == "Accept-Encoding"


def test_what_is_not_a_static_file_is_passed_on(client: TestClient, base: str) -> None:
    assert client.get(f"{base}/api/text").text == "rows"
    assert client.get(f"{base}/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd").status_code == 400
    assert client.post(base + BUTTON).status_code == 405
    with client.websocket_connect(f"{base}/_stcore/stream") as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "hello"


def test_a_page_of_ours_asks_for_its_charts_and_any_other_document_is_streamlits(client: TestClient, base: str) -> None:
    chart = re.compile(r'<link rel="modulepreload" crossorigin fetchpriority="low" href="\./static/js/PlotlyChart\.')
    for path, has_charts in {"/": True, "/model": True, "/catalog": True, "/export": False, "/glossary": False}.items():
        answer = client.get(base + path)
        assert bool(chart.search(answer.text)) is has_charts, path
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert (answer.headers["cache-control"], answer.headers["content-encoding"]) == ("no-cache", "br")
        assert client.get(base + path, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    assert client.get(f"{base}/nobodys").content == (frontend.ROOT / "index.html").read_bytes()
    assert client.get(f"{base}/model/", follow_redirects=False).status_code == 301
    if base:
        assert "PlotlyChart" not in client.get("/").text


def test_each_file_that_a_document_names_is_there_once() -> None:
    for page in frontend.page_paths():
        named = re.findall(r'(?:href|src)="\./(static/[^"]+)"', frontend.document(page).decode())
        assert len(named) == len(set(named)) > 80, page
        assert [name for name in named if not (frontend.ROOT / name).is_file()] == []


def test_a_first_visit_is_small_and_no_script_comes_later_than_it_could(browser: Browser, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    store = open_store(url)
    store.write(rows(now_ms()))
    store.close()
    with dashboard(url) as address:
        for path, has_charts in {"/model": True, "/export": False}.items():
            document = frontend.document(path[1:]).decode()
            page = browser.new_context().new_page()
            asked: list[str] = []  # nothing that the page's document did not name
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.goto(address + path)
            page.locator(".js-plotly-plot .subplot" if has_charts else "h1:has-text('Export')").first.wait_for(
                state="attached"
            )
            scripts = [each.partition("/static/")[2] for each in asked if each.endswith(".js")]
            assert [name for name in scripts if f"./static/{name}" not in document] == []
            assert any("PlotlyChart" in name for name in scripts) is has_charts
            assert len(scripts) == len(set(scripts))
            page.context.close()
