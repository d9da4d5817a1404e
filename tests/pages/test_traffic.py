"""What passed through the relay, on the pages: next to what probes measured, and never in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from store import open_store
from store.schema import Row, Run
from store.traffic import refresh_usage
from tests.factories import MINUTE, attempt
from tests.pages.conftest import html, metric, now_ms, open_page, text


def cells(markup: str, heading: str) -> list[str]:
    """The cells of the table's row that begins with this."""
    row = next(row for row in re.findall("<tr>.*?</tr>", markup, re.S) if f"<b>{heading}</b>" in row)
    return [text(cell) for cell in re.findall("<td[^>]*>(.*?)</td>", row, re.S)]


@pytest.fixture
def relayed(filled: Path) -> Path:
    """Twelve requests a minute for two minutes: in the second one a third fails at Broken and is served by Steady."""
    store, now = open_store(f"sqlite:///{filled}"), now_ms()
    began = now - 10 * MINUTE - (now - 10 * MINUTE) % MINUTE
    app = "https://shop.example"
    rows: list[Row] = []
    for n in range(24):
        at, name = began + n * 5_000, f"gen-{n}"
        fails = n >= 12 and n % 3 == 0
        first = attempt(
            at, "server_error" if fails else "ok", target="Broken", request_id=name, model="acme/broken", app=app,
            http_status=503 if fails else 200, error="overloaded" if fails else None, served_model="acme/broken-2",
            ttft_ms=250.0, added_ms=None if fails else 0.4,
        )  # fmt: skip
        rows.append(first)
        if fails:
            rows.append(
                attempt(
                    at + 1_000,
                    request_id=name,
                    attempt=2,
                    target="Steady",
                    fallback_for="Broken",
                    app=app,
                    added_ms=2.0,
                )
            )
    store.write(rows)
    store.write(
        [Run("relay", began, "here", now - 4 * MINUTE, 28, 7, "could not write the store: <locked>", queued=19)]
    )
    refresh_usage(store, [began, now])
    store.close()
    return filled


def test_the_model_page_shows_traffic_next_to_probes(relayed: Path) -> None:
    page = html(open_page("model.py", target="Broken", tab="Traffic"))
    table = page.partition("real requests through your relay")[2].partition("Your tokens")[0]
    assert cells(table, "Attempts")[1] == "24"
    # of the two minutes with 12 attempts the first is good, the second has 8 of 12
    assert cells(table, "Uptime")[1] == "50.0% of 2 minutes"
    assert cells(table, "Success rate")[1].startswith("83.3")
    assert cells(table, "TTFT p50 / p95")[1] == "250 / 250 ms of 20"
    assert cells(table, "Added by the relay p50 / p99")[1] == "0.4 / 2.0 ms"
    assert "the share of minutes with at least 10 attempts in which at least 80% of them succeeded" in table


def test_fallbacks_are_chains_with_their_reasons_and_errors_are_by_kind(relayed: Path) -> None:
    page = html(open_page("model.py", target="Broken", tab="Traffic"))
    chains = page.partition("Fallbacks of your requests")[2]
    assert cells(chains, "Broken → Steady") == ["Broken → Steady", "4", "100%", "server error 4×"]
    assert "24 requests: 24 served, 4 of them after a fallback; 0 failed, 0 cancelled by their client." in chains
    assert cells(page.partition("Errors in traffic")[2], "server error") == ["server error", "503", "overloaded", "4"]


def test_apps_of_ones_own_are_by_themselves_and_the_public_ones_too(relayed: Path) -> None:
    traffic, usage = (html(open_page("model.py", target="Broken", tab=tab)) for tab in ("Traffic", "Usage"))
    own = traffic.partition("Your apps")[2].partition("Fallbacks of your requests")[0]
    assert "1. https://shop.example" in own and "largest, over all models" not in traffic
    assert "largest, over all models" in usage and "shop.example" not in usage


def test_probes_numbers_are_the_same_with_and_without_traffic(relayed: Path) -> None:
    app = open_page("model.py", target="Steady")
    assert metric(app, "Uptime").startswith("100% | ")
    # a minute apart for 20 hours, without the 59 of a gap, and 20 of throughput
    assert metric(app, "Success rate") == "100% | 1,161 of 1,161"


def test_a_target_without_traffic_and_a_store_without_any_do_not_speak_of_it(filled: Path) -> None:
    page = html(open_page("model.py", target="Steady", tab="Traffic"))
    assert "Your tokens" not in page and "No request has passed to this target" in page
    assert "Longest queue" not in html(open_page("system.py"))


def test_the_system_page_shows_what_the_relay_recorded_and_dropped(relayed: Path) -> None:
    app = open_page("system.py")
    row = cells(html(app).partition("Longest queue")[2], "here")
    assert row[2:7] == ["28", "▼ 7", "19", "0.4 ms", "2.0 ms"]
    assert row[7] == "could not write the store: <locked>"
    # the one run is the probes'; what the relay dropped is no probe that was skipped
    assert metric(app, "Runs in the last 24 h").startswith("1 | 0 runs with an error, 0 probes skipped")


def test_the_routing_page_shows_what_the_relay_did(relayed: Path) -> None:
    page = html(open_page("routing.py", model="acme/broken"))
    row = cells(page.partition("What your relay did")[2], "gemma")
    assert row[:4] == ["gemma", "Broken", "100% · 24", "20"]
