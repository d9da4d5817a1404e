"""Targets, summaries and series: numbers that were worked out by hand, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from store import open_store
from tests.api.conftest import hour_of
from tests.factories import NOON, probe, target

ONE = "/api/v1/targets/acme%2Fone"
HOUR = "from=2026-11-24T12:00:00Z&to=2026-11-24T13:00:00Z"


def test_targets_lists_what_is_configured_with_its_state(past: Path, client: TestClient) -> None:
    listed = client.get("/api/v1/targets").json()["targets"]
    assert [each["name"] for each in listed] == ["Two", "acme/one"]
    assert listed[0]["tags"] == ["eu", "fast"]
    assert listed[1]["first_probe_at"] == "2026-11-24T12:00:00.000+00:00"
    last = "2026-11-24T12:59:00.000+00:00"
    assert listed[1]["state"] == {"status": "stale", "since": last, "outcome": "ok"}
    assert listed[1]["locations"] == [
        {
            "location": "here",
            "state": {"status": "stale", "since": last, "outcome": "ok"},
            "rests_until": None,
            "last_probe_at": last,
            "last_outcome": "ok",
            "last_ttft_ms": 159.0,
        }
    ]


@pytest.mark.parametrize("path", [ONE, "/api/v1/targets/acme/one"])
def test_a_name_with_a_slash_is_found_encoded_or_not(past: Path, client: TestClient, path: str) -> None:
    assert client.get(path).json()["name"] == "acme/one"
    assert client.get(f"{path}/summary?{HOUR}").json()["probes"] == 60


def test_a_target_that_is_called_like_a_word_of_the_api_is_found_by_its_encoded_name(
    past: Path, client: TestClient
) -> None:
    store = open_store(f"sqlite:///{past}")
    store.write([target("acme/summary"), target("acme")])
    store.close()
    assert client.get("/api/v1/targets/acme%2Fsummary").json()["name"] == "acme/summary"
    assert "probes" in client.get("/api/v1/targets/acme/summary").json()


def test_a_summary_has_exactly_the_fields_that_were_promised(past: Path, client: TestClient) -> None:
    # 57 of 60 minutes up; Wilson's interval of 57 of 60; the TTFTs are 100 to 159 without 110, 111 and 112
    assert client.get(f"{ONE}/summary?{HOUR}").json() == {
        "from": "2026-11-24T12:00:00.000+00:00",
        "to": "2026-11-24T13:00:00.000+00:00",
        "probes": 60,
        "uptime": {
            "value": pytest.approx(0.95),
            "low": pytest.approx(0.8630, abs=1e-4),
            "high": pytest.approx(0.9829, abs=1e-4),
            "coverage": 1.0,
        },
        "success_rate": pytest.approx(0.95),
        "ttft_ms": {"n": 57, "p50": 131, "p75": 145, "p90": pytest.approx(153.4), "p95": pytest.approx(156.2), "p99": pytest.approx(158.44)},
        "total_ms": {"n": 57, "p50": 300, "p75": 300, "p90": 300, "p95": 300, "p99": 300},
        "tokens_per_second": {"n": 57, "p50": 50, "p75": 50, "p90": 50, "p95": 50, "p99": 50},
        "tokens": {"prompt": 57 * 30, "completion": 57 * 16},
        "cost_usd": pytest.approx(0.06),
    }  # fmt: skip


def test_a_range_is_half_open_and_exact_to_the_millisecond(past: Path, client: TestClient) -> None:
    def count(since: str, until: str) -> int:
        return int(client.get(f"{ONE}/summary?from={since}&to={until}").json()["probes"])

    assert count("2026-11-24T12:00:00Z", "2026-11-24T12:01:00Z") == 1
    assert count("2026-11-24T12:00:00Z", "2026-11-24T12:01:00.001Z") == 2
    assert count("2026-11-24T12:00:00.001Z", "2026-11-24T12:01:00Z") == 0
    assert count("2026-11-24T13:00:00+01:00", "2026-11-24T13:01:00+01:00") == 1, "an unencoded plus"
    assert count("2026-11-24T12:00:00", "2026-11-24T12:01:00") == 1, "UTC where none is said"
    assert count("2026-11-24", "2026-11-25") == 60
    assert count("0001-01-01", "9999-12-31") == 60


def test_below_half_coverage_there_is_no_value_and_no_interval(past: Path, client: TestClient) -> None:
    # the target was first probed at 12:00, so that 60 minutes are decided of the 121 until 14:01
    uptime = client.get(f"{ONE}/summary?from=2026-11-24T11:00:00Z&to=2026-11-24T14:01:00Z").json()["uptime"]
    assert uptime == {"value": None, "low": None, "high": None, "coverage": pytest.approx(60 / 121)}
    nothing = client.get(f"{ONE}/summary?from=2026-11-20&to=2026-11-21").json()
    assert (nothing["probes"], nothing["success_rate"], nothing["cost_usd"]) == (0, None, None)
    assert nothing["ttft_ms"] == {"n": 0, "p50": None, "p75": None, "p90": None, "p95": None, "p99": None}


def test_output_speed_and_all_requests_are_a_profile_away(past: Path, client: TestClient) -> None:
    path = f"/api/v1/targets/Two/summary?{HOUR}"
    throughput = client.get(f"{path}&profile=throughput").json()
    assert (throughput["probes"], throughput["tokens_per_second"]["p50"]) == (6, 42.5)
    assert client.get(f"{path}&profile=all").json()["probes"] == 66
    assert throughput["uptime"] == client.get(path).json()["uptime"], "uptime is read from the deciding profile"


def test_of_several_locations_a_target_is_down_where_most_of_them_see_it_down(past: Path, client: TestClient) -> None:
    store = open_store(f"sqlite:///{past}")
    store.write([target("Two", location="there"), target("Two", location="yonder")])
    store.write([*hour_of("Two", "there", failed=tuple(range(30))), *hour_of("Two", "yonder", failed=tuple(range(15)))])
    store.close()
    summary = client.get(f"/api/v1/targets/Two/summary?{HOUR}").json()
    assert summary["probes"] == 180
    assert summary["uptime"]["value"] == pytest.approx(0.75)  # two of three see the first quarter of the hour down
    there = client.get(f"/api/v1/targets/Two/summary?{HOUR}&location=there").json()
    assert (there["probes"], there["uptime"]["value"]) == (60, 0.5)
    nowhere = client.get(f"/api/v1/targets/Two/summary?{HOUR}&location=nowhere")
    assert (nowhere.status_code, "here, there, yonder" in nowhere.text) == (404, True)


def test_a_series_has_a_value_a_step_and_null_where_nothing_was_measured(past: Path, client: TestClient) -> None:
    series = client.get(f"{ONE}/series?from=2026-11-24T11:50:00Z&to=2026-11-24T12:25:00Z&step=10m").json()
    assert (series["metric"], series["stat"], series["step_s"]) == ("ttft_ms", "p50", 600)
    assert series["points"] == [
        {"from": "2026-11-24T11:50:00.000+00:00", "n": 0, "value": None},
        {"from": "2026-11-24T12:00:00.000+00:00", "n": 10, "value": 104.5},
        {"from": "2026-11-24T12:10:00.000+00:00", "n": 7, "value": 116.0},
        {"from": "2026-11-24T12:20:00.000+00:00", "n": 5, "value": 122.0},
    ]


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("metric=uptime&step=20m", [17 / 20, 1, 1]),
        ("metric=probes&step=20m", [20, 20, 20]),
        ("metric=failed&step=20m", [3, 0, 0]),
        ("metric=success_rate&step=1h", [0.95]),
        ("metric=cost_usd&step=1h", [0.06]),
        ("metric=completion_tokens&step=1d", [57 * 16]),
        ("metric=ttft_ms&stat=max&step=30m", [129, 159]),
        ("metric=tokens_per_second&step=1h", [None]),
    ],
)
def test_every_metric_can_be_a_series(past: Path, client: TestClient, query: str, values: list[float | None]) -> None:
    points = client.get(f"{ONE}/series?{HOUR}&{query}").json()["points"]
    assert [point["value"] for point in points] == [
        value if value is None else pytest.approx(value) for value in values
    ]


def test_a_long_series_is_read_from_hours_and_its_ends_are_exact(past: Path, client: TestClient) -> None:
    path = f"{ONE}/series?from=2026-11-24T12:30:00Z&to=2026-12-24T12:00:00Z&metric=probes"
    points = client.get(f"{path}&step=1d").json()["points"]
    assert (len(points), points[0], points[1]["value"]) == (
        31,
        {"from": "2026-11-24T12:30:00.000+00:00", "n": 30, "value": 30},
        0,
    )
    assert client.get(path).json()["step_s"] == 21_600  # 119 of them


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/api/v1/targets/Nobody", 404, "there is no target 'Nobody': /api/v1/targets lists them"),
        ("/api/v1/targets/Gone", 404, "there is no target 'Gone'"),
        ("/api/v1/targets/", 404, "there is no target ''"),
        (f"{ONE}/summary?from=yesterday", 400, "write ISO 8601, as in 2026-11-24T12:00:00Z"),
        (f"{ONE}/summary?from=2026-11-25&to=2026-11-24", 400, "the range is empty: from (2026-11-25T"),
        (f"{ONE}/summary?since=2026-11-25", 400, "there is no parameter 'since' here: it takes from, to, profile"),
        (f"{ONE}/summary?from=2026-11-24&from=2026-11-25", 400, "from comes 2 times: send it once"),
        (f"{ONE}/summary?profile=fast", 400, "profile='fast' is none of ping, throughput, all"),
        (f"{ONE}/series?metric=speed", 400, "metric='speed' is none of ttft_ms, total_ms, tokens_per_second, uptime"),
        (f"{ONE}/series?stat=mean", 400, "stat='mean' is none of p50"),
        (f"{ONE}/series?metric=uptime&stat=p50", 400, "uptime has no stat"),
        (f"{ONE}/series?step=often", 400, "step='often' is no duration: write it as 30s, 5m, 1h or 30d"),
        (f"{ONE}/series?step=0", 400, "is no duration"),
        (f"{ONE}/series?step=1s", 400, "choose a longer one, so that there are 5,000"),
        (f"{ONE}?from=2026-11-25", 400, "there is no parameter 'from' here: it takes none"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_answered_in_words_as_json(
    past: Path, client: TestClient, path: str, status: int, said: str
) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"]["status"] == status
    assert said in answer.json()["error"]["message"]


def test_fine_steps_over_too_many_probes_are_refused_with_what_to_choose(
    past: Path, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.queries.series.MOST_RAW", 59)
    answer = client.get(f"{ONE}/series?{HOUR}&step=5m")
    assert (answer.status_code, "choose a step of 1h or more" in answer.text) == (400, True)
    assert client.get(f"{ONE}/series?{HOUR}&step=1h").status_code == 200


def test_steps_of_hours_are_left_where_probes_are_pruned(past: Path, client: TestClient) -> None:
    store = open_store(f"sqlite:///{past}")
    store.write([probe(NOON + 3 * 86_400_000, target="Two")])
    while store.prune(NOON + 2 * 86_400_000):
        pass
    store.close()
    answer = client.get(f"{ONE}/series?{HOUR}&step=5m")
    assert (answer.status_code, "probes of this range are pruned" in answer.text) == (400, True)
    unnamed = client.get(f"{ONE}/series?{HOUR}").json()
    assert (unnamed["step_s"], len(unnamed["points"])) == (3_600, 1)
    widened = client.get(f"{ONE}/series?from=2026-11-24T12:30:00Z&to=2026-11-24T13:00:00Z&step=1h&metric=probes").json()
    assert (widened["from"], widened["points"][0]["value"]) == ("2026-11-24T12:00:00.000+00:00", 60)
