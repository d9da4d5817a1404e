"""`/metrics`: the numbers of the store, which a restart of the dashboard leaves as they are."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import streamlit as st
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from pages.queries import totals
from store import open_store
from store.schema import Row, Run
from tests.api.conftest import now_ms
from tests.factories import DAY, MINUTE, NOON, probe, target

ONE, TWO = {"target": "acme/one", "location": "here"}, {"target": "Two", "location": "here"}


def samples(client: TestClient) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(client: TestClient, name: str, **labels: str) -> float | None:
    return samples(client).get((name, frozenset(labels.items())))


def write(path: Path, *rows: Row) -> None:
    store = open_store(f"sqlite:///{path}")
    store.write(rows)
    store.close()
    st.cache_resource.clear()
    st.cache_data.clear()


def test_the_promised_metrics_have_the_stores_numbers(past: Path, client: TestClient) -> None:
    seen = samples(client)

    def of(name: str, **labels: str) -> float | None:
        return seen.get((name, frozenset(labels.items())))

    assert of("uptoken_probe_success", **ONE) == 1
    assert of("uptoken_last_success_timestamp_seconds", **ONE) == (NOON + 59 * MINUTE) / 1_000
    assert of("uptoken_probes_total", **ONE, profile="ping", outcome="ok") == 57
    assert of("uptoken_probes_total", **ONE, profile="ping", outcome="timeout") == 3
    assert of("uptoken_probes_total", **ONE, profile="ping", outcome="offline") == 0
    assert of("uptoken_cost_usd_total", **ONE, profile="ping") == pytest.approx(0.06)
    assert of("uptoken_cost_usd_total", **TWO, profile="throughput") is None, "an unknown cost is not 0"
    assert of("uptoken_output_tokens_per_second", **TWO) == 45
    assert of("uptoken_target_info", **TWO, model="gemma-3-270m", provider="", tags="eu,fast", state="active") == 1
    assert of("uptoken_collector_up") == 0
    assert not any(dict(labels).get("target") == "Gone" for _, labels in seen)


def test_the_histogram_counts_successful_probes_by_their_first_token(past: Path, client: TestClient) -> None:
    # of 100 to 159 ms without 110, 111 and 112: one is 100 ms, none more than 200
    seen = samples(client)

    def bucket(bound: str) -> float:
        return seen["uptoken_time_to_first_token_seconds_bucket", frozenset((ONE | {"le": bound}).items())]

    assert bucket("0.05") == 0
    assert bucket("0.1") in (0, 1), "within 1% of a bound it may be on either side"
    assert bucket("0.2") == bucket("+Inf") == 57
    assert seen["uptoken_time_to_first_token_seconds_count", frozenset(ONE.items())] == 57
    total_s = (sum(range(100, 160)) - 110 - 111 - 112) / 1_000
    assert seen["uptoken_time_to_first_token_seconds_sum", frozenset(ONE.items())] == pytest.approx(total_s, rel=0.01)


def test_a_target_that_is_down_is_0_and_one_that_counts_for_neither_has_no_success(
    past: Path, client: TestClient
) -> None:
    write(
        past,
        *(probe(NOON + (60 + n) * MINUTE, "server_error", target="Two") for n in range(3)),
        probe(NOON + 60 * MINUTE, "rate_limited", target="acme/one"),
    )
    assert value(client, "uptoken_probe_success", **TWO) == 0
    assert value(client, "uptoken_probe_success", **ONE) is None
    for labels in (ONE, TWO):
        assert value(client, "uptoken_last_success_timestamp_seconds", **labels) == (NOON + 59 * MINUTE) / 1_000


def test_the_last_success_is_found_behind_many_failures_and_behind_pruned_probes(
    past: Path, client: TestClient
) -> None:
    failed = [probe(NOON + DAY + n * MINUTE, "rate_limited", target="Two") for n in range(200)]
    write(past, *failed)
    assert value(client, "uptoken_last_success_timestamp_seconds", **TWO) == (NOON + 59 * MINUTE) / 1_000
    store = open_store(f"sqlite:///{past}")
    while store.prune(NOON + DAY):
        pass
    store.close()
    st.cache_resource.clear()
    st.cache_data.clear()
    assert value(client, "uptoken_last_success_timestamp_seconds", **TWO) == NOON / 1_000, "the hour that is kept"


def test_counters_never_fall_over_a_restart_a_prune_or_the_end_of_a_block(
    past: Path, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counters() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        st.cache_resource.clear()
        st.cache_data.clear()
        return {key: value for key, value in samples(client).items() if key[0].endswith(("_total", "_bucket", "_sum"))}

    before = counters()
    assert counters() == before
    store = open_store(f"sqlite:///{past}")
    while store.prune(NOON + DAY):
        pass
    store.close()
    assert counters() == before
    for days in (1, 16, 400):
        with monkeypatch.context() as patch:
            patch.setattr(totals, "now_ms", lambda days=days: NOON + days * DAY)
            assert counters() == before
    write(past, probe(NOON + DAY, target="Two", ttft_ms=1.0))
    after = counters()
    assert all(after[key] >= value for key, value in before.items())
    key = ("uptoken_probes_total", frozenset((TWO | {"profile": "ping", "outcome": "ok"}).items()))
    assert after[key] == before[key] + 1


def test_a_client_that_asks_for_openmetrics_gets_it(past: Path, client: TestClient) -> None:
    assert client.get("/metrics").headers["content-type"].startswith("text/plain; version=")
    asked = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert asked.headers["content-type"].startswith("application/openmetrics-text")
    assert asked.text.endswith("# EOF\n")


def test_a_live_collector_is_up(past: Path, client: TestClient) -> None:
    now = now_ms()
    write(past, probe(now - 5_000, target="Two"), Run("probe", now - 5_000, "here", now - 4_000, 1))
    assert value(client, "uptoken_collector_up") == 1


def test_promtool_finds_nothing_to_say(past: Path, client: TestClient, promtool: str) -> None:
    write(past, target('odd "name"\n\\', provider="Ünï"), probe(NOON, target='odd "name"\n\\'))
    done = subprocess.run(
        [promtool, "check", "metrics"], input=client.get("/metrics").content, capture_output=True, timeout=60
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
