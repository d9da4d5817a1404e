"""The public status page's preview in the dashboard, with how it is set up."""

from __future__ import annotations

from pathlib import Path

import pytest

from pages.queries import access
from pages.sections import public_status
from tests.pages.conftest import code, frame, html, open_page, text


def test_the_preview_is_the_embedded_form_with_links_that_are_right_from_the_dashboard(filled: Path) -> None:
    shown = frame(open_page("public_status.py"))
    assert "1 of 2 models down" in shown and "<h1>" not in shown
    assert 'href="status/Broken"' in shown and '<base target="_blank">' in shown


def test_the_settings_are_shown_with_their_variables(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPTOKEN_STATUS_TITLE", "Acme <models>")
    monkeypatch.setenv("UPTOKEN_STATUS_TIME_ZONE", "Europe/Berlin")
    app = open_page("public_status.py")
    said = text(html(app).partition("Settings")[2])
    for words in ("Acme <models>", "UPTOKEN_STATUS_TITLE", "Europe/Berlin", "everyone who can open this dashboard"):
        assert words in said, words
    assert 'src="https://uptoken.example.com/status/?embed"' in code(app)


def test_a_time_zone_that_is_none_is_named(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPTOKEN_STATUS_TIME_ZONE", "Nowhere/Land")
    app = open_page("public_status.py")
    assert not app.exception
    assert "&#39;Nowhere/Land&#39; is not a known time zone" in html(app)


@pytest.mark.parametrize(
    ("flag", "audience"),
    [("yes", "everyone, without a login"), (None, "nobody without a login; yes opens it to everyone")],
)
def test_behind_a_login_it_says_who_sees_the_page(
    monkeypatch: pytest.MonkeyPatch, flag: str | None, audience: str
) -> None:
    monkeypatch.setattr(access, "guard", lambda: "login")
    if flag is not None:
        monkeypatch.setenv(access.PUBLIC_FLAG, flag)
    assert audience in public_status.settings_table()


def test_the_frame_has_the_address_under_which_its_reader_sees_the_dashboard() -> None:
    assert 'src="https://a.example/deep/status/?embed"' in public_status.frame("https://a.example/deep/public-status")
