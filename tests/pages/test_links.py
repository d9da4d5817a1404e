"""Links from outside: to a target that is gone, to a location, to a range as people write it; and tab titles."""

from __future__ import annotations

import re
from contextlib import closing
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import streamlit as st

from pages.queries import access, cache, overview_rows, public_status
from pages.queries.time_range import TimeRange
from pages.sections import model_actions
from stats.status_bars import MOST_BARS
from store import open_store
from tests.factories import DAY, MINUTE, probe, target
from tests.pages.conftest import html, metric, now_ms, open_page

pytestmark = pytest.mark.thorough


def _two_locations(store_at: Path) -> None:
    now = now_ms()
    with closing(open_store(f"sqlite:///{store_at}")) as store:
        for location in ("here", "there"):
            store.write([target("Far", location=location, updated_at=now)])
            outcome = "ok" if location == "here" else "timeout"
            store.write(probe(now - n * MINUTE, outcome, target="Far", location=location) for n in range(20 * 60))
        store.write([target("Old", state="removed", updated_at=now), probe(now - MINUTE, target="Old")])


@pytest.mark.parametrize(
    ("name", "title", "said"),
    [
        ("nobody", "Unknown target", "No target is named `nobody`. It was renamed, or the link has a typo."),
        ("Old", "Removed target", "`Old` is no longer probed. Its history can be exported on the Export page."),
        ("``[x](http://evil)`", "Unknown target", "No target is named `[x](http://evil)`."),
    ],
)
def test_a_link_to_a_target_that_is_not_there_says_so_and_shows_no_other_one(
    store_at: Path, name: str, title: str, said: str
) -> None:
    _two_locations(store_at)
    app = open_page("model.py", target=name)
    assert not app.exception
    assert app.warning[0].proto.title == title
    assert said in app.warning[0].value and app.warning[0].value.endswith("Choose another target above.")
    assert "<h1" not in html(app)
    assert app.selectbox(key="target").value is None
    app.run()
    assert app.warning, "it stays until another target is chosen"
    app.selectbox(key="target").set_value("Far").run()
    assert not app.exception and not app.warning
    assert "</span>Far</h1>" in html(app)


def test_the_row_of_each_location_opens_that_location(store_at: Path) -> None:
    _two_locations(store_at)
    rows = re.findall(r'href="(model[^"]+)" target="_self" data-target=', html(open_page()))
    links = [dict(parse_qsl(urlsplit(unescape(row)).query)) for row in rows]
    assert links == [{"target": "Far", "location": "there"}, {"target": "Far", "location": "here"}]
    for link, uptime in zip(links, ("0%", "100%"), strict=True):
        assert metric(open_page("model.py", **link), "Uptime").startswith(f"{uptime} | ")


def test_a_link_to_a_location_that_does_not_probe_the_target_says_so(store_at: Path) -> None:
    _two_locations(store_at)
    app = open_page("model.py", target="Far", location="moon")
    assert app.warning[0].value == "Far is not probed from `moon`. Another location is shown."
    assert not open_page("model.py", target="Far", location="there").warning


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("24h", "24 h"),
        ("1d", "24 h"),
        ("7d", "7 d"),
        ("7 D", "7 d"),
        ("week", "7 d"),
        ("30d", "30 d"),
        ("month", "30 d"),
        ("90d", "90 d"),
        ("1y", "1 y"),
        ("365d", "1 y"),
        ("1 y", "1 y"),
    ],
)
def test_a_range_is_understood_as_people_write_it(filled: Path, written: str, meant: str) -> None:
    app = open_page(range=written)
    assert not app.exception
    assert (app.get("button_group")[0].value, app.selectbox(key="range_menu").value) == (meant, meant)
    assert metric(app, f"Probes in the last {meant}")


@pytest.mark.parametrize(
    ("page", "link", "title"),
    [
        ("", {}, "Overview · Uptoken"),
        ("compare.py", {}, "Compare · Uptoken"),
        ("model.py", {"target": "Steady"}, "Steady · Uptoken"),
        ("model.py", {"target": "nobody"}, "Model · Uptoken"),
    ],
)
def test_a_tab_is_titled_by_its_page_or_its_target(
    filled: Path, monkeypatch: pytest.MonkeyPatch, page: str, link: dict[str, str], title: str
) -> None:
    titles = []
    original = st.set_page_config

    def remember(**values: Any) -> None:
        titles.append(values.get("page_title"))
        original(**values)

    monkeypatch.setattr(st, "set_page_config", remember)
    assert not open_page(page, **link).exception
    assert titles[-1] == title


def test_a_search_changes_the_rows_and_not_the_fleets_numbers(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.sections.overview_controls.FEW", 2)
    everything, nothing = open_page(), open_page(find="nobody")
    assert "data-target" not in html(nothing)
    for label in ("Targets up", "Median time to first token", "Probes in the last 24 h"):
        assert metric(nothing, label) == metric(everything, label)
    assert metric(nothing, "Targets up").startswith("1 of 2 | 1 down, Broken for ")


def test_no_bar_ends_in_the_future(store_at: Path) -> None:
    _two_locations(store_at)
    now, url = now_ms(), f"sqlite:///{store_at}"
    targets = [target for target in cache.targets(url) if target.state == "active"]
    rows = overview_rows.rows(url, targets, TimeRange(now - 7 * DAY, now, True, ""), now)
    bars = [row.history.bars(MOST_BARS)[-1] for row in rows] + [
        line.bars[-1] for line in public_status.status_rows(url, now)
    ]
    assert len(bars) == 3
    assert all(now - MINUTE <= bar.until <= now and bar.since < bar.until for bar in bars)


@pytest.mark.parametrize(
    ("door", "token"),
    [("none", ""), *((door, '-H "Authorization: Bearer $UPTOKEN_API_TOKENS" ') for door in ("login", "password"))],
)
def test_the_call_of_the_api_that_is_copied_is_quoted_and_names_a_token_where_one_is_needed(
    monkeypatch: pytest.MonkeyPatch, door: str, token: str
) -> None:
    monkeypatch.setattr(access, "guard", lambda: door)
    copied = model_actions.curl("it's a/b", 0, DAY)
    moments = "from=1970-01-01T00:00:00.000Z&to=1970-01-02T00:00:00.000Z"
    assert copied == f"curl {token}'{{base}}api/v1/targets/it%27s%20a%2Fb/summary?{moments}'"
