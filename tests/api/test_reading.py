"""Who may read the API, and what every response says to clients, browsers and proxies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from api import status_routes
from api.registry import ROUTES
from benchmarks.tools import ROOT
from pages.queries import access

TOKENS = "first-token-of-two, second-token-of-two"


@pytest.fixture
def behind_login(past: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "guard", lambda: "login")
    monkeypatch.setenv(access.TOKENS, TOKENS)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def paths() -> list[str]:
    names = {"{rest:path}": "Two", "{name:path}": "Two.svg"}
    found = [route.path for route in ROUTES if isinstance(route, Route) and route not in status_routes.ROUTES]
    for name, value in names.items():
        found = [path.replace(name, value) for path in found]
    return found


def test_on_loopback_everybody_on_this_machine_may_read(past: Path, client: TestClient) -> None:
    assert client.get("/api/v1/targets").status_code == 200


@pytest.mark.usefixtures("behind_login")
@pytest.mark.parametrize(
    "header",
    [
        {},
        bearer(""),
        bearer("wrong"),
        bearer("first-token-of-tw"),
        bearer(TOKENS),
        {"Authorization": "Basic first-token-of-two"},
        {"Authorization": "first-token-of-two"},
        {"Authorization": b"Bearer \xff\xfe"},
    ],
)
def test_behind_a_login_a_request_without_a_right_token_reads_nothing(
    client: TestClient, header: dict[str, str]
) -> None:
    for path in paths():
        answer = client.get(path, headers=header)
        assert answer.status_code in (401, 403), path
        assert "Two" not in answer.text and "acme" not in answer.text


@pytest.mark.usefixtures("behind_login")
def test_behind_a_login_each_of_the_tokens_reads_everything(client: TestClient) -> None:
    for token in ("first-token-of-two", "second-token-of-two"):
        assert client.get("/api/v1/targets", headers=bearer(token)).status_code == 200
        assert client.get("/api/export.csv?table=runs", headers=bearer(token)).status_code == 200
    refused = client.get("/api/v1/targets")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="uptoken"')
    assert "UPTOKEN_API_TOKENS" in refused.json()["error"]["message"]


@pytest.mark.usefixtures("behind_login")
def test_without_tokens_no_token_is_right(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("", " ", ",,"):
        monkeypatch.setenv(access.TOKENS, value)
        for token in ("", ",", " "):
            assert client.get("/api/v1/targets", headers=bearer(token)).status_code == 401


def test_a_closed_dashboard_gives_nothing_not_even_for_a_token(
    past: Path, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "guard", lambda: "closed")
    monkeypatch.setenv(access.TOKENS, TOKENS)
    monkeypatch.setenv(access.PUBLIC_FLAG, "yes")
    for path in paths():
        assert client.get(path, headers=bearer("first-token-of-two")).status_code == 403, path


@pytest.mark.usefixtures("behind_login")
def test_a_public_status_opens_what_that_page_shows_and_nothing_else(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(access.PUBLIC_FLAG, "yes")
    opened = {path for path in paths() if client.get(path).status_code not in (401, 403)}
    assert opened == {"/api/v1/openapi.json", "/api/v1/health", "/badge/Two.svg", "/feed.atom", "/api/v2/summary.json"}


def test_every_response_has_its_headers_and_an_unchanged_one_is_304(past: Path, client: TestClient) -> None:
    path = "/api/v1/incidents?from=2026-11-24&to=2026-11-25"
    answer = client.get(path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, max-age=5"
    assert "access-control-allow-origin" not in answer.headers
    tag = answer.headers["etag"]
    for shown in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = client.get(path, headers={"If-None-Match": shown})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    wrong = client.get("/api/v1/incidents?from=x")
    assert (wrong.headers["cache-control"], wrong.headers["x-content-type-options"]) == ("no-store", "nosniff")


def test_another_sites_page_may_read_only_where_it_is_configured(
    past: Path, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = {"Origin": "https://wiki.example"}
    assert "access-control-allow-origin" not in client.get("/api/v1/targets", headers=page).headers
    assert "access-control-allow-origin" not in client.options("/api/v1/targets", headers=page).headers
    monkeypatch.setattr(access, "allowed_origins", lambda: ["https://wiki.example"])
    for path in ("/api/v1/targets", "/api/v1/targets/Nobody", "/api/v1/probes"):
        answer = client.get(path, headers=page)
        assert answer.headers["access-control-allow-origin"] == "https://wiki.example", path
        assert "Origin" in answer.headers["vary"]
    asked = client.options("/api/v1/targets", headers=page)
    assert (asked.status_code, "Authorization" in asked.headers["access-control-allow-headers"]) == (204, True)
    other = client.get("/api/v1/targets", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers


def test_the_api_only_reads(past: Path, client: TestClient) -> None:
    for path in paths():
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert client.request(method, path).status_code == 405, (method, path)


@pytest.mark.process
def test_a_download_link_is_good_after_a_restart_and_at_every_replica(tmp_path: Path) -> None:
    """Two processes with the same login sign and take the same links; one with another login does not."""
    code = (
        "import sys; from pages.queries import access; access.TICKET_S = 10 ** 8\n"
        "print(access.ticket('table=probes', 4_000_000_000) if len(sys.argv) == 1 else "
        "access.may_download('table=probes', sys.argv[1]))"
    )

    def run(secret: str, *arguments: str) -> str:
        folder = tmp_path / secret
        (folder / ".streamlit").mkdir(parents=True, exist_ok=True)
        (folder / ".streamlit" / "secrets.toml").write_text(f'[auth]\ncookie_secret = "{secret}"\n')
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=folder,
            env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    ticket = run("one-secret")
    assert ticket.startswith("4000000000.")
    assert run("one-secret", ticket) == "True"
    assert run("another-secret", ticket) == "False"
    assert run("one-secret", ticket[:-2] + "AA") == "False"
