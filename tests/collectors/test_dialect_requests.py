"""What each dialect is sent, what that may cost, and what is asked beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collectors.request import most_output_tokens
from store import Store
from store.schema import MODELS, Model
from tests.collectors.builders import config, run_once
from tests.collectors.dialects import ENDPOINTS, KEY, probed
from tests.fault_server import FaultServer, answer


@pytest.mark.parametrize(
    ("api", "line", "header"),
    [
        ("chat", "/v1/chat/completions", ("authorization", f"Bearer {KEY}")),
        ("responses", "/v1/responses", ("authorization", f"Bearer {KEY}")),
        ("anthropic", "/v1/messages", ("x-api-key", KEY)),
        ("gemini", "/v1beta/models/m:streamGenerateContent?alt=sse", ("x-goog-api-key", KEY)),
        ("azure", "/openai/deployments/m/chat/completions?api-version=2024-10-21", ("api-key", KEY)),
        ("embeddings", "/v1/embeddings", ("authorization", f"Bearer {KEY}")),
    ],
)
def test_each_dialect_has_its_path_and_its_way_of_sending_the_key(
    store: Store, api: str, line: str, header: tuple[str, str]
) -> None:
    _, server = probed(store, api, answer(500, {}))
    sent = server.requests[0]
    assert sent["line"] == f"POST {line} HTTP/1.1"
    assert sent["headers"][header[0]] == header[1]
    carriers = {"authorization", "x-api-key", "x-goog-api-key", "api-key"} & sent["headers"].keys()
    assert carriers == {header[0]}
    assert sent["headers"].get("anthropic-version") == ("2023-06-01" if api == "anthropic" else None)


@pytest.mark.parametrize(
    ("api", "expected"),
    [
        (
            "chat",
            {
                "messages": [{"role": "user", "content": "?"}],
                "max_tokens": 16,
                "temperature": 0,
                "stream": True,
                "stream_options": {"include_usage": True},
                "reasoning_effort": "low",
                "model": "m",
            },
        ),
        (
            "responses",
            {
                "input": "?",
                "max_output_tokens": 16,
                "temperature": 0,
                "stream": True,
                "reasoning": {"effort": "low"},
                "model": "m",
            },
        ),
        (
            "anthropic",
            {
                "messages": [{"role": "user", "content": "?"}],
                "max_tokens": 16,
                "temperature": 0,
                "stream": True,
                "output_config": {"effort": "low"},
                "model": "m",
            },
        ),
        (
            "gemini",
            {
                "contents": [{"role": "user", "parts": [{"text": "?"}]}],
                "generationConfig": {
                    "maxOutputTokens": 16,
                    "temperature": 0,
                    "thinkingConfig": {"thinkingLevel": "low"},
                },
            },
        ),
        ("embeddings", {"input": "?", "model": "m"}),
    ],
)
def test_a_probe_becomes_each_dialects_body(store: Store, api: str, expected: dict[str, Any]) -> None:
    _, server = probed(store, api, answer(500, {}), reasoning_effort="low")
    body = json.dumps(server.requests[0]["body"])
    prompt = next(text for text in body.split('"') if text.startswith("What is"))
    assert json.loads(body.replace(prompt, "?")) == expected


@pytest.mark.parametrize(
    ("base", "params", "path"),
    [
        ("", "", "/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21"),
        ("/openai", "2025-01-01", "/openai/deployments/my%20gpt/chat/completions?api-version=2025-01-01"),
        ("/openai/deployments/d1", "2025-01-01", "/openai/deployments/d1/chat/completions?api-version=2025-01-01"),
        ("/openai/deployments/d1?api-version=v0", "", "/openai/deployments/d1/chat/completions?api-version=v0"),
        ("/openai/v1", "", "/openai/v1/chat/completions"),
        ("/models", "", "/models/chat/completions?api-version=2024-05-01-preview"),
        ("/openai/v1", "preview", "/openai/v1/chat/completions?api-version=preview"),
    ],
)
def test_azure_is_found_below_each_of_its_base_urls(store: Store, base: str, params: str, path: str) -> None:
    with FaultServer(answer(500, {})) as server:
        target = {"base_url": f"http://127.0.0.1:{server.port}{base}", "api": "azure", "model": "my gpt"}
        run_once(config(target | ({"params": {"api-version": params}} if params else {})), store)
    assert server.requests[0]["line"] == f"POST {path} HTTP/1.1"


@pytest.mark.parametrize(
    ("api", "base", "path"),
    [
        ("anthropic", "", "/v1/messages"),
        ("anthropic", "/api/anthropic", "/api/anthropic/v1/messages"),
        ("anthropic", "/api/v1", "/api/v1/messages"),
        ("gemini", "", "/v1beta/models/m:generateContent"),
        ("gemini", "/v1", "/v1/models/m:generateContent"),
        ("gemini", "/v1/a/gw/google-ai-studio", "/v1/a/gw/google-ai-studio/v1beta/models/m:generateContent"),
        ("gemini", "/v1/projects/p/publishers/google", "/v1/projects/p/publishers/google/models/m:generateContent"),
    ],
)
def test_a_base_url_may_have_the_version_or_be_what_the_vendors_client_takes(
    store: Store, api: str, base: str, path: str
) -> None:
    with FaultServer(answer(500, {})) as server:
        target = {"base_url": f"http://127.0.0.1:{server.port}{base}", "api": api, "stream": False}
        run_once(config(target), store)
    assert server.requests[0]["line"] == f"POST {path} HTTP/1.1"


def test_params_follow_the_query_of_the_base_url(store: Store) -> None:
    with FaultServer(answer(500, {})) as server:
        target = {"base_url": f"{server.url}?a=1", "params": {"b": "2 3", "c": "4"}}
        run_once(config(target), store)
    assert server.requests[0]["line"] == "POST /v1/chat/completions?a=1&b=2+3&c=4 HTTP/1.1"


@pytest.mark.parametrize(
    ("header", "value"), [("X-Gateway-Key", KEY), ("Authorization", f"Bearer {KEY}"), ("api-key", KEY)]
)
def test_a_target_may_name_the_header_of_its_key(store: Store, header: str, value: str) -> None:
    _, server = probed(store, "anthropic", answer(500, {}), api_key_header=header)
    sent = server.requests[0]["headers"]
    assert sent[header.lower()] == value
    assert "x-api-key" not in sent


def test_extra_fields_go_over_those_of_the_dialect_and_into_their_objects(store: Store) -> None:
    extra = {"generationConfig": {"topK": 1, "temperature": 1}, "safetySettings": {"a": "b"}}
    _, server = probed(store, "gemini", answer(500, {}), extra_body=extra)
    body = server.requests[0]["body"]
    assert body["generationConfig"] == {"maxOutputTokens": 16, "temperature": 1, "topK": 1}
    assert body["safetySettings"] == {"a": "b"}


def test_a_target_of_few_output_tokens_is_asked_for_no_more(store: Store) -> None:
    _, server = probed(store, "chat", answer(500, {}), max_tokens=8, profile="throughput")
    assert server.requests[0]["body"]["max_tokens"] == 8


def test_a_target_may_ask_for_another_version_of_the_api(store: Store) -> None:
    newer = {"headers": {"Anthropic-Version": "2026-10-21"}, "api_key_header": "Authorization"}
    _, server = probed(store, "anthropic", answer(500, {}), **newer)
    sent = server.requests[0]["headers"]
    assert (sent["anthropic-version"], sent["authorization"]) == ("2026-10-21", f"Bearer {KEY}")


# -- money, schedules, and what is asked beside


def test_the_budget_sets_aside_what_each_dialects_request_may_cost() -> None:
    def most(api: str, changes: Any = None, **more: Any) -> int:
        target = config({"api": api, "model": "m"} | more).targets[0]
        return most_output_tokens(target, "ping", changes)

    assert most("chat") == most("responses") == most("anthropic") == most("gemini") == most("azure") == 16
    assert most("embeddings") == 0
    assert most("chat", max_tokens=4) == 4
    assert most("gemini", [("generationConfig.maxOutputTokens", "256")]) == 256
    assert most("gemini", [("generationConfig.maxOutputTokens", "256")], max_tokens=100) == 100
    assert most("responses", extra_body={"max_output_tokens": 5_000}) == 5_000


def test_a_target_of_vectors_has_no_throughput_to_be_probed() -> None:
    for api, profiles in (("chat", ["ping", "throughput"]), ("embeddings", ["ping"])):
        [target] = config({"api": api, "throughput_every": "1h"}).targets
        assert [profile for profile, _ in target.schedules] == profiles


@pytest.mark.parametrize(
    ("api", "line", "header", "listed"),
    [
        (
            "anthropic",
            "/v1/models?limit=1000",
            ("x-api-key", KEY),
            {"data": [{"id": "m", "max_input_tokens": 200_000}]},
        ),
        (
            "gemini",
            "/v1beta/models?pageSize=1000",
            ("x-goog-api-key", KEY),
            {"models": [{"name": "models/m", "inputTokenLimit": 200_000}]},
        ),
        ("responses", "/v1/models", ("authorization", f"Bearer {KEY}"), [{"id": "m", "context_length": 200_000}]),
        ("azure", None, ("api-key", KEY), None),
    ],
)
def test_each_dialects_list_of_models_is_asked_for_in_its_way(
    store: Store, api: str, line: str | None, header: tuple[str, str], listed: Any
) -> None:
    with FaultServer(answer(200, listed)) as server:
        target = {"api": api, "base_url": f"http://127.0.0.1:{server.port}{ENDPOINTS[api]}", "api_key_env": "K"}
        run_once(config(target, environment={"K": KEY}), store, only=["local_servers"])
    assert [request["line"] for request in server.requests] == ([f"GET {line} HTTP/1.1"] if line else [])
    if line:
        assert server.requests[0]["headers"][header[0]] == header[1]
        assert [Model(*row).context_tokens for row in store.read(MODELS)] == [200_000]


@pytest.mark.parametrize(("api", "asked"), [("chat", 1), ("anthropic", 0), ("gemini", 0), ("azure", 0)])
def test_only_what_may_be_llama_cpp_is_asked_for_its_slots(store: Store, api: str, asked: int) -> None:
    with FaultServer(answer(404, {})) as server:
        base = {"api": api, "base_url": f"http://127.0.0.1:{server.port}{ENDPOINTS[api]}"}
        run_once(config(base | {"name": "a"}, base | {"name": "b", "model": "n"}), store)
    assert sum(request["line"].startswith("GET /props") for request in server.requests) == asked
