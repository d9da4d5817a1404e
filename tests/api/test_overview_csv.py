"""The overview's rows as a file: hand-worked numbers, the page's filter and order, and who may read it."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api import overview_csv
from pages.queries import access
from pages.queries.overview_rows import Layout, RowFilter
from pages.queries.time_range import TimeRange
from routing.workload import Workload
from store import open_store
from store.schema import Model
from tests.factories import HOUR, NOON

HOUR_OF = "from=2026-11-24T12:00:00Z&to=2026-11-24T13:00:00Z"


def _read(client: TestClient, query: str) -> list[dict[str, Any]]:
    answer = client.get(f"/api/overview.csv?{query}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == 'attachment; filename="overview.csv"'
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_a_row_has_the_numbers_of_the_range_and_of_the_viewers_request(past: Path, client: TestClient) -> None:
    with_prices = Model("Two", "gemma-3-270m", 1, usd_per_million_input="2", usd_per_million_output="10", name="Two")
    store = open_store(f"sqlite:///{past}")
    store.write([with_prices])
    store.close()
    one, two = _read(client, f"{HOUR_OF}&sort=name&prompt=1000&output=100")
    assert (one["target"], one["location"], two["target"], two["tags"]) == ("acme/one", "here", "Two", "eu,fast")
    # 57 of 60 minutes up; the hour of Two has a TTFT of 100 to 159 ms and a speed of 40 to 45
    assert float(one["uptime"]) == pytest.approx(0.95) and one["deciding_probes"] == "60"
    assert float(two["ttft_p50_ms"]) == pytest.approx(129.5) and two["ttft_probes"] == "60"
    assert float(two["tokens_per_second_p50"]) == pytest.approx(42.5)
    # 1,000 tokens at $2 and 100 at $10 per million; 0.1295 s, and 100 tokens at 42.5 a second
    assert float(two["request_usd"]) == pytest.approx(0.003)
    assert float(two["request_s"]) == pytest.approx(0.1295 + 100 / 42.5)
    assert (one["tokens_per_second_p50"], one["request_s"], one["usd_per_million_input"]) == ("", "", "")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sort=name", ["acme/one", "Two"]),
        ("sort=name&reverse=yes", ["Two", "acme/one"]),
        ("find=fast", ["Two"]),
        ("state=up", []),  # the collector has stopped
    ],
)
def test_the_file_is_filtered_and_sorted_as_the_page_is(
    past: Path, client: TestClient, query: str, expected: list[str]
) -> None:
    assert [row["target"] for row in _read(client, f"{HOUR_OF}&{query}")] == expected


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sort=best", "sort='best' is none of state, name, uptime, p95, speed, price"),
        ("range=24h&from=2026-11-24", "range ends now"),
        ("prompt=-1", "prompt='-1' is no number of tokens"),
        ("colour=red", "colour"),
    ],
)
def test_a_wrong_parameter_is_refused_in_words(past: Path, client: TestClient, query: str, said: str) -> None:
    answer = client.get(f"/api/overview.csv?{query}")
    assert answer.status_code == 400 and said in answer.text


def test_behind_a_login_the_pages_link_is_signed_and_no_other_works(
    past: Path, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "guard", lambda: "login")
    window = TimeRange(NOON, NOON + HOUR, False, "")
    link = overview_csv.link(window, RowFilter("é & co"), Layout("p95", is_reversed=True), Workload())
    assert client.get(f"/{link}").status_code == 200
    assert client.get(f"/{link.replace('p95', 'name')}").status_code == 401
    assert client.get(f"/{link.partition('&ticket')[0]}").status_code == 401
