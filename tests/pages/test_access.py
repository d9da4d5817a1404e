"""Who may see the pages: on loopback everybody, elsewhere who logs in and is on the list."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import streamlit as st
from oidc_provider_mock import User, run_server_in_thread
from playwright.sync_api import Browser, Page
from streamlit.testing.v1 import AppTest

from benchmarks.browser import dashboard_process, free_port
from pages.shared import access
from store import open_store
from tests.pages.conftest import FRONT, now_ms, rows

LISTED = ["ada@example.com", "@uptoken.example"]


@pytest.mark.parametrize(
    ("person", "may"),
    [
        ({"email": "ada@example.com"}, True),
        ({"email": " Ada@Example.com", "email_verified": True}, True),
        ({"email": "bob@uptoken.example"}, True),
        ({"email": "bob@example.com"}, False),
        ({"email": "ada@example.com", "email_verified": False}, False),
        ({"email": "eve@evil.example@uptoken.example.evil"}, False),
        ({"email": "uptoken.example"}, False),
        ({"email": None}, False),
        ({}, False),
    ],
)
def test_who_is_on_the_list(person: dict[str, object], may: bool) -> None:
    assert access.allowed(person, LISTED) is may
    assert not access.allowed(person, [])


def test_a_ticket_is_for_one_download_and_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "guard", lambda: "login")
    good = access.ticket("table=probes")
    assert access.may_download("table=probes", good)
    now = int(time.time())
    for shown in (None, "", "x", f"{now + 99}.0", access.ticket("table=runs"), access.ticket("table=probes", now - 1)):
        assert not access.may_download("table=probes", shown)
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
        app = AppTest.from_file(FRONT, default_timeout=30).run()
        assert "listens on `0.0.0.0` without a login" in app.error[0].value
        assert access.OPEN_WORDS in app.error[0].value
        assert not app.title
    monkeypatch.setenv(access.OPEN_FLAG, access.OPEN_WORDS)
    app = AppTest.from_file(FRONT, default_timeout=30).run()
    assert not app.error


def log_in(page: Page, address: str, email: str) -> None:
    page.goto(address)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/oauth2/authorize**")
    page.get_by_role("button", name=email).click()
    page.wait_for_url(f"{address}/**")


def test_behind_a_login_only_who_is_listed_sees_pages_and_downloads(tmp_path: Path, browser: Browser) -> None:
    """Streamlit's login against an OpenID Connect provider on loopback, in a real browser."""
    url = f"sqlite:///{tmp_path}/a.db"
    store = open_store(url)
    store.write(rows(now_ms()))
    store.close()
    people = [User(sub=email, claims={"email": email}) for email in ("ada@example.com", "eve@evil.example")]
    port = free_port()
    with run_server_in_thread(user_claims=people) as provider:
        secrets = tmp_path / "secrets.toml"
        secrets.write_text(
            f"""
[auth]
redirect_uri = "http://localhost:{port}/oauth2callback"
cookie_secret = "a secret that only this test knows, long enough"
client_id = "uptoken"
client_secret = "also secret"
server_metadata_url = "http://localhost:{provider.server_port}/.well-known/openid-configuration"
[uptoken]
allowed_emails = {LISTED}
"""
        )
        secrets.chmod(0o600)
        flags = ("--secrets.files", str(secrets))
        with dashboard_process(url, *flags, host="localhost", port=port) as (address, _):
            stranger = browser.new_context().new_page()
            for path in ("", "/model", "/export", "/catalog"):
                stranger.goto(address + path)
                stranger.get_by_role("button", name="Log in").wait_for()
                assert stranger.get_by_text("Steady").count() == 0
            with pytest.raises(HTTPError) as refused:
                urlopen(f"{address}/api/export.csv?table=probes")
            assert refused.value.code == 403

            eve = browser.new_context().new_page()
            log_in(eve, address, "eve@evil.example")
            eve.get_by_text("is not on the list of this dashboard").wait_for()
            assert eve.get_by_text("Steady").count() == 0
            eve.goto(f"{address}/model")
            eve.get_by_text("is not on the list of this dashboard").wait_for()

            ada = browser.new_context().new_page()
            log_in(ada, address, "ada@example.com")
            ada.get_by_text("Steady").first.wait_for()
            ada.goto(f"{address}/export")
            link = ada.get_by_role("link", name="Download").get_attribute("href")
            assert link is not None and "ticket=" in link
            with urlopen(link if link.startswith("http") else f"{address}/{link.lstrip('/')}") as answer:
                assert answer.readline().startswith(b"target,started_at")
