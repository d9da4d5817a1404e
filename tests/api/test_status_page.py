"""The public status page over HTTP: what is on it, who may see it, and what it does when the store is broken."""

from __future__ import annotations

import gzip
import re
import threading
import time
from collections.abc import Callable
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote, urljoin

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from api import status_routes
from api.status_routes import StatusSite, routes
from pages.queries import access, public_status
from pages.queries.public_status import Maintenance, PublicStatus, load_public_status
from settings import maintenance as planning
from store import StoreError, open_store
from store.schema import Row
from tests.factories import DAY, HOUR, MINUTE, NOON, probe, target
from tests.pages.conftest import rows

NOW = NOON + 17 * MINUTE


def client_of(load: Callable[[], PublicStatus]) -> TestClient:
    return TestClient(Starlette(routes=routes(StatusSite(load))))


def store_with(path: Path, written: list[Row]) -> Callable[[], PublicStatus]:
    store = open_store(f"sqlite:///{path}")
    store.write(written)
    store.close()
    return lambda: load_public_status(f"sqlite:///{path}", NOW)


@pytest.fixture
def client(store_at: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr("store.clock.now_ms", lambda: NOW)
    return client_of(store_with(store_at, rows(NOW)))


def said(html: str) -> str:
    """What a reader sees, in one line."""
    html = re.sub(r"<style>.*?</style>|<head>.*?</head>", "", html, flags=re.S)
    return " ".join(unescape(re.sub("<[^>]*>", " ", html)).split())


def test_the_page_has_states_bars_and_incidents_and_the_target_that_is_down_comes_first(client: TestClient) -> None:
    answer = client.get("/status/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    page = answer.text
    assert "▼ 1 of 2 models down" in said(page)
    assert re.findall(r'<div class="top"><a href="([^"]*)">', page) == ["Broken", "Steady"]
    assert page.count('<svg class="bars" viewBox="0 0 90 10"') == 2
    assert 'aria-label="90 days: 1 up, 1 partly down, 88 no data"' in page or "88 no data" in page
    # ten failures a minute apart, the last 20 s ago
    assert "Broken down since 24 Nov, 12:07 , for 9 min so far" in said(page).replace("  ", " ")
    assert "<script" not in page and "http://" not in page.replace("http://www.w3.org/2000/svg", "")


def test_a_target_has_a_page_under_its_percent_encoded_name(store_at: Path) -> None:
    name = "acme/<b>fast & small</b>?:free"
    client = client_of(
        store_with(store_at, [target(name), *(probe(NOW - n * MINUTE, target=name) for n in range(200))])
    )
    index = client.get("/status/")
    [link] = re.findall(r'<div class="top"><a href="([^"]*)">', index.text)
    assert link == quote(name, safe="")
    page = client.get("/status/" + link)
    assert page.status_code == 200
    assert "<h1>acme/&lt;b&gt;fast &amp; small&lt;/b&gt;?:free</h1>" in page.text
    assert page.text.count("<rect ") == 90 and "<title>24 Nov 2026 (UTC): up</title>" in page.text
    assert "No incidents in the last 90 days." in page.text
    assert client.get("/status/nobody").status_code == 404


def test_links_are_relative_and_right_behind_a_sub_path(client: TestClient) -> None:
    at = "https://example.com/deep/path/status/"
    links = re.findall(r'(?:href|src|action)="([^"]*)"', client.get("/status/").text)
    assert {urljoin(at, link) for link in links if not link.startswith("data:")} == {
        f"{at}Broken",
        f"{at}Steady",
        "https://example.com/deep/path/feed.atom",
    }
    links = re.findall(r'href="([^"]*)"', client.get("/status/Broken").text)
    assert {urljoin(at + "Broken", link) for link in links if not link.startswith("data:")} == {
        at,
        "https://example.com/deep/path/feed.atom",
    }
    moved = client.get("/status?embed=true", follow_redirects=False)
    assert (moved.status_code, moved.headers["location"]) == (308, "status/?embed=true")


def test_nothing_but_names_states_times_and_incidents_is_on_it(store_at: Path) -> None:
    secrets = {
        "base_url": "https://secret-host.example/v1",
        "model": "secret-model",
        "provider": "secret-provider",
        "api_key_env": "SECRET_KEY_ENV",
        "tags": "secret-tag",
        "params": '{"secret-param": 1}',
    }
    written: list[Row] = [*rows(NOW), target("Public name", location="secret-place", **secrets)]
    for n in range(30):
        outcome = "server_error" if n < 5 else "ok"
        more = {"error": "secret-error"} if n < 5 else {"cost_usd": 7.77, "served_model": "secret-served"}
        written.append(probe(NOW - n * MINUTE, outcome, target="Public name", location="secret-place", **more))
    client = client_of(store_with(store_at, written))
    for path in ("/status/", "/status/?embed", "/status/Public%20name", "/status/Broken"):
        page = client.get(path).text
        assert client.get(path).status_code == 200
        for word in ("secret", "127.0.0.1", "SOME_KEY", "7.77", "$", "acme", "gemma", "server error", "it was"):
            assert word.lower() not in page.lower(), (path, word)
        for word in ("Alpha", "Beta", "openrouter", "Keyless", "ms", "tokens"):
            assert not re.search(rf"\b{word}\b", said(page)), (path, word)


def test_a_frame_may_show_the_embedded_form_and_nothing_else(client: TestClient) -> None:
    for query, may in {"?embed": True, "?embed=true": True, "?embed=false": False, "": False}.items():
        for path in ("/status/", "/status/Broken"):
            answer = client.get(path + query)
            policy = answer.headers["content-security-policy"]
            assert ("frame-ancestors *" in policy, "frame-ancestors 'self'" in policy) == (may, not may)
            assert ("<h1>" in answer.text, '<base target="_blank">' in answer.text) == (not may, may)


def test_a_page_that_did_not_change_is_not_sent_again_and_is_compressed_once(client: TestClient) -> None:
    first = client.get("/status/", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in first.headers
    with client.stream("GET", "/status/", headers={"Accept-Encoding": "gzip"}) as zipped:
        raw = b"".join(zipped.iter_raw())
    assert zipped.headers["content-encoding"] == "gzip" and gzip.decompress(raw) == first.content
    again = client.get("/status/", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.head("/status/").headers["content-length"] != "0" and client.head("/status/").content == b""
    assert client.post("/status/").status_code == 405


@pytest.mark.parametrize(
    ("door", "flag", "code"),
    [("none", None, 200), ("login", "yes", 200), ("login", None, 403), ("login", "no", 403), ("closed", "yes", 403)],
)
def test_who_may_see_it(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, door: str, flag: str | None, code: int
) -> None:
    monkeypatch.setattr(access, "guard", lambda: door)
    if flag is not None:
        monkeypatch.setenv(access.PUBLIC_FLAG, flag)
    for path in ("/status/", "/status/Broken", "/status/?embed"):
        assert client.get(path).status_code == code, path
    assert "Broken" not in client.get("/status/").text or code == 200


def test_many_who_ask_at_once_cost_one_rendering(store_at: Path) -> None:
    read, count, gate = store_with(store_at, rows(NOW)), 0, threading.Event()

    def load() -> PublicStatus:
        nonlocal count
        count += 1
        gate.wait(10)
        return read()

    client = client_of(load)
    codes: list[int] = []
    askers = [threading.Thread(target=lambda: codes.append(client.get("/status/").status_code)) for _ in range(20)]
    for asker in askers:
        asker.start()
    time.sleep(0.3)
    gate.set()
    for asker in askers:
        asker.join(20)
    assert (codes, count) == ([200] * 20, 1)


def test_it_is_rendered_at_most_once_in_ten_seconds(store_at: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, count, clock = store_with(store_at, rows(NOW)), 0, [1_000.0]
    monkeypatch.setattr(status_routes, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def load() -> PublicStatus:
        nonlocal count
        count += 1
        return read()

    client = client_of(load)
    for second in range(0, 61):
        clock[0] = 1_000.0 + second
        for path in ("/status/", "/status/Broken"):
            assert client.get(path).status_code == 200
        time.sleep(0.01)
    assert count == 7  # at 0, 10, 20 … 60 s


def test_a_new_page_is_made_behind_the_back_of_who_gets_the_previous_one(
    store_at: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_routes, "FRESH_S", 0.0)
    read, gate, begun = store_with(store_at, rows(NOW)), threading.Event(), threading.Event()

    def load() -> PublicStatus:
        if begun.is_set():
            gate.wait(10)
        begun.set()
        return read()

    client = client_of(load)
    assert client.get("/status/").status_code == 200
    before = time.monotonic()
    assert client.get("/status/").status_code == 200
    assert time.monotonic() - before < 1, "nobody waits for the store"
    gate.set()


def test_a_broken_store_leaves_the_last_page_which_says_of_when_it_is(
    store_at: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_routes, "FRESH_S", 0.0)
    monkeypatch.setattr(status_routes, "PREVIOUS_S", 0.0)
    client = client_of(store_with(store_at, rows(NOW)))
    assert "could not be refreshed" not in client.get("/status/").text
    store_at.unlink()
    for path in ("/status/", "/status/Broken", "/status/?embed"):
        page = client.get(path)
        assert page.status_code == 200
        late = "The status could not be refreshed: this is the last known one, of 2026-11-24 12:17:00 UTC"
        assert late in said(page.text)
        assert str(store_at) not in page.text
    assert "▼ 1 of 2 models down" in said(client.get("/status/").text)


def test_a_store_that_hangs_holds_nobody_up_for_long(store_at: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, hangs, gate = store_with(store_at, rows(NOW)), threading.Event(), threading.Event()

    def load() -> PublicStatus:
        if hangs.is_set():
            gate.wait(20)
        return read()

    client = client_of(load)
    assert client.get("/status/").status_code == 200
    for name, seconds in {"FRESH_S": 0.0, "PREVIOUS_S": 0.0, "PATIENCE_S": 0.3, "HURRIED_S": 0.1}.items():
        monkeypatch.setattr(status_routes, name, seconds)
    hangs.set()
    for _ in range(2):
        before = time.monotonic()
        assert "could not be refreshed" in client.get("/status/").text
        assert time.monotonic() - before < 2
    gate.set()


def test_without_any_status_it_says_that_it_is_unknown_and_not_why() -> None:
    def load() -> PublicStatus:
        raise StoreError("the disk /secret is on fire")

    answer = client_of(load).get("/status/")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert "The status is unknown right now" in answer.text and "secret" not in answer.text


def test_a_degraded_target_is_amber_comes_before_those_that_are_well_and_says_no_number(store_at: Path) -> None:
    slow = [probe(NOW - n * MINUTE, target="Slow", ttft_ms=2_750.0) for n in range(1, 20)]
    well = [probe(NOW - n * MINUTE, target="A well one") for n in range(1, 20)]
    targets = [target("Slow", ttft_max_s=2.0), target("A well one", ttft_max_s=2.0)]
    client = client_of(store_with(store_at, [*targets, *slow, *well]))
    page = client.get("/status/").text
    assert "▲ 1 of 2 models degraded" in said(page)
    assert 'class="card banner degraded"' in page
    assert re.findall(r'<div class="top"><a href="([^"]*)">', page) == ["Slow", "A%20well%20one"]
    alone = client.get("/status/Slow").text
    assert "▲ degraded" in said(alone) and "100% up" in said(alone)
    assert "2,750" not in page + alone and "limit" not in said(page + alone)


def test_healthy_targets_are_collapsed_when_they_are_many(store_at: Path) -> None:
    written: list[Row] = []
    for number in range(45):
        name = f"Model {number:02d}"
        outcome = "timeout" if number == 7 else "ok"
        written += [target(name), *(probe(NOW - n * MINUTE, outcome, target=name) for n in range(4))]
    page = client_of(store_with(store_at, written)).get("/status/").text
    before, _, inside = page.partition("<details")
    assert "▼ 1 of 45 models down" in said(before) and ">Model 07</a>" in before and ">Model 08</a>" not in before
    assert said("<details" + inside).startswith("● 44 models up")
    assert inside.partition("</details>")[0].count('<div class="top">') == 44


def test_twenty_targets_that_were_down_again_and_again_are_under_40_kb(store_at: Path) -> None:
    written: list[Row] = []
    for number in range(20):
        name = f"A model with quite a long name, number {number:02d}"
        written.append(target(name, every_s=3_600.0))
        for n in range(90 * 12):
            outcome = "timeout" if (n + number) % 36 in (3, 4) else "ok"
            written.append(probe(NOW - n * 2 * HOUR, outcome, target=name, stands_for_s=7_200.0))
    page = client_of(store_with(store_at, written)).get("/status/").content
    assert page.count(b'class="p"') >= 20
    assert 10_000 < len(page) < 40_000


def test_an_outage_that_several_locations_saw_is_one(store_at: Path) -> None:
    written: list[Row] = []
    for number, place in enumerate(("a", "b", "c")):
        written.append(target("Everywhere", location=place))
        for n in range(60):
            is_down = place != "c" and 10 + number <= n < 20 + number
            written.append(probe(NOW - n * MINUTE, "timeout" if is_down else "ok", target="Everywhere", location=place))
    page = client_of(store_with(store_at, written)).get("/status/Everywhere").text
    # b failed from minute 20 before now to 11 before now, a from 19 to 10: up again at 9 and 10 minutes before
    assert said(page).count("down from") == 1
    assert "down from 24 Nov, 11:57 to 12:08 , for 11 min, seen from 2 of 3 locations" in said(page)


def test_planned_maintenance_has_a_section(store_at: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = [Maintenance(NOW - HOUR, NOW + HOUR, ("Steady",)), Maintenance(NOW + DAY, NOW + DAY + HOUR, ("Broken",))]
    monkeypatch.setattr(public_status, "planned_maintenance", lambda url, now: planned)
    client = client_of(store_with(store_at, rows(NOW)))
    assert "Maintenance Steady : 24 Nov, 11:17 to 24 Nov, 13:17 , now Broken : 25 Nov" in said(
        client.get("/status/").text
    )
    page = said(client.get("/status/Steady").text)
    assert "Maintenance Steady" in page and "25 Nov" not in page


def test_a_target_that_is_paused_says_so_in_words_and_bars(store_at: Path) -> None:
    paused = [probe(NOW - n * MINUTE, target="a", outcome="paused", ttft_ms=None) for n in range(600)]
    planned = planning.to_json([planning.Maintenance("update", NOW - HOUR, NOW + HOUR)])
    client = client_of(store_with(store_at, [target("a", maintenance=planned), *paused]))
    for page in ("/status/", "/status/a"):
        answer = client.get(page)
        assert answer.status_code == 200
        assert "‖ paused" in said(answer.text)
        assert 'class="m"' in answer.text
        assert "a : 24 Nov, 11:17 to 24 Nov, 13:17 , now" in said(answer.text)


def test_title_time_zone_and_notice_come_from_the_environment(store_at: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPTOKEN_STATUS_TITLE", "Acme's models")
    monkeypatch.setenv("UPTOKEN_STATUS_TIME_ZONE", "Europe/Berlin")
    monkeypatch.setenv("UPTOKEN_NOTICE", "<Moving> on Friday.")
    page = client_of(store_with(store_at, rows(NOW))).get("/status/").text
    assert "<h1>Acme&#39;s models</h1>" in page and "&lt;Moving&gt; on Friday." in page
    assert "as of 2026-11-24 13:17:00 CET" in said(page)
    monkeypatch.setenv("UPTOKEN_STATUS_TIME_ZONE", "Nowhere/Land")
    assert public_status.page_settings().zone == "UTC"
