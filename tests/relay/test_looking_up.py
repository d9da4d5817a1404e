"""What the relay tells of itself: models, endpoints, generations, metrics, in the form of the reference."""

from __future__ import annotations

import re
from typing import Any

import pytest
from openrouter.components import GenerationResponse, ListEndpointsResponse, Model, OpenRouterMetadata
from prometheus_client.parser import text_string_to_metric_families

from tests.fault_server import DONE, chunk
from tests.relay.running import RunningRelay, config_of, relay_to, route, running, target
from tests.relay.upstreams import Exchange, Upstream, completion, failing, good


def test_models_are_listed_in_the_form_of_the_reference_and_of_openai() -> None:
    sections = [
        target("A", "http://127.0.0.1:1/v1", usd_per_million_input=0.04, usd_per_million_output=0.08),
        target("B", "http://127.0.0.1:1/v1"),
        route("A", "B", model="google/gemma"),
    ]
    with running(config_of(*sections)) as relay:
        listed = relay.request("GET", "/v1/models").json

    assert listed["object"] == "list"
    assert [(entry["id"], entry["object"], entry["owned_by"]) for entry in listed["data"]] == [
        ("google/gemma", "model", "uptoken"),
        ("A", "model", "uptoken"),
        ("B", "model", "uptoken"),
    ]
    assert listed["data"][0]["pricing"] == {"prompt": "0.00000004", "completion": "0.00000008", "discount": 0}
    for entry in listed["data"]:
        Model.model_validate(entry)


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1", ""])
def test_the_endpoints_of_a_model_are_listed(prefix: str) -> None:
    sections = [target("A", "http://127.0.0.1:1/v1"), target("B", "http://127.0.0.1:1/v1", provider="deepinfra")]
    with running(config_of(*sections, route("A", "B", model="google/gemma-3"))) as relay:
        found = relay.request("GET", f"{prefix}/models/google/gemma-3/endpoints").json["data"]
        assert relay.request("GET", f"{prefix}/models/google/nobody/endpoints").status == 404

    ListEndpointsResponse.model_validate(found)
    assert found["id"] == "google/gemma-3"
    assert [(one["name"], one["provider_name"], one["model_id"]) for one in found["endpoints"]] == [
        ("A", "A", "m-1"),
        ("B", "deepinfra", "m-1"),
    ]


def test_a_generation_is_found_by_the_relays_id_and_by_the_responses_with_every_attempt() -> None:
    async def dear(exchange: Exchange) -> None:
        usage = {"prompt_tokens": 20, "completion_tokens": 2, "cost": 0.25}
        await exchange.json(completion(id="chatcmpl-77", usage=usage))

    with Upstream(failing(503)) as a, Upstream(dear) as b, relay_to(a.url, b.url) as relay:
        response = relay.chat(headers={"HTTP-Referer": "https://app.example/chat?user=1", "X-Title": "My App"})
        own_id = response.headers["x-generation-id"]
        by_own = relay.request("GET", f"/v1/generation?id={own_id}")
        by_theirs = relay.request("GET", "/v1/generation?id=chatcmpl-77")

    assert by_own.json == by_theirs.json
    data = by_own.json["data"]
    GenerationResponse.model_validate(by_own.json)
    assert (data["id"], data["model"], data["provider_name"], data["total_cost"]) == (own_id, "gemma", "B", 0.25)
    assert (data["tokens_prompt"], data["tokens_completion"], data["finish_reason"]) == (20, 2, "stop")
    assert data["http_referer"] == "https://app.example"
    assert [(one["target"], one["status"], one["outcome"], one["served"]) for one in data["attempts"]] == [
        ("A", 503, "server_error", False),
        ("B", 200, "ok", True),
    ]
    assert [one["status"] for one in data["provider_responses"]] == [503, 200]


def test_a_generation_that_is_not_known_is_not_found() -> None:
    with Upstream(good()) as upstream, relay_to(upstream.url) as relay:
        assert relay.request("GET", "/v1/generation?id=gen-1").status == 404
        assert relay.request("GET", "/v1/generation").status == 404


def test_every_response_has_a_generation_id_also_an_error() -> None:
    with Upstream(failing(500)) as upstream, relay_to(upstream.url) as relay:
        ids = [relay.chat().headers["x-generation-id"], relay.chat("nobody").headers["x-generation-id"]]
        assert all(re.fullmatch(r"gen-\d+-\w{20}", one) for one in ids)
        assert relay.request("GET", f"/v1/generation?id={ids[0]}").json["data"]["attempts"][0]["status"] == 500


@pytest.mark.parametrize("streamed", [True, False])
def test_who_asks_for_the_routers_metadata_gets_it(streamed: bool) -> None:
    with Upstream(failing(500)) as a, Upstream(good()) as b, relay_to(a.url, b.url) as relay:
        response = relay.chat(stream=streamed, headers={"X-OpenRouter-Metadata": "enabled"})
        without = relay.chat(stream=streamed)

    holders = [event for event in response.events if "openrouter_metadata" in event] if streamed else [response.json]
    assert len(holders) == 1
    metadata = holders[0]["openrouter_metadata"]
    OpenRouterMetadata.model_validate(metadata)
    assert metadata["attempts"] == [
        {"model": "gemma", "provider": "A", "status": 500},
        {"model": "m-1", "provider": "B", "status": 200},
    ]
    assert (metadata["attempt"], metadata["endpoints"]["total"]) == (2, 2)
    assert b"openrouter_metadata" not in without.body


def _metrics(relay: RunningRelay) -> dict[str, float]:
    text = relay.request("GET", "/metrics").body.decode()
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_count_attempts_requests_and_times_with_opentelemetrys_names() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.stream(*(chunk(f"{number} ") for number in range(30)), chunk(finish="stop"), DONE, gap_s=0.004)

    with Upstream(failing(500)) as a, Upstream(script) as b, relay_to(a.url, b.url) as relay:
        relay.chat(stream=True)
        relay.chat("nobody")
        found = _metrics(relay)

    assert found["uptoken_relay_attempts_total[('outcome', 'server_error'), ('target', 'A')]"] == 1
    assert found["uptoken_relay_attempts_total[('outcome', 'ok'), ('target', 'B')]"] == 1
    assert found["uptoken_relay_requests_total[('status', '200')]"] == 1
    assert found["uptoken_relay_requests_total[('status', '404')]"] == 1
    assert found["uptoken_relay_fallbacks_total[]"] == 1
    assert found["uptoken_relay_in_flight[]"] == 0
    assert found["uptoken_relay_added_seconds_count[]"] == 1
    served = "[('gen_ai_provider_name', 'B'), ('gen_ai_request_model', 'gemma')]"
    for name in (
        "gen_ai_client_operation_time_to_first_chunk_seconds",
        "gen_ai_server_time_to_first_token_seconds",
        "gen_ai_server_time_per_output_token_seconds",
    ):
        assert found[f"{name}_count{served}"] == 1, name
    assert any(name.startswith("gen_ai_client_operation_duration_seconds_count") for name in found)


def test_the_row_of_an_attempt_has_the_app_and_nothing_more_of_its_headers() -> None:
    sent = {
        "HTTP-Referer": "https://user:secret@app.example:8443/chat/7?session=canary#x",
        "X-Title": "Old title",
        "X-OpenRouter-Title": "My App",
        "X-OpenRouter-Categories": "cli-agent,roleplay",
        "User-Agent": "canary-agent",
    }
    with Upstream(good()) as upstream, relay_to(upstream.url) as relay:
        relay.chat(stream=True, headers=sent)
        row: Any = relay.rows[0]

    assert (row.app, row.app_title, row.app_categories) == (
        "https://app.example:8443",
        "My App",
        "cli-agent,roleplay",
    )
    assert "canary" not in repr(row)
    assert "secret" not in repr(row)
    assert (row.route, row.location, row.streamed, row.attempt) == ("gemma", "here", True, 1)
    assert row.ttft_ms is not None
    assert row.first_answer_ms == row.ttft_ms
    assert row.connect_ms > 0
    assert 0 < row.added_ms < 50
