"""Badges, the feed and the summary in Statuspage's form: what they say, and to whom."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
from starlette.testclient import TestClient

from pages.queries import access
from store import open_store
from store.formats import iso
from store.schema import Row
from tests.api.conftest import now_ms
from tests.factories import DAY, MINUTE, model, probe, target

ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture
def now_down(store_at: Path) -> Path:
    """Two targets in the last two hours: one up after three minutes down, one that is down since three minutes; and
    two that the public is not told of.
    """
    last = now_ms() - 20_000
    rows: list[Row] = [
        target("acme/one", model="acme/m", base_url="http://secret-host.example/v1", tags="secret-tag"),
        target("Two <&>"),
        target("Keyless", state="waiting_for_key"),
        target("Off", state="disabled"),
        model(last - 2 * DAY, model="acme/m", valid_to=last - DAY, usd_per_million_input="1"),
        model(last - DAY, model="acme/m", usd_per_million_input="2"),
    ]
    for n in range(120):
        at = last - n * MINUTE
        rows.append(probe(at, "ok" if not 60 <= n < 63 else "timeout", target="acme/one"))
        rows.append(probe(at, "ok" if n >= 3 else "server_error", target="Two <&>"))
    store = open_store(f"sqlite:///{store_at}")
    store.write(rows)
    store.close()
    return store_at


@pytest.fixture
def public(now_down: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks has no token, and the status page is public."""
    monkeypatch.setattr(access, "guard", lambda: "login")
    monkeypatch.setenv(access.PUBLIC_FLAG, "yes")


def badge(client: TestClient, path: str) -> tuple[str, str, str]:
    made = client.get(f"/badge/{path}").json()
    assert made["schemaVersion"] == 1
    return made["label"], made["message"], made["color"]


@pytest.mark.usefixtures("now_down")
def test_a_badge_has_the_uptime_the_state_or_the_ttft(client: TestClient) -> None:
    # 117 of 120 minutes
    assert badge(client, "acme%2Fone.json") == ("uptime 30 d", "97.50%", "yellow")
    assert badge(client, "acme%2Fone.json?metric=state") == ("acme/one", "up", "brightgreen")
    assert badge(client, "acme%2Fone.json?metric=ttft&range=1d") == ("TTFT 1 d", "100 ms", "blue")
    assert badge(client, "Two%20%3C%26%3E.json?metric=state") == ("Two <&>", "down", "red")
    assert badge(client, "Keyless.json?metric=state") == ("Keyless", "unknown", "lightgrey")
    assert badge(client, "Keyless.json") == ("uptime 30 d", "not enough data", "lightgrey")
    assert badge(client, "acme%2Fone.json?label=status")[0] == "status"


def test_a_degraded_target_is_so_everywhere_and_its_uptime_is_not_touched(past: Path, client: TestClient) -> None:
    now = now_ms()
    store = open_store(f"sqlite:///{past}")
    store.write([target("Slow", ttft_max_s=0.05)])
    store.write(probe(now - n * MINUTE, target="Slow") for n in range(1, 20))
    store.close()
    assert badge(client, "Slow.json?metric=state") == ("Slow", "degraded", "yellow")
    assert badge(client, "Slow.json?range=10m") == ("uptime 10 min", "100%", "brightgreen")
    found = client.get("/api/v1/targets/Slow").json()
    assert found["state"] == {"status": "degraded", "since": None, "outcome": "ok"}
    summary = client.get("/api/v2/summary.json").json()
    assert "degraded_performance" in [one["status"] for one in summary["components"] if one["name"] == "Slow"]


@pytest.mark.usefixtures("now_down")
def test_an_svg_badge_is_an_image_that_escapes_names_and_says_itself_to_a_screen_reader(client: TestClient) -> None:
    answer = client.get("/badge/Two%20%3C%26%3E.svg?metric=state")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["cache-control"] == "private, max-age=60"
    image = fromstring(answer.content)
    assert image.attrib["aria-label"] == "Two <&>: down"
    assert [text.text for text in image.iter("{http://www.w3.org/2000/svg}text")] == ["Two <&>", "down"]
    assert "script" not in client.get("/badge/acme%2Fone.svg?label=<script>").text.replace("&lt;script&gt;", "")


@pytest.mark.usefixtures("now_down")
@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("Nobody.svg", 404, "there is no target 'Nobody'"),
        ("acme%2Fone", 404, "a badge is /badge/NAME.svg or /badge/NAME.json"),
        ("acme%2Fone.png", 404, "a badge is /badge/NAME.svg or /badge/NAME.json"),
        ("acme%2Fone.svg?metric=speed", 400, "metric='speed' is none of uptime, state, ttft"),
        ("acme%2Fone.svg?range=ever", 400, "is no duration"),
        ("acme%2Fone.svg?range=4000d", 400, "range is too long"),
    ],
)
def test_a_wrong_badge_is_answered_in_words(client: TestClient, path: str, status: int, said: str) -> None:
    answer = client.get(f"/badge/{path}")
    assert (answer.status_code, said in answer.json()["error"]["message"]) == (status, True)


@pytest.mark.usefixtures("public")
def test_the_public_has_badges_of_uptime_and_state_of_what_is_probed(client: TestClient) -> None:
    assert badge(client, "acme%2Fone.json?metric=state") == ("acme/one", "up", "brightgreen")
    assert client.get("/badge/acme%2Fone.svg").headers["cache-control"] == "public, max-age=60"
    assert client.get("/badge/acme%2Fone.svg?metric=ttft").status_code == 401
    for name in ("Keyless", "Off", "Nobody"):
        answer = client.get(f"/badge/{name}.svg")
        assert (answer.status_code, answer.json()["error"]["message"]) == (404, f"there is no target {name!r}")


@pytest.mark.usefixtures("now_down")
def test_the_feed_has_incidents_and_changes_the_newest_first(client: TestClient) -> None:
    answer = client.get("/feed.atom")
    assert answer.headers["content-type"] == "application/atom+xml"
    feed = fromstring(answer.content)
    entries = feed.findall(f"{ATOM}entry")
    assert [entry.findtext(f"{ATOM}title") for entry in entries] == [
        "Two <&> (here) is down",
        "acme/one (here) was down for 3 min",
        "acme/m changed",
    ]
    assert [entry.findtext(f"{ATOM}content") for entry in entries] == [
        "server error: it was server_error",
        "timeout: it was timeout",
        "price in: 1 → 2",
    ]
    ids = [entry.findtext(f"{ATOM}id") for entry in entries]
    assert len(set(ids)) == 3 and all(each and each.startswith("urn:uuid:") for each in ids)
    again = fromstring(client.get("/feed.atom").content)
    assert [entry.findtext(f"{ATOM}id") for entry in again.findall(f"{ATOM}entry")] == ids


@pytest.mark.usefixtures("now_down")
def test_an_unchanged_feed_is_not_sent_again(client: TestClient) -> None:
    tag = client.get("/feed.atom").headers["etag"]
    assert client.get("/feed.atom", headers={"If-None-Match": tag}).status_code in (200, 304)


@pytest.mark.usefixtures("now_down")
def test_a_feed_entry_keeps_its_id_when_its_incident_ends(client: TestClient, now_down: Path) -> None:
    def newest() -> tuple[str | None, str | None]:
        entry = fromstring(client.get("/feed.atom").content).findall(f"{ATOM}entry")[0]
        return entry.findtext(f"{ATOM}title"), entry.findtext(f"{ATOM}id")

    title, key = newest()
    assert title == "Two <&> (here) is down"
    store = open_store(f"sqlite:///{now_down}")
    store.write([probe(now_ms() - 1_000, target="Two <&>")])
    store.close()
    from streamlit import cache_data, cache_resource

    cache_data.clear()
    cache_resource.clear()
    assert newest() == ("Two <&> (here) was down for 2 min", key) or newest() == (
        "Two <&> (here) was down for 3 min",
        key,
    )


@pytest.mark.usefixtures("now_down")
def test_the_summary_is_in_statuspages_form(client: TestClient) -> None:
    summary = client.get("/api/v2/summary.json").json()
    assert summary["status"] == {"indicator": "major", "description": "Partial System Outage"}
    assert [(each["name"], each["status"], each["position"]) for each in summary["components"]] == [
        ("Two <&>", "major_outage", 1),
        ("acme/one", "operational", 2),
    ]
    [incident] = summary["incidents"]
    assert (incident["name"], incident["status"], incident["impact"]) == ("Two <&> is down", "investigating", "major")
    assert incident["components"] == [summary["components"][0]]
    assert incident["incident_updates"][0]["incident_id"] == incident["id"]
    assert summary["scheduled_maintenances"] == []


def test_a_target_without_a_recent_probe_is_not_called_operational(past: Path, client: TestClient) -> None:
    summary = client.get("/api/v2/summary.json").json()
    assert summary["status"]["indicator"] == "minor"
    assert {each["description"] for each in summary["components"]} == {"No recent probe: its state is unknown."}
    assert summary["incidents"] == []


@pytest.mark.usefixtures("public")
def test_the_public_learns_names_states_times_and_incidents_alone(client: TestClient) -> None:
    for path in ("/feed.atom", "/api/v2/summary.json", "/badge/acme%2Fone.svg", "/badge/acme%2Fone.json"):
        answer = client.get(path)
        assert answer.status_code == 200, path
        for hidden in (
            "secret",
            "acme/m",
            "server error",
            "server_error",
            "timeout",
            "price",
            "here",
            "Keyless",
            "Off",
        ):
            assert hidden not in answer.text, (path, hidden)


def test_an_empty_store_and_none_have_badges_and_feeds_that_say_nothing(store_at: Path, client: TestClient) -> None:
    for path in ("/feed.atom", "/api/v2/summary.json", "/metrics", "/badge/x.svg"):
        assert client.get(path).status_code == 503
    open_store(f"sqlite:///{store_at}").close()
    assert client.get("/api/v2/summary.json").json()["components"] == []
    assert fromstring(client.get("/feed.atom").content).findall(f"{ATOM}entry") == []
    assert client.get("/metrics").status_code == 200


def test_the_feed_has_retirements_which_are_updated_as_the_last_day_comes_near(past: Path, client: TestClient) -> None:
    now = now_ms()
    last_day = now - now % DAY + 5 * DAY
    store = open_store(f"sqlite:///{past}")
    store.write([target("Old", model="acme/old"), model(now - 60 * DAY, model="acme/old", valid_to=now - 40 * DAY)])
    store.write([model(now - 40 * DAY, model="acme/old", expires_at=last_day, valid_to=now - 2 * DAY)])
    store.write([model(now - 2 * DAY, model="acme/old", expires_at=last_day, usd_per_million_input="7")])
    store.close()
    entries = {
        entry.findtext(f"{ATOM}title"): entry
        for entry in fromstring(client.get("/feed.atom").content).iter(f"{ATOM}entry")
    }
    retirement = entries[f"acme/old retires on {iso(last_day)[:10]}"]
    assert retirement.findtext(f"{ATOM}published") == iso(now - 40 * DAY)  # when it was first stated
    assert retirement.findtext(f"{ATOM}updated") == iso(last_day - 7 * DAY)  # the last of 30, 7 and 1 days before
    assert entries["acme/old changed"].findtext(f"{ATOM}content") == "price in: 0 → 7"
