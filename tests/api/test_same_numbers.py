"""Every page's numbers are the API's: both are read over the same range of the same store."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from starlette.testclient import TestClient

from pages.components import formatting
from store.formats import iso
from tests.api.conftest import now_ms
from tests.factories import DAY, HOUR, MINUTE
from tests.pages.conftest import frame, html, metric, open_page, text

pytestmark = pytest.mark.thorough

NAMES = ("Steady", "Broken")
CUSTOM = {"range": "custom"}
"""What a page needs beside the moments."""


@pytest.fixture(autouse=True)
def _one_clock(filled: Path) -> None:
    st.cache_data.clear()
    st.cache_resource.clear()


def a_range(hours: float) -> dict[str, str]:
    """From some hours ago until five minutes ago, in whole minutes, as pages and API take it."""
    until = now_ms() // MINUTE * MINUTE - 5 * MINUTE
    return {"from": iso(until - int(hours * HOUR)), "to": iso(until)}


def summary(client: TestClient, name: str, when: dict[str, str], profile: str = "ping") -> dict[str, Any]:
    answer = client.get(f"/api/v1/targets/{name}/summary", params=when | {"profile": profile})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def uptime_with_bounds(uptime: dict[str, Any]) -> tuple[str, str, str]:
    interval = (uptime["low"], uptime["high"]) if uptime["value"] is not None else None
    return formatting.percent(uptime["value"]), formatting.bounds(interval), formatting.percent(uptime["coverage"])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("hours", [1.5, 13, 30])
def test_the_model_page(filled: Path, client: TestClient, name: str, hours: float) -> None:
    when = a_range(hours)
    app = open_page("model.py", target=name, **CUSTOM, **when)
    assert not app.exception
    ping, throughput, every = (summary(client, name, when, profile) for profile in ("ping", "throughput", "all"))
    number, note = metric(app, "Uptime").split(" | ")
    share, bounds, coverage = uptime_with_bounds(ping["uptime"])
    assert number == share
    assert (f"{bounds} (95%)" in note and f"coverage {coverage}" in note) or ping["uptime"]["value"] is None
    ttft = ping["ttft_ms"]
    expected = f"{formatting.milliseconds(ttft['p50'])} / {formatting.milliseconds(ttft['p95'])} ms"
    assert metric(app, "TTFT, p50 and p95").startswith(expected)
    assert formatting.probes(ttft["n"]) in metric(app, "TTFT, p50 and p95")
    speed = throughput["tokens_per_second"]
    assert metric(app, "Output speed, median").startswith(
        f"{formatting.rate(speed['p50'])} tok/s | {speed['n']} throughput probe"
    ) or (speed["n"] == 0 and metric(app, "Output speed, median").startswith(formatting.DASH))
    assert metric(app, "Success rate").startswith(formatting.percent(every["success_rate"]))
    listed = client.get("/api/v1/incidents", params=when | {"target": name}).json()["incidents"]
    said = formatting.plural(len(listed), "incident") if listed else "no incidents"
    assert said in html(app)


@pytest.mark.parametrize("hours", [1.5, 13])
def test_the_overview_and_the_comparison(filled: Path, client: TestClient, hours: float) -> None:
    when = a_range(hours)
    overview, comparison = (
        html(open_page(**CUSTOM, **when)),
        open_page("compare.py", **{"with": NAMES}, **CUSTOM, **when),
    )
    assert not comparison.exception
    states = {each["name"]: each["state"] for each in client.get("/api/v1/targets").json()["targets"]}
    assert set(re.findall(r'data-target="(\w+)"', overview)) == set(states)
    cells = [text(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", html(comparison), re.S)]
    for name in NAMES:
        ping = summary(client, name, when)
        [row] = re.findall(rf'data-target="{name}" .*?(?=<div class="u-row|$)', overview, re.S)
        share = formatting.percent(ping["uptime"]["value"])
        assert ping["uptime"]["value"] is None or f"<b>{share}</b>" in row
        assert f'<span class="big">{formatting.milliseconds(ping["ttft_ms"]["p50"])}</span>' in row
        assert ("▼ down" if states[name]["status"] == "down" else "● up") in row
        for quantile in ("p50", "p95", "p99"):
            assert any(cell.startswith(formatting.latency(ping["ttft_ms"][quantile])) for cell in cells), quantile


def test_the_overviews_count_of_probes(filled: Path, client: TestClient) -> None:
    when = a_range(13)
    [note] = re.findall(r'data-label="Probes [^"]*">', html(open_page(**CUSTOM, **when)))
    number = metric(open_page(**CUSTOM, **when), note.removeprefix('data-label="').removesuffix('">')).split(" | ")[0]
    assert number == f"{sum(summary(client, name, when)['probes'] for name in NAMES):,}"


def test_the_status_page(filled: Path, client: TestClient) -> None:
    page = frame(open_page("public_status.py"))
    now = now_ms()
    components = {each["name"]: each["status"] for each in client.get("/api/v2/summary.json").json()["components"]}
    assert set(components) == set(NAMES)
    for name in NAMES:
        shown = page.partition(f">{name}</a>")[2].partition("</li>")[0]
        ninety = summary(client, name, {"from": iso(now - now % DAY + DAY - 90 * DAY), "to": iso(now)})
        assert f"{formatting.percent(ninety['uptime']['value'])} up" in shown
        assert ("▼ down" in shown) == (components[name] == "major_outage")
    incidents = client.get("/api/v1/incidents", params={"from": iso(now - 90 * DAY)}).json()["incidents"]
    assert page.partition("<h2>Incidents</h2>")[2].count("<li>") == len(incidents)


def test_the_catalog_and_the_export(filled: Path, client: TestClient) -> None:
    shown = open_page("catalog.py").dataframe[0].value
    models = {each["model"]: each for each in client.get("/api/v1/models?source=openrouter").json()["models"]}
    assert set(shown["model"]) == set(models)
    for _, row in shown.iterrows():
        assert row["context_tokens"] == models[row["model"]]["context_tokens"]
        if models[row["model"]]["usd_per_million_input"] != "varies":
            assert row["usd_per_million_input"] == float(models[row["model"]]["usd_per_million_input"])
    when = a_range(13)
    listed = client.get("/api/v1/probes", params=when | {"limit": "100000"}).json()["probes"]
    assert metric(open_page("export.py", **CUSTOM, **when), "Rows").startswith(f"{len(listed):,} | ")


def test_the_line_about_the_collector(filled: Path, client: TestClient) -> None:
    health = client.get("/api/v1/health").json()
    assert (health["status"] == "live") == ("u-fresh live" in html(open_page()))
