"""Who may see the pages: on loopback everybody, elsewhere who logs in and is on the list."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import streamlit as st
from oidc_provider_mock import User, run_server_in_thread
from playwright.sync_api import Browser, Page

from benchmarks.browser import dashboard_process, free_port
from benchmarks.tools import ROOT
from pages.queries import access
from pages.shell import sign_in
from store import open_store
from tests.pages.conftest import now_ms, open_page, rows

LISTED = ["ada@example.com", "@uptoken.example"]
ISSUER = "https://login.microsoftonline.com/tenant/v2.0"
LIST = access.read_allow_list({"allowed_emails": LISTED, "allowed_subjects": [f"{ISSUER}|AbC"]})


@pytest.mark.parametrize(
    ("person", "may"),
    [
        ({"email": "ada@example.com", "email_verified": True}, True),
        ({"email": " Ada@Example.com", "email_verified": True}, True),
        ({"email": "bob@uptoken.example", "email_verified": True}, True),
        ({"email": "bob@example.com", "email_verified": True}, False),
        ({"email": "ada@example.com", "email_verified": False}, False),
        ({"email": "ada@example.com"}, False),
        ({"email": "ada@example.com", "email_verified": None}, False),
        ({"email": "ada@example.com", "email_verified": "true"}, False),
        ({"email": "ada@example.com", "email_verified": "false"}, False),
        ({"email": "ada@example.com", "email_verified": 1}, False),
        ({"email": "eve@evil.example@uptoken.example.evil", "email_verified": True}, False),
        ({"email": "uptoken.example", "email_verified": True}, False),
        ({"email": "@uptoken.example", "email_verified": True}, False),
        ({"email": ["ada@example.com"], "email_verified": True}, False),
        ({"email": None, "email_verified": True}, False),
        ({}, False),
        ({"iss": ISSUER, "sub": "AbC"}, True),
        ({"iss": ISSUER, "sub": "AbC", "email": "eve@evil.example", "email_verified": False}, True),
        ({"iss": ISSUER, "sub": "abc"}, False),
        ({"iss": "https://evil.example", "sub": "AbC"}, False),
        ({"iss": "https://evil.example", "sub": "AbC", "oid": "AbC"}, False),
        ({"iss": f"{ISSUER}|AbC", "sub": ""}, False),
        ({"sub": "AbC"}, False),
        ({"iss": ISSUER}, False),
    ],
)
def test_who_is_on_the_list(person: dict[str, object], may: bool) -> None:
    assert access.allowed(person, LIST) is may
    assert not access.allowed(person, access.AllowList())


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"allowed_emails": "ada@example.com"}, "allowed_emails in the secrets must be a list of texts"),
        ({"allowed_emails": 7}, "allowed_emails in the secrets must be a list of texts"),
        ({"allowed_emails": {"a": "b@c.d"}}, "allowed_emails in the secrets must be a list of texts"),
        ({"allowed_emails": ["ada@example.com", 7]}, "allowed_emails in the secrets must be a list of texts"),
        ({"allowed_emails": ["example.com"]}, "has 'example.com', which is neither an address nor a domain"),
        ({"allowed_emails": [""]}, "has '', which is neither an address nor a domain"),
        ({"allowed_emails": ["@"]}, "has '@', which is neither an address nor a domain"),
        ({"allowed_subjects": "https://a.example|b"}, "allowed_subjects in the secrets must be a list of texts"),
        ({"allowed_subjects": ["https://a.example"]}, "has 'https://a.example', which is no account"),
        ({"allowed_subjects": ["b"]}, "has 'b', which is no account"),
        (5, "uptoken in the secrets must be a table"),
    ],
)
def test_a_list_that_is_none_is_refused_with_what_to_write(section: object, said: str) -> None:
    with pytest.raises(access.AccessError) as refused:
        access.read_allow_list(section)
    assert said in str(refused.value)
    assert ": " in str(refused.value)


@pytest.mark.process
@pytest.mark.parametrize(
    ("secrets", "said"),
    [
        (
            '[uptoken]\nallowed_emails = "ada@example.com"',
            "allowed_emails in the secrets must be a list of texts: allowed_",
        ),
        ("[uptoken]\nallowed_emails = 7", "allowed_emails in the secrets must be a list of texts: allowed_emails = ["),
        ("[auth", "the secrets cannot be read: check that secrets.toml is valid TOML"),
        ("[auth]", "auth in the secrets must be a table with the login's settings"),
    ],
)
def test_the_dashboard_does_not_start_with_secrets_that_let_nobody_in_or_anybody(
    secrets: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "secrets.toml"
    path.write_text(secrets)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            "app.py",
            "--server.port",
            str(free_port()),
            "--secrets.files",
            path,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert f"The dashboard does not start: {said}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_ticket_is_for_one_download_and_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "guard", lambda: "login")
    listed = access.AllowList(frozenset({"ada@example.com"}))
    monkeypatch.setattr(access, "sign_in_settings", lambda: (True, listed))
    good = access.ticket("table=probes")
    assert access.may_download("table=probes", good)
    now = int(time.time())
    for shown in (None, "", "x", f"{now + 99}.0", access.ticket("table=runs"), access.ticket("table=probes", now - 1)):
        assert not access.may_download("table=probes", shown)
    for shown in (
        "²³.0",
        f"{'9' * 400}.{'0' * 64}",
        f"{now + 99}.{'é' * 64}",
        "\x00\udcff.",
        "٣" * 10 + "." + "0" * 64,
        ".",
    ):
        assert not access.may_download("table=probes", shown)
    listed = access.AllowList(frozenset({"bob@example.com"}))
    assert not access.may_download("table=probes", good), "a ticket of somebody who was taken off the list"
    listed = access.AllowList(frozenset({"ada@example.com"}))
    monkeypatch.setattr(access, "guard", lambda: "closed")
    assert not access.may_download("table=probes", good)
    monkeypatch.setattr(access, "guard", lambda: "none")
    assert access.may_download("table=probes", None)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    open_store(f"sqlite:///{tmp_path}/a.db").close()
    monkeypatch.setenv("UPTOKEN_STORE", f"sqlite:///{tmp_path}/a.db")
    st.config.set_option("server.address", "0.0.0.0")
    yield
    st.config.set_option("server.address", "127.0.0.1")


@pytest.mark.usefixtures("elsewhere")
def test_on_another_address_nothing_is_shown_without_the_flag_that_says_what_it_opens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for value in (None, "1", "yes"):
        if value is not None:
            monkeypatch.setenv(access.OPEN_FLAG, value)
        app = open_page()
        assert "listens on `0.0.0.0` without a login" in app.error[0].value
        assert access.OPEN_WORDS in app.error[0].value
        assert not app.title
    monkeypatch.setenv(access.OPEN_FLAG, access.OPEN_WORDS)
    app = open_page()
    assert not app.error


def log_in(page: Page, address: str, email: str) -> None:
    page.goto(address)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/oauth2/authorize**")
    page.get_by_role("button", name=email).click()
    page.wait_for_url(f"{address}/**")


PEOPLE = [
    User(sub="ada@example.com", claims={"email": "ada@example.com", "email_verified": True}),
    User(sub="eve@evil.example", claims={"email": "eve@evil.example", "email_verified": True}),
    User(sub="mallory", claims={"email": "ada@example.com"}),  # whoever says so
    User(sub="liar", claims={"email": "ada@example.com", "email_verified": "true"}),
    User(sub="carol", claims={"email": "carol@example.com"}),  # no verified address, but a listed account
]


def write_secrets(folder: Path, port: int, provider_port: int) -> Path:
    """A dashboard's login, with one account that is listed by its address and one by its subject."""
    secrets = folder / "secrets.toml"
    secrets.write_text(
        f"""
[auth]
redirect_uri = "http://localhost:{port}/oauth2callback"
cookie_secret = "a secret that only this test knows, long enough"
client_id = "uptoken"
client_secret = "also secret"
server_metadata_url = "http://localhost:{provider_port}/.well-known/openid-configuration"
[uptoken]
allowed_emails = {LISTED}
allowed_subjects = ["http://localhost:{provider_port}|carol"]
"""
    )
    secrets.chmod(0o600)
    return secrets


def test_behind_a_login_only_who_is_listed_sees_pages_and_downloads(tmp_path: Path, browser: Browser) -> None:
    """Streamlit's login against an OpenID Connect provider on loopback, in a real browser."""
    url = f"sqlite:///{tmp_path}/a.db"
    store = open_store(url)
    store.write(rows(now_ms()))
    store.close()
    port = free_port()
    with run_server_in_thread(user_claims=PEOPLE) as provider:
        secrets = write_secrets(tmp_path, port, provider.server_port)
        flags = ("--secrets.files", str(secrets))
        with (
            dashboard_process(url, *flags, host="localhost", port=port) as (address, _),
            browser.new_context() as without_cookies,
            browser.new_context() as with_ada,
            browser.new_context() as with_carol,
        ):
            stranger = eve = pretender = without_cookies.new_page()  # one after another
            for path in ("", "/model", "/export", "/catalog"):
                stranger.goto(address + path)
                stranger.get_by_role("button", name="Log in").wait_for()
                assert stranger.get_by_text("Steady").count() == 0
            with pytest.raises(HTTPError) as refused:
                urlopen(f"{address}/api/export.csv?table=probes")
            assert refused.value.code == 403

            log_in(eve, address, "eve@evil.example")
            eve.get_by_text("is not on the list of this dashboard").wait_for()
            assert eve.get_by_text("Steady").count() == 0
            eve.goto(f"{address}/model")
            eve.get_by_text("is not on the list of this dashboard").wait_for()

            ada = with_ada.new_page()
            log_in(ada, address, "ada@example.com")
            ada.get_by_text("Steady").first.wait_for()
            ada.goto(f"{address}/export")
            link = ada.get_by_role("link", name="Download").get_attribute("href")
            assert link is not None and "ticket=" in link
            with urlopen(link if link.startswith("http") else f"{address}/{link.lstrip('/')}") as answer:
                assert answer.readline().startswith(b"target,started_at")

            for name in ("mallory", "liar"):
                without_cookies.clear_cookies()
                log_in(pretender, address, name)
                pretender.get_by_text("does not say that it verified ada@example.com").wait_for()
                assert pretender.get_by_text(f"http://localhost:{provider.server_port}|{name}").count() == 1
                assert pretender.get_by_text("Steady").count() == 0
            carol = with_carol.new_page()
            log_in(carol, address, "carol")
            carol.get_by_text("Steady").first.wait_for()

            # both are taken off the list while their pages are open: they end without a click
            secrets.write_text(
                secrets.read_text().replace("ada@example.com", "bob@example.com").replace("|carol", "|bob")
            )
            for page in (ada, carol):
                page.get_by_text("Ask").first.wait_for(timeout=25_000)
                assert page.get_by_text("Steady").count() == 0
            with pytest.raises(HTTPError) as refused:
                urlopen(link if link.startswith("http") else f"{address}/{link.lstrip('/')}")
            assert refused.value.code == 403


def test_every_part_that_runs_by_itself_looks_whether_its_viewer_is_still_on_the_list() -> None:
    pages = [path for path in (ROOT / "pages").rglob("*.py") if path.name != "sign_in.py"]
    assert [path.name for path in pages if "st.fragment" in path.read_text()] == []


def test_a_login_that_disappears_from_the_secrets_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_had_login", False)
    found: dict[str, object] = {"auth": {"client_id": "x"}}
    monkeypatch.setattr(access.st, "secrets", found)
    assert access.guard() == "login"
    found.clear()  # an editor empties a file before it writes it
    assert access.guard() == "closed"
    assert sign_in._why_closed().startswith("The login was taken out of the secrets: restart the dashboard")
