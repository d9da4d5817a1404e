"""Incidents, single probes, the catalog and the health of the collector."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api import table_stream
from store import Selection, open_store
from store.formats import csv_chunks
from store.schema import PROBES, Run
from tests.api.conftest import now_ms
from tests.factories import HOUR, MINUTE, NOON, probe, target

DAY_OF = "from=2026-11-24&to=2026-11-25"


def test_incidents_have_their_beginning_and_end_whatever_the_range(past: Path, client: TestClient) -> None:
    inside = client.get("/api/v1/incidents?from=2026-11-24T12:11:30Z&to=2026-11-24T12:12:00Z").json()
    assert inside["incidents"] == [
        {
            "target": "acme/one",
            "location": "here",
            "began_at": "2026-11-24T12:10:00.000+00:00",
            "ended_at": "2026-11-24T12:13:00.000+00:00",
            "seen_until": None,
            "is_open": False,
            "duration_s": 180.0,
            "cause": "timeout",
            "probes": 3,
            "error": "it took too long",
        }
    ]
    assert client.get(f"/api/v1/incidents?{DAY_OF}&target=Two").json()["incidents"] == []
    assert client.get("/api/v1/incidents?from=2026-11-24T12:13:00Z&to=2026-11-25").json()["incidents"] == []
    assert client.get("/api/v1/incidents?target=Nobody").status_code == 404


def test_an_open_incident_says_until_when_it_was_seen(past: Path, client: TestClient) -> None:
    store = open_store(f"sqlite:///{past}")
    store.write([probe(NOON + HOUR + n * MINUTE, "server_error", target="Two") for n in range(3)])
    store.close()
    [newest, _] = client.get(f"/api/v1/incidents?{DAY_OF}").json()["incidents"]
    assert (newest["target"], newest["is_open"], newest["ended_at"]) == ("Two", True, None)
    assert (newest["seen_until"], newest["duration_s"]) == ("2026-11-24T13:02:00.000+00:00", 120.0)


def test_probes_are_what_the_csv_export_has(past: Path, client: TestClient) -> None:
    store = open_store(f"sqlite:///{past}", read_only=True)
    expected = "".join(text for text, _ in csv_chunks(PROBES, store.read(PROBES, Selection(targets=("acme/one",)))))
    store.close()
    as_csv = client.get(f"/api/v1/probes?{DAY_OF}&target=acme/one&format=csv")
    assert as_csv.text == expected
    rows = list(csv.DictReader(io.StringIO(expected)))
    as_json = client.get(f"/api/v1/probes?{DAY_OF}&target=acme/one").json()
    assert (as_json["next"], len(as_json["probes"])) == (None, 60)
    assert list(as_json["probes"][0]) == list(rows[0])
    assert as_json["probes"][10]["error"] == rows[10]["error"] == "it took too long"
    lines = client.get(f"/api/v1/probes?{DAY_OF}&target=acme/one&format=jsonl").text.splitlines()
    assert [json.loads(line) for line in lines] == as_json["probes"]


@pytest.mark.parametrize("limit", [1, 2, 7, 50, 126])
def test_pages_of_probes_are_stretches_of_time_that_miss_and_repeat_nothing(
    past: Path, client: TestClient, limit: int
) -> None:
    seen: list[tuple[str, str, str]] = []
    path: str | None = f"/api/v1/probes?{DAY_OF}&limit={limit}"
    pages = 0
    while path is not None:
        answer = client.get(path)
        page = answer.json()
        assert len(page["probes"]) <= max(limit, 2), "two targets are probed in the same millisecond"
        assert answer.headers.get("link") == (f'<{page["next"]}>; rel="next"' if page["next"] else None)
        seen += [(row["started_at"], row["target"], row["profile"]) for row in page["probes"]]
        path, pages = page["next"], pages + 1
    assert len(seen) == len(set(seen)) == 126
    assert pages <= 126 // max(1, limit // 2) + 2


def test_a_page_of_probes_keeps_the_targets_and_the_format_that_were_asked_for(past: Path, client: TestClient) -> None:
    following = client.get(f"/api/v1/probes?{DAY_OF}&limit=20&target=acme/one&format=csv").headers["link"]
    assert "target=acme%2Fone" in following and "limit=20&format=csv" in following


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("limit=0", 400, "write a whole number from 1 to 100000"),
        ("limit=²", 400, "write a whole number"),
        ("limit=9999999999999", 400, "write a whole number"),
        ("format=xml", 400, "format='xml' is none of json, jsonl, csv"),
        ("target=Nobody", 404, "there is no target 'Nobody'"),
    ],
)
def test_a_wrong_request_for_probes_is_answered_in_words(
    past: Path, client: TestClient, query: str, status: int, said: str
) -> None:
    answer = client.get(f"/api/v1/probes?{query}")
    assert (answer.status_code, said in answer.json()["error"]["message"]) == (status, True)


def test_probes_of_a_target_that_was_removed_can_still_be_read(past: Path, client: TestClient) -> None:
    assert client.get(f"/api/v1/probes?{DAY_OF}&target=Gone").json()["probes"] == []


def test_more_streams_than_the_limit_are_refused_and_the_pages_of_others_go_on(
    past: Path, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = [table_stream._places.acquire(blocking=False) for _ in range(table_stream.MOST_AT_ONCE)]
    try:
        assert client.get(f"/api/v1/probes?{DAY_OF}").status_code == 503
        assert client.get("/api/v1/targets").status_code == 200
    finally:
        for _ in taken:
            table_stream._places.release()


def test_models_and_endpoints_are_what_the_catalogs_say_now(filled: Path, client: TestClient) -> None:
    models = client.get("/api/v1/models").json()["models"]
    assert {model["model"] for model in models} == {"gemma-3-270m", "acme/broken", "acme/cheap:free", "acme/routed"}
    [one] = client.get("/api/v1/models?model=acme/broken&source=openrouter").json()["models"]
    assert (one["usd_per_million_input"], one["context_tokens"], one["valid_to"]) == ("1", 65_536, None)
    assert len(client.get("/api/v1/endpoints").json()["endpoints"]) == 3
    endpoints = client.get("/api/v1/endpoints?model=acme/broken").json()["endpoints"]
    assert [(each["tag"], each["zero_retention"]) for each in endpoints] == [("alpha/bf16", True), ("beta/fp8", False)]


def test_health_is_200_while_the_collector_is_live_and_503_else(
    store_at: Path, client: TestClient, past: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = client.get("/api/v1/health")
    assert (stopped.status_code, stopped.json()) == (
        503,
        {"status": "stopped", "last_seen_at": "2026-11-24T12:59:00.000+00:00"},
    )
    store = open_store(f"sqlite:///{past}")
    now = now_ms()
    store.write([probe(now - 5_000, target="Two"), Run("probe", now - 5_000, "here", now - 4_000, 1)])
    store.close()
    from streamlit import cache_resource

    cache_resource.clear()
    assert (client.get("/api/v1/health").status_code, client.get("/api/v1/health").json()["status"]) == (200, "live")


def test_health_without_a_store_and_with_an_empty_one_says_which(store_at: Path, client: TestClient) -> None:
    assert client.get("/api/v1/health").json() == {"status": "no_store", "last_seen_at": None}
    assert client.get("/api/v1/health").status_code == 503
    store = open_store(f"sqlite:///{store_at}")
    store.write([target()])
    store.close()
    assert client.get("/api/v1/health").json()["status"] == "nothing_recorded"


def test_without_a_store_every_other_route_says_how_to_start(store_at: Path, client: TestClient) -> None:
    for path in ("/targets", "/targets/Two", "/targets/Two/summary", "/incidents", "/probes", "/models", "/endpoints"):
        answer = client.get(f"/api/v1{path}")
        assert (answer.status_code, "there is no store at" in answer.json()["error"]["message"]) == (503, True), path


def test_events_are_those_of_the_pages_the_newest_first(past: Path, client: TestClient) -> None:
    asked = f"/api/v1/events?{DAY_OF}&target=acme/one"
    events = client.get(asked).json()["events"]
    assert [(each["kind"], each["at"]) for each in events if each["kind"] in ("down", "recovered")] == [
        ("recovered", "2026-11-24T12:13:00.000+00:00"),
        ("down", "2026-11-24T12:10:00.000+00:00"),
    ]
    assert events == sorted(events, key=lambda each: each["at"], reverse=True)
    [down] = client.get(f"{asked}&kind=down").json()["events"]
    assert down == {
        "kind": "down",
        "at": "2026-11-24T12:10:00.000+00:00",
        "target": "acme/one",
        "location": "here",
        "text": "timeout",
        "lasted_s": 180.0,
    }
    assert down in client.get(f"/api/v1/events?{DAY_OF}&kind=down").json()["events"]
    assert client.get("/api/v1/events?kind=up").status_code == 400
