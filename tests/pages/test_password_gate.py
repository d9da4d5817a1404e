"""A dashboard with a password: who has not signed in gets the form and nothing else."""

from __future__ import annotations

import http.client
import os
import re
import time
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect
from streamlit.testing.v1 import AppTest

from api.registry import ROUTES
from benchmarks.browser import dashboard_process
from pages.queries import access, sessions
from pages.shell.password_gate import PasswordGate
from settings import password as settings_password
from settings.password import hash_password
from store import open_store
from tests.collectors.cli_fixture import until
from tests.pages.conftest import FRONT, now_ms, rows

pytestmark = pytest.mark.thorough

GOOD, OTHER = "correct horse battery", "another good password"
STREAMLITS = [
    "/_stcore/host-config", "/_stcore/metrics", "/_stcore/upload_file/a/b", "/_stcore/bidi-components/x/y.js",
    "/media/abc.csv", "/component/a/index.html", "/static/js/index.js", "/app/static/file.txt",
]  # fmt: skip
API = [
    "/api/v1/targets", "/api/v1/targets/Steady/summary", "/api/v1/incidents", "/api/v1/events", "/api/v1/probes.csv",
    "/api/v1/models", "/metrics",
]  # fmt: skip
PUBLIC = ["/status/", "/badge/Steady.svg", "/feed.atom"]


def keep(path: Path, password: str) -> None:
    path.write_text(hash_password(password).line())
    path.chmod(0o600)
    os.utime(path, ns=(time.time_ns(), time.time_ns()))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(settings_password, "_COST", 16)
    keep(path := tmp_path / "password", GOOD)
    monkeypatch.setenv("UPTOKEN_PASSWORD_FILE", str(path))
    store = open_store(f"sqlite:///{tmp_path}/a.db")
    store.write(rows(now_ms()))
    store.close()
    monkeypatch.setenv("UPTOKEN_STORE", f"sqlite:///{tmp_path}/a.db")
    return path


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("rows")
    await socket.close()


def app() -> Starlette:
    """The API's real routes beside one that stands for all of Streamlit's."""
    routes = [*ROUTES, WebSocketRoute("/_stcore/stream", echo)]
    anything = ["GET", "POST", "PUT", "DELETE"]
    routes.append(Route("/{rest:path}", lambda _: PlainTextResponse("a secret page"), methods=anything))
    return Starlette(routes=routes, middleware=[Middleware(PasswordGate, routes=ROUTES)])


@pytest.fixture
def client(file: Path) -> Iterator[TestClient]:
    with TestClient(app(), base_url="https://uptoken.example.com", follow_redirects=False) as client:
        yield client


def sign_in(client: TestClient, password: str = GOOD, after: str = "") -> int:
    return client.post("/login", data={"password": password, "next": after}).status_code


def has_websocket(client: TestClient) -> bool:
    try:
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        with client.websocket_connect("/_stcore/stream", headers={"Cookie": cookies}) as socket:
            return socket.receive_text() == "rows"
    except WebSocketDisconnect:
        return False
    except Exception as problem:  # noqa: BLE001  Starlette's name for a refusal with a response
        assert type(problem).__name__ == "WebSocketDenialResponse"
        return False


def test_without_a_session_there_is_no_page_no_websocket_no_file_and_no_row(client: TestClient) -> None:
    for path in ("/", "/model?target=Steady", "/export", "/nobodys"):
        answer = client.get(path)
        assert answer.status_code == 303 and answer.headers["location"].startswith("login"), path
    for path in STREAMLITS:
        for method in ("GET", "POST", "PUT", "DELETE"):
            answer = client.request(method, path)
            assert answer.status_code in (303, 401), (method, path)
            assert "secret" not in answer.text
    for path in API:
        assert client.get(path).status_code == 401, path
    assert client.get("/api/export.csv?table=probes").status_code == 403
    assert client.get("/report/Steady").status_code == 401
    for path in PUBLIC:
        assert client.get(path).status_code in (401, 403), path
    assert not has_websocket(client)
    assert client.get("/_stcore/health").status_code == 200, "a supervisor's question"


def test_the_public_status_page_is_there_without_a_session_when_it_is_public(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(access.PUBLIC_FLAG, "yes")
    until(lambda: client.get("/status/").status_code == 200)  # it looks who may see it once a second
    for path in PUBLIC:
        assert client.get(path).status_code == 200, path
    assert client.get("/api/v1/targets").status_code == 401 and client.get("/").status_code == 303


def test_a_token_reads_the_api_and_opens_no_page(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(access.TOKENS, "a-token-of-a-program")
    bearer = {"Authorization": "Bearer a-token-of-a-program"}
    assert client.get("/api/v1/targets", headers=bearer).status_code == 200
    assert client.get("/api/export.csv?table=runs", headers=bearer).status_code == 200
    assert client.get("/", headers=bearer).status_code == 303


def test_the_right_password_opens_everything_until_one_signs_out(client: TestClient) -> None:
    form = client.get("/login?next=model%3Ftarget%3DSteady")
    assert '<input id="password" name="password" type="password"' in form.text and "<script" not in form.text
    assert 'name="next" value="model?target=Steady"' in form.text
    answer = client.post("/login", data={"password": GOOD, "next": "model?target=Steady"})
    assert (answer.status_code, answer.headers["location"]) == (303, "model?target=Steady")
    cookie = answer.headers["set-cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=lax", "Secure", "Max-Age=604800", "Path=/"))
    assert GOOD not in cookie and answer.headers["cache-control"] == "no-store"
    for path in ("/", *STREAMLITS):
        assert client.get(path).text == "a secret page", path
    for path in [*API, "/api/export.csv?table=probes", "/report/Steady"]:
        assert client.get(path).status_code == 200, path
    assert has_websocket(client)
    assert client.get("/login").headers["location"] == "./"
    copy = client.cookies[sessions.COOKIE]
    assert client.get("/logout").status_code == 200 and client.get("/").status_code == 200, "a link signs nobody out"
    assert client.post("/logout").headers["location"] == "login"
    assert client.get("/").status_code == 303
    client.cookies.set(sessions.COOKIE, copy, domain="uptoken.example.com")
    assert client.get("/").status_code == 303 and not has_websocket(client), "nor is a copy of the cookie valid"


def test_over_http_the_cookie_is_not_for_https_alone(file: Path) -> None:
    with TestClient(app(), base_url="http://192.0.2.7:8501", follow_redirects=False) as client:
        answer = client.post("/login", data={"password": GOOD})
        assert "Secure" not in answer.headers["set-cookie"] and client.get("/").status_code == 200


def test_a_session_ends_with_its_time_with_another_password_and_with_the_file(file: Path) -> None:
    cookie = sessions.new_session(now_s=1_000.0)
    assert sessions.is_signed_in(cookie, now_s=1_000.0 + sessions.SESSION_S - 1)
    assert not sessions.is_signed_in(cookie, now_s=1_000.0 + sessions.SESSION_S)
    keep(file, OTHER)
    assert not sessions.is_signed_in(cookie, now_s=1_001.0)
    keep(file, GOOD)
    assert not sessions.is_signed_in(cookie, now_s=1_001.0), "the same password again is another hash"
    cookie = sessions.new_session(now_s=1_000.0)
    file.unlink()
    assert not sessions.is_signed_in(cookie, now_s=1_001.0)
    assert access.guard() == "closed"


@pytest.mark.parametrize(
    "cookie",
    [None, "", "x", "99999999999.0123456789abcdef0123456789abcdef", "99999999999.x.y", "é" * 20, "a.b.c.d", "." * 500],
)
@pytest.mark.usefixtures("file")
def test_a_cookie_that_nobody_signed_is_none(cookie: str | None) -> None:
    assert not sessions.is_signed_in(cookie)
    good = sessions.new_session()
    assert sessions.is_signed_in(good)
    for at in range(0, len(good), 7):
        assert not sessions.is_signed_in(good[:at] + ("0" if good[at] != "0" else "1") + good[at + 1 :])


def test_wrong_passwords_are_refused_and_soon_not_even_looked_at(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    assert [sign_in(client, OTHER) for _ in range(6)] == [403] * 5 + [429]
    refused = client.post("/login", data={"password": GOOD})
    assert refused.status_code == 429 and 0 < int(refused.headers["retry-after"]) <= 61
    assert "Too many attempts" in refused.text and "set-cookie" not in refused.headers
    assert caplog.text.count("a sign-in from testclient failed: the password was wrong") == 5
    assert OTHER not in caplog.text and GOOD not in caplog.text


@pytest.mark.parametrize(
    ("asked", "goes"),
    [
        ("", "./"),
        ("model?target=a%20b&range=7+d", "model?target=a%20b&range=7+d"),
        ("//evil.example", "./"),
        ("https://evil.example", "./"),
        ("\\evil.example", "./"),
        ("javascript:alert(1)", "./"),
        ("model?x=\r\nSet-Cookie: a=b", "./"),
        ("logout", "./"),
        ("model/../../x", "./"),
        ('"><script>', "./"),
    ],
)
def test_after_the_sign_in_one_is_on_a_page_of_the_dashboard(asked: str, goes: str, client: TestClient) -> None:
    shown = client.get(f"/login?{urlencode({'next': asked})}").text
    assert "evil" not in shown and "<script" not in shown
    answer = client.post("/login", data={"password": GOOD, "next": asked})
    assert answer.headers["location"] == goes


def test_what_is_no_form_is_refused(client: TestClient) -> None:
    assert client.post("/login", content=b"x" * 9_000).status_code == 413
    assert client.post("/login", content=b"\xff\x00&&&=").status_code == 403
    assert client.put("/login").status_code == 405


def test_a_form_of_too_many_fields_is_refused(client: TestClient) -> None:
    response = client.post("/login", content="a=1&" * 21, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert response.status_code == 413 and "a secret page" not in response.text


def test_below_a_path_each_way_is_relative(client: TestClient) -> None:
    st.config.set_option("server.baseUrlPath", "stats/models")
    try:
        assert client.get("/stats/models/").headers["location"] == "login"
        assert client.get("/stats/models").headers["location"] == "models/login"
        assert client.get("/stats/models/model?target=a").headers["location"] == "login?next=model%3Ftarget%3Da"
        assert client.get("/stats/models/a/b").headers["location"] == "../login"
        assert client.get("/stats/models/login").status_code == 200
        assert client.get("/login").status_code == 401
    finally:
        st.config.set_option("server.baseUrlPath", "")


def test_a_file_that_cannot_be_read_opens_nothing_and_says_so_in_the_log(
    client: TestClient, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert sign_in(client) == 303
    file.write_text(GOOD)
    assert client.get("/").status_code == 303 and not has_websocket(client)
    refused = client.post("/login", data={"password": GOOD})
    assert refused.status_code == 503 and "holds no hash" in caplog.text and GOOD not in caplog.text + refused.text


def says(app: AppTest, text: str) -> bool:
    return any(text in part.proto.body for part in app.get("html"))


def test_the_script_of_a_page_looks_at_the_session_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cookies: dict[str, str] = {}
    monkeypatch.setattr(type(st.context), "cookies", property(lambda _: cookies))
    app = AppTest.from_file(FRONT, default_timeout=60).run()
    assert says(app, "You are signed out") and not says(app, "Steady")
    cookies[sessions.COOKIE] = sessions.new_session()
    app.run()
    assert says(app, "Sign out") and says(app, "Steady") and not app.exception
    keep(file, OTHER)
    app.run()
    assert says(app, "You are signed out") and not says(app, "Steady")


def test_a_login_and_a_password_at_once_are_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert access.guard() == "password"
    monkeypatch.setattr(access, "_had_login", False)
    monkeypatch.setattr(access.st, "secrets", {"auth": {"client_id": "x"}})
    assert access.guard() == "closed"
    with pytest.raises(SystemExit, match="choose one of them"):
        access.refuse_wrong_settings()
    monkeypatch.setattr(access.st, "secrets", {})
    monkeypatch.setattr(access, "_had_login", False)
    file.write_text(GOOD)
    with pytest.raises(SystemExit, match="holds no hash"):
        access.refuse_wrong_settings()


@pytest.mark.process
def test_a_real_dashboard_asks_on_every_address_and_a_restart_keeps_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(tmp_path / "password", GOOD)
    monkeypatch.setenv("UPTOKEN_PASSWORD_FILE", str(tmp_path / "password"))
    open_store(f"sqlite:///{tmp_path}/a.db").close()
    cookie = ""

    def ask(method: str, path: str, body: str = "", **headers: str) -> tuple[int, http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", int(address.rpartition(":")[2]), timeout=30)
        connection.request(
            method, path, body, {"Cookie": cookie} | {k.replace("_", "-"): v for k, v in headers.items()}
        )
        answer = connection.getresponse()
        return answer.status, answer, answer.read()

    upgrade = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    flags = ("--server.address", "0.0.0.0")
    url = f"sqlite:///{tmp_path}/a.db"
    with dashboard_process(url, *flags) as (address, _):
        assert ask("GET", "/")[0] == 303
        assert ask("GET", "/_stcore/stream", **upgrade)[0] == 401
        assert ask("GET", "/media/none.png")[0] in (303, 401)
        assert ask("POST", "/login", "password=wrong")[0] == 403
        status, answer, _ = ask("POST", "/login", urlencode({"password": GOOD}))
        assert status == 303
        found = SimpleCookie(answer.headers["set-cookie"])
        cookie = f"{sessions.COOKIE}={found[sessions.COOKIE].value}"
        assert b"Streamlit" in ask("GET", "/")[2]
    with dashboard_process(url, *flags) as (address, _):
        script = re.search(rb"static/js/index\.[\w-]+\.js", ask("GET", "/")[2])
        assert script is not None and ask("GET", f"/{script[0].decode()}")[0] == 200
        connection = http.client.HTTPConnection("127.0.0.1", int(address.rpartition(":")[2]), timeout=30)
        headers = {"Cookie": cookie} | {name.replace("_", "-"): value for name, value in upgrade.items()}
        connection.request("GET", "/_stcore/stream", headers=headers)
        assert connection.getresponse().status == 101
        connection.close()
        assert ask("POST", "/logout")[0] == 303
        assert ask("GET", "/")[0] == 303
