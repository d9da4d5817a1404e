"""What the system page counts, and what the status page keeps to itself."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import streamlit as st

from api.status_page import describe_share
from pages.components import formatting
from pages.queries import access, public_status
from stats.incidents import TargetState, majority
from store import open_store
from store.schema import Certificate, RateLimit, Run
from tests.factories import DAY, HOUR, MINUTE, NOON, probe, target
from tests.pages.conftest import frame, html, metric, now_ms, open_page


def test_the_system_page_counts_runs_errors_and_what_was_skipped(filled: Path) -> None:
    store = open_store(f"sqlite:///{filled}")
    now = now_ms()
    store.write(
        [
            Run("catalog", now - HOUR, "here", now - HOUR + 2_000, 340, 0, "GET /models answered with HTTP <500>"),
            Run("probe", now - 2 * HOUR, "here", now - 2 * HOUR + 900, 3, 4),
        ]
    )
    store.close()
    app = open_page("system.py")
    assert metric(app, "Collector").startswith("running | last activity ")
    assert metric(app, "Runs in the last 24 h") == "3 | 1 run with an error, 4 probes skipped"
    assert metric(app, "Store").split(" | ")[1].startswith("2,")
    page = html(app)
    assert "GET /models answered with HTTP &lt;500&gt;" in page
    assert '<b>catalog</b><span class="more">here</span>' in page
    assert 'aria-label="48 bars: 1 down, 47 no data"' in page
    assert "streamlit 1." in page
    assert "from the future" not in page


def test_a_wrong_configuration_is_shown_until_the_file_is_right_again(filled: Path) -> None:
    store, now = open_store(f"sqlite:///{filled}"), now_ms()
    wrong = "targets.toml, line 3: <[collector]> has no 'evry'; did you mean 'every'?"
    store.write([Run("configuration", now - HOUR, place, now - HOUR, 0, 0, wrong) for place in ("here", "there")])
    store.close()
    page = html(open_page("system.py"))
    shown = "line 3: &lt;[collector]&gt; has no &#39;evry&#39;"
    assert page.count(shown) == 2
    assert "the collector keeps the one from before" in page
    store = open_store(f"sqlite:///{filled}")
    store.write([Run("configuration", now - MINUTE, "here", now - MINUTE, 1)])
    store.close()
    st.cache_data.clear()
    assert html(open_page("system.py")).count(shown) == 1
    store = open_store(f"sqlite:///{filled}")
    store.write([Run("configuration", now - MINUTE, "there", now - MINUTE, 1)])
    store.close()
    st.cache_data.clear()
    page = html(open_page("system.py"))
    assert shown not in page and "the one from before" not in page


def test_rows_from_the_future_are_counted_and_believed_by_nobody(filled: Path) -> None:
    store, now = open_store(f"sqlite:///{filled}"), now_ms()
    then = now + 500 * 24 * HOUR
    store.write([probe(then + n, "timeout") for n in range(3)] + [Run("probe", then, "here", then, 3)])
    store.close()
    app = open_page("system.py")
    assert "3 in probes, 1 in runs. A clock was ahead when they were recorded" in html(app)
    assert metric(app, "Collector").startswith("running | last activity ")


def test_the_days_of_this_week_are_counted_also_on_the_last_day_of_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Roll-ups of 16 days: the last of them would hide the week that it holds."""
    now = 1_298 * 16 * DAY - 5 * HOUR
    monkeypatch.setattr("store.clock.time", SimpleNamespace(time_ns=lambda: now * 1_000_000))
    url = f"sqlite:///{tmp_path}/block.db"
    store = open_store(url)
    store.write([target(), *(probe(now - n * HOUR, lag_ms=50.0 if n % 4 == 0 else 0.1) for n in range(24 * 40))])
    store.close()
    monkeypatch.setenv("UPTOKEN_STORE", url)
    app = open_page("system.py")
    assert re.search(r"\| 960 probes, about [\d.]+ kB more per day$", metric(app, "Store"))
    assert metric(app, "Lag in the last hour, p50 and p95").endswith("| 25.0% of probes excluded in 8 days")


@pytest.fixture
def broken(filled: Path) -> Path:
    """Three probes of the target that is up failed in Uptoken itself: the newest one, one of today, and one of long ago."""
    store, now = open_store(f"sqlite:///{filled}"), now_ms()
    for at in (now - 1_000, now - HOUR + 7, now - 25 * HOUR):
        store.write([probe(at, "internal_error", target="Steady", error="AssertionError: <no> socket")])
    store.close()
    return filled


def test_an_error_in_uptoken_itself_is_an_error_on_the_system_page(broken: Path) -> None:
    app = open_page("system.py")
    assert metric(app, "Runs in the last 24 h").endswith("0 probes skipped, 2 probes failed in Uptoken itself")
    card = html(app).partition("Errors in Uptoken")[2].partition("Budget")[0]
    assert card.count('<span class="u-state down">▼ error</span>') == 2
    # beside the target: on a phone a column of its own is out of sight
    assert '<b>Steady</b><span class="more">AssertionError: &lt;no&gt; socket</span>' in card
    assert "This is a bug in Uptoken; please report it" in card


def test_an_error_in_uptoken_itself_is_no_outage_of_the_target(broken: Path) -> None:
    overview = html(open_page())
    row = overview.partition('data-target="Steady"')[2].partition('class="u-row"')[0]
    assert "◆ error in Uptoken" in row and "▼" not in row
    app = open_page("model.py", target="Steady")
    assert metric(app, "Uptime").startswith("100% | ")
    assert metric(app, "Success rate") == "100% | 1,161 of 1,161"
    page = html(app)
    assert "no incidents" in page
    assert '<span class="u-state not_counted">◆ error in Uptoken</span>' in page
    status = frame(open_page("public_status.py"))
    assert "1 of 2 models down" in status and "not counted" in status
    assert "Uptoken itself" not in status and "AssertionError" not in status


def test_without_an_error_in_uptoken_the_system_page_does_not_speak_of_one(filled: Path) -> None:
    page = html(open_page("system.py"))
    assert "Errors in Uptoken" not in page and "in Uptoken itself" not in page


def test_a_store_of_today_is_not_said_to_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/today.db"
    monkeypatch.setenv("UPTOKEN_STORE", url)
    store = open_store(url)
    store.write([target(), probe(now_ms())])
    store.close()
    assert metric(open_page("system.py"), "Store").endswith(" kB | 1 probe")


def test_the_status_page_says_names_states_and_incidents_and_nothing_else(filled: Path) -> None:
    page = frame(open_page("public_status.py"))
    assert "1 of 2 models down" in page
    assert page.index(">Broken</a>") < page.index(">Steady</a>")
    assert 'aria-label="90 days: ' in page
    assert "so far" in page
    page = re.sub(r"<style>.*?</style>", "", page, flags=re.S)
    for secret in ("acme/broken", "gemma-3-270m", "it was server_error", "server error", "127.0.0.1", "SOME_KEY", "$"):
        assert secret not in page, secret


@pytest.mark.parametrize("hour", [1, 12, 23])
def test_the_status_page_says_of_how_much_time_its_percentage_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hour: int
) -> None:
    """At any hour of the day: four hours are not ninety days, and what is left of today is not missing."""
    now = NOON - 12 * HOUR + hour * HOUR
    url = f"sqlite:///{tmp_path}/young.db"
    store = open_store(url)
    store.write([target("Young", updated_at=now), target("Old", updated_at=now), target("Sparse", updated_at=now)])
    store.write(probe(now - n * MINUTE, target="Young") for n in range(240))
    store.write(probe(now - n * MINUTE, target="Sparse") for n in range(0, 240, 3))
    store.write(probe(now - n * HOUR, target="Old", stands_for_s=3_600.0) for n in range(91 * 24))
    store.close()
    found = {line.name: line for line in public_status.status_rows(url, now)}
    began = formatting.clock(now - 239 * MINUTE, "UTC")
    assert describe_share(found["Young"], "UTC") == f"100% up since {began}"
    assert describe_share(found["Old"], "UTC") == "100% up"
    assert describe_share(found["Sparse"], "UTC") == "not enough data"


def test_a_store_that_is_not_there_is_not_named_on_the_status_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPTOKEN_STORE", f"sqlite:///{tmp_path}/nowhere.db")
    app = open_page("public_status.py")
    assert "The status is unknown right now" in frame(app)
    assert "nowhere" not in frame(app) + html(app)


def test_a_target_is_down_only_where_most_places_see_it() -> None:
    down, up, stale = TargetState("down", 1), TargetState("up", 2), TargetState("stale", 3)
    assert majority([down, up]) == up
    assert majority([down, down, up]) == down
    assert majority([stale, up]) == up
    assert majority([stale, stale]) == stale


def test_from_several_places_the_status_page_has_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url, now = f"sqlite:///{tmp_path}/places.db", now_ms()
    monkeypatch.setenv("UPTOKEN_STORE", url)
    store = open_store(url)
    for place, outcome in (("a", "ok"), ("b", "timeout"), ("c", "ok")):
        store.write([target("Everywhere", location=place)])
        store.write([probe(now - n * 60_000, outcome, target="Everywhere", location=place) for n in range(30)])
    store.close()
    page = frame(open_page("public_status.py"))
    assert (page.count(">Everywhere</a>"), page.count("<b>Everywhere</b>")) == (1, 1)
    assert "seen from 1 of 3 locations" in page
    assert "Everywhere is up" in page


def test_with_the_flag_who_has_not_logged_in_sees_the_status_page_alone(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "guard", lambda: "login")
    app = open_page()
    assert [button.label for button in app.button] == ["Log in"]
    monkeypatch.setenv(access.PUBLIC_FLAG, "yes")
    app = open_page()
    assert re.findall("<h1>(.*?)</h1>", html(app)) == ["Public status"]
    assert "1 of 2 models down" in frame(app)
    assert "acme/broken" not in frame(app) + html(app) and "UPTOKEN_STATUS_TITLE" not in html(app)
    assert [button.label for button in app.button] == ["Log in"]


def test_the_system_page_says_what_servers_leave_us_and_who_rests(filled: Path) -> None:
    store, now = open_store(f"sqlite:///{filled}"), now_ms()
    why = "the server asked for it (HTTP 429, retry after 1 h)"
    store.write(
        [
            RateLimit("Steady", "here", now - 1_000, None, None, 14_400, 14_370, now + HOUR, 18_000, 900, now - 500),
            RateLimit("Broken", "here", now - 1_000, now + HOUR, why),
        ]
    )
    store.close()
    card = html(open_page("system.py")).partition("Rate limits")[2].partition("Collectors")[0]
    assert "14,370 of 14,400" in card and "900 of 18,000" in card
    assert ">in 60 min<" in card or ">in 1 h<" in card
    assert ">by now<" in card, "the tokens were reset half a second after they were told"
    assert card.index("Broken") < card.index("Steady"), "who rests comes first"
    assert card.count("resting until") == 1 and f'<span class="more">{why}</span>' in card


def test_where_no_server_says_what_is_left_the_system_page_does_not_speak_of_it(filled: Path) -> None:
    assert "Rate limits" not in html(open_page("system.py"))


@pytest.mark.parametrize(
    ("told_ago", "until_in"),
    [
        (2 * HOUR, -HOUR),  # over
        (-400 * DAY, 401 * DAY),  # told by a clock that was ahead by a year
        (25 * HOUR, 400 * DAY),  # a rest is at most a day
    ],
)
def test_a_rest_that_is_over_or_cannot_be_is_not_shown(filled: Path, told_ago: int, until_in: int) -> None:
    store, now = open_store(f"sqlite:///{filled}"), now_ms()
    store.write([RateLimit("Steady", "here", now - told_ago, now + until_in, "the server asked for it")])
    store.close()
    assert "resting until" not in html(open_page("system.py"))
    assert "esting until" not in html(open_page()) + html(open_page("model.py", target="Steady"))


def test_a_target_that_rests_says_so_on_its_page_and_in_the_overview(filled: Path) -> None:
    store, now = open_store(f"sqlite:///{filled}"), now_ms()
    why = "the server asked for it (HTTP 429, retry after 90 s)"
    store.write(
        [
            probe(now - 1_000, "rate_limited", target="Steady", error="HTTP 429: slow down (retry after 90)"),
            RateLimit("Steady", "here", now - 900, now + 90_000, why),
        ]
    )
    store.close()
    head = html(open_page("model.py", target="Steady")).partition('class="u u-head"')[2].partition("u-metric")[0]
    assert re.search(r"Resting until [^<]*: the server asked for it \(HTTP 429, retry after 90 s\)\.", head)
    row = html(open_page()).partition('data-target="Steady"')[2].partition('class="u-row"')[0]
    assert "resting until" in row and f'data-tip="{why}"' in row


def test_the_system_page_says_when_certificates_expire_the_first_one_on_top(filled: Path) -> None:
    assert "Certificates" not in html(open_page("system.py"))
    store, now = open_store(f"sqlite:///{filled}"), now_ms()
    store.write(
        [
            target("tls", base_url="https://late.example/v1"),
            target("tls2", base_url="https://soon.example:8443/v1"),
            Certificate("late.example", "here", now, now + 60 * DAY + HOUR, "A <good> authority"),
            Certificate("soon.example:8443", "here", now, now + 3 * DAY + HOUR),
            Certificate("gone.example", "here", now, now + DAY),
        ]
    )
    store.close()
    st.cache_data.clear()
    st.cache_resource.clear()
    card = html(open_page("system.py")).partition("Certificates")[2].partition("Versions")[0]
    assert card.index("<b>soon.example:8443</b>") < card.index("<b>late.example</b>")
    assert '<span class="u-state down">▼ in 3 d' in card and "A &lt;good&gt; authority" in card
    assert card.count("u-state down") == 1 and "gone.example" not in card
