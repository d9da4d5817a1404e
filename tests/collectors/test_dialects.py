"""Each dialect through the product: what is sent, what is recorded, and that the vendor's own client reads the same."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import openai
import pytest
from anthropic import types as claude
from google import genai
from google.genai import types as google

from store import Store
from store.schema import ADAPTATIONS, Adaptation, Probe
from tests.collectors import vendors
from tests.collectors.builders import config, run_once
from tests.collectors.vendors import STEP_S, answering
from tests.fault_server import GOOD, FaultServer, Script, answer, chunked

KEY = "sk-canary-0123456789"
ENDPOINTS = {
    "chat": "/v1",
    "responses": "/v1",
    "anthropic": "/v1",
    "gemini": "/v1beta",
    "azure": "",
    "embeddings": "/v1",
}
STREAMS = {
    "chat": vendors.chat_stream,
    "azure": vendors.chat_stream,
    "responses": vendors.responses_stream,
    "anthropic": vendors.claude_stream,
    "gemini": vendors.gemini_stream,
}


def probed(store: Store, api: str, script: Script, *, times: int = 1, **target: Any) -> tuple[Probe, FaultServer]:
    """The newest row of a target of that dialect that `script` serves."""
    with FaultServer(script) as server:
        base = {"base_url": f"http://127.0.0.1:{server.port}{ENDPOINTS[api]}", "api": api, "api_key_env": "K"}
        settings = config(base | target, environment={"K": KEY})
        for _ in range(times):
            rows, _ = run_once(settings, store, everything=True)
    return rows[-1], server


def at_least(value: float | None, ms: float) -> bool:
    """Whether a time is what the server waited: its sleep may be longer on a busy machine, and never shorter."""
    return value is not None and ms - 5 <= value < ms + 300


def streamed(store: Store, api: str, *pieces: bytes | float, **target: Any) -> Probe:
    return probed(store, api, chunked(*pieces), **target)[0]


# -- what is sent


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


def test_a_server_that_may_not_stream_responses_is_asked_for_a_whole_one(store: Store) -> None:
    """lobehub/lobehub#9385."""

    def script(connection: Any, request: dict[str, Any]) -> None:
        error = {"message": "Your organization must be verified to stream this model.", "param": "stream"}
        whole = answer(200, WHOLE["responses"](vendors.sum_in(request)))
        (answer(400, {"error": error}) if request["body"]["stream"] else whole)(connection, request)

    row, server = probed(store, "responses", script, times=2)
    assert (row.outcome, row.answer_ok, row.ttft_ms) == ("ok", True, None)
    assert [request["body"]["stream"] for request in server.requests] == [True, False, False]


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


# -- good responses


@pytest.mark.parametrize(
    ("api", "model", "tokens", "finish"),
    [
        ("chat", "gpt-served", (20, 2, None, None), "stop"),
        ("azure", "gpt-served", (20, 2, None, None), "stop"),
        ("responses", "gpt-served", (20, 2, 0, 0), "completed"),
        ("anthropic", "claude-served", (20, 15, None, 8), "end_turn"),
        ("gemini", "gemini-served", (20, 32, 30, None), "STOP"),
    ],
)
def test_a_stream_is_recorded_with_its_times_tokens_and_names(
    store: Store, api: str, model: str, tokens: tuple[int | None, ...], finish: str
) -> None:
    """Anthropic counts what it read from its cache (8) beside the input (12); Gemini its thoughts beside the answer."""
    row, _ = probed(store, api, answering(STREAMS[api]))
    assert (row.outcome, row.error, row.answer_ok) == ("ok", None, True)
    assert (row.served_model, row.finish_reason) == (model, finish)
    assert (row.prompt_tokens, row.completion_tokens, row.reasoning_tokens, row.cached_tokens) == tokens
    assert row.tokens_source == "usage"
    assert at_least(row.ttft_ms, STEP_S * 1_000)
    assert row.first_answer_ms == row.ttft_ms
    assert at_least(row.total_ms, 2 * STEP_S * 1_000)
    assert row.system_fingerprint == ("fp_44709d6fcb" if api in ("chat", "azure") else None)


WHOLE: dict[str, Any] = {
    "chat": lambda text: {
        "model": "gpt-served",
        "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 2},
    },
    "responses": lambda text: vendors.response(
        "completed",
        usage=vendors.response_usage(),
        output=[
            {
                "id": "m",
                "role": "assistant",
                "status": "completed",
                "type": "message",
                "content": [{"type": "output_text", "text": text, "annotations": []}],
            }
        ],
    ).model_dump(exclude_none=True),
    "anthropic": lambda text: vendors.message(
        content=[claude.TextBlock(text=text, type="text")], stop_reason="end_turn"
    ).model_dump(exclude_none=True),
    "gemini": lambda text: vendors.gemini_body(google.Part(text=text), finish="STOP", used=vendors.ANSWERED),
}
WHOLE["azure"] = WHOLE["chat"]


@pytest.mark.parametrize("api", sorted(WHOLE))
def test_without_a_stream_the_whole_response_is_read_and_has_no_first_token(store: Store, api: str) -> None:
    def script(connection: Any, request: dict[str, Any]) -> None:
        assert not request["body"].get("stream")
        assert "stream" not in request["line"]
        answer(200, WHOLE[api](vendors.sum_in(request)))(connection, request)

    row, _ = probed(store, api, script, stream=False)
    assert (row.outcome, row.error, row.answer_ok) == ("ok", None, True)
    assert (row.ttft_ms, row.first_answer_ms, row.tokens_per_second) == (None, None, None)
    assert row.total_ms is not None and row.total_ms > 0
    assert row.prompt_tokens == 20
    assert row.completion_tokens == {"anthropic": 1, "gemini": 32}.get(api, 2)


def test_a_vector_is_a_good_response_with_a_total_time_and_no_answer(store: Store) -> None:
    prices = {"usd_per_million_input": 1, "usd_per_million_output": 0}
    row, server = probed(store, "embeddings", answer(200, vendors.embedding()), **prices)
    assert (row.outcome, row.error, row.served_model) == ("ok", None, "embed-served")
    assert (row.prompt_tokens, row.completion_tokens, row.answer_ok) == (20, None, None)
    assert (row.ttft_ms, row.first_answer_ms, row.tokens_per_second) == (None, None, None)
    assert row.total_ms is not None
    assert row.cost_usd == pytest.approx(20 / 1e6)
    assert server.requests[0]["headers"]["accept"] == "application/json"
    row, _ = probed(store, "embeddings", answer(200, vendors.embedding() | {"data": []}))
    assert (row.outcome, row.error) == ("empty", "the response has no vector")


def test_gemini_that_knows_no_events_sends_an_array_and_is_read(store: Store) -> None:
    parts = [vendors.gemini_body(google.Part(text="4")), vendors.gemini_body(google.Part(text="2"), finish="STOP")]
    row, _ = probed(store, "gemini", answer(200, parts))
    assert (row.outcome, row.finish_reason, row.ttft_ms) == ("ok", "STOP", None)


# -- reasoning


@pytest.mark.alone
def test_reasoning_that_is_shown_comes_before_the_first_answer(store: Store) -> None:
    streams: dict[str, list[bytes | float]] = {
        "chat": [
            vendors.chat_event({"reasoning_content": "hm"}),
            STEP_S,
            vendors.chat_event({"content": "\n"}),
            STEP_S,
            vendors.chat_event({"content": "42"}, "stop"),
            b"data: [DONE]\n\n",
        ],
        "responses": [
            vendors.response_thought("hm"),
            2 * STEP_S,
            vendors.response_text("42"),
            vendors.response_end(),
        ],
        "anthropic": [
            vendors.message_start(),
            vendors.block_start(claude.ThinkingBlock(signature="", thinking="", type="thinking")),
            vendors.claude_thought("hm"),
            vendors.block_delta(claude.SignatureDelta(signature="EqQB", type="signature_delta")),
            2 * STEP_S,
            vendors.claude_text("42"),
            vendors.message_delta("end_turn"),
            vendors.MESSAGE_STOP,
        ],
        "gemini": [
            vendors.gemini_event(vendors.gemini_body(google.Part(text="hm", thought=True))),
            2 * STEP_S,
            vendors.gemini_text("42", finish="STOP", used=vendors.ANSWERED),
        ],
    }
    for api, pieces in streams.items():
        row = streamed(store, api, 0.01, *pieces, name=api)
        assert row.outcome == "ok", (api, row)
        assert row.ttft_ms is not None and row.first_answer_ms is not None
        assert at_least(row.first_answer_ms - row.ttft_ms, 2 * STEP_S * 1_000), api


@pytest.mark.alone
@pytest.mark.parametrize(
    "pieces",
    [
        ["<think>hm", " so</think>\n\n", "42"],
        ["<think>hm", " so</thi", "nk>42"],
        ["hm", " so</think>\n", "42"],
        [" \n<thinking>hm", "</thinking>", "42"],
    ],
)
def test_reasoning_between_tags_is_not_the_answer(store: Store, pieces: list[str]) -> None:
    events: list[bytes | float] = [vendors.chat_event({"content": pieces[0]})]
    for piece in pieces[1:]:
        events += [STEP_S, vendors.chat_event({"content": piece})]
    row = streamed(store, "chat", *events, vendors.chat_event({}, "stop"), b"data: [DONE]\n\n")
    assert row.ttft_ms is not None and row.first_answer_ms is not None
    assert at_least(row.first_answer_ms - row.ttft_ms, 2 * STEP_S * 1_000)
    assert row.first_answer_ms == row.total_ms


def test_reasoning_that_the_limit_cut_has_no_answer_and_is_not_judged(store: Store) -> None:
    row = streamed(
        store,
        "chat",
        vendors.chat_event({"content": "<think>let me"}),
        vendors.chat_event({"content": " see"}, "length"),
        b"data: [DONE]\n\n",
    )
    assert (row.outcome, row.first_answer_ms, row.answer_ok) == ("ok", None, None)
    assert row.ttft_ms is not None


@pytest.mark.parametrize(
    ("api", "pieces", "reasoning"),
    [
        (
            "responses",
            [
                *vendors.response_begin(),
                vendors.response_end(
                    "incomplete",
                    incomplete_details=vendors.incomplete("max_output_tokens"),
                    usage=vendors.response_usage(16, reasoning=16),
                ),
            ],
            16,
        ),
        (
            "anthropic",
            [
                vendors.message_start(),
                vendors.block_start(claude.RedactedThinkingBlock(data="EmwKAhgB", type="redacted_thinking")),
                vendors.message_delta("max_tokens", 16),
                vendors.MESSAGE_STOP,
            ],
            None,
        ),
        (
            "gemini",
            [
                vendors.gemini_event(
                    vendors.gemini_body(finish="MAX_TOKENS", used={"thoughts_token_count": 16, "total_token_count": 36})
                )
            ],
            16,
        ),
    ],
)
def test_reasoning_that_is_billed_and_hidden_is_work(
    store: Store, api: str, pieces: list[bytes | float], reasoning: int | None
) -> None:
    row = streamed(store, api, *pieces)
    assert (row.outcome, row.error) == ("ok", None)
    assert (row.ttft_ms, row.first_answer_ms, row.answer_ok) == (None, None, None)
    assert (row.completion_tokens, row.reasoning_tokens) == (16, reasoning)


# -- refusals and errors


@pytest.mark.parametrize(
    ("api", "pieces", "finish"),
    [
        (
            "responses",
            [
                vendors.response_end(
                    "incomplete",
                    incomplete_details=vendors.incomplete("content_filter"),
                    usage=vendors.response_usage(0),
                )
            ],
            "content_filter",
        ),
        (
            "anthropic",
            [vendors.message_start(), vendors.message_delta("refusal", 0), vendors.MESSAGE_STOP],
            "refusal",
        ),
        ("gemini", [vendors.gemini_event(vendors.gemini_body(finish="PROHIBITED_CONTENT"))], "PROHIBITED_CONTENT"),
        (
            "gemini",
            [
                vendors.gemini_event(
                    vendors.gemini_body(
                        candidates=None,
                        prompt_feedback=google.GenerateContentResponsePromptFeedback(block_reason="SAFETY"),
                    )
                )
            ],
            "SAFETY",
        ),
    ],
)
def test_a_filter_that_keeps_the_text_back_is_a_working_server(
    store: Store, api: str, pieces: list[bytes | float], finish: str
) -> None:
    row = streamed(store, api, *pieces)
    assert (row.outcome, row.finish_reason, row.ttft_ms, row.answer_ok) == ("ok", finish, None, None)


def failed(code: str, text: str) -> bytes:
    return vendors.response_end("failed", error={"code": code, "message": text}, usage=None)


QUOTA = {"error": {"code": 429, "message": "Resource has been exhausted", "status": "RESOURCE_EXHAUSTED"}}
UNAVAILABLE = {"error": {"code": 503, "message": "The model is overloaded", "status": "UNAVAILABLE"}}


@pytest.mark.parametrize(
    ("api", "pieces", "outcome", "error"),
    [
        ("anthropic", [vendors.message_start(), vendors.OVERLOADED], "stream_error", "overloaded_error: Overloaded"),
        ("anthropic", [vendors.claude_text("4"), vendors.OVERLOADED], "stream_error", "overloaded_error: Overloaded"),
        (
            "anthropic",
            [b'event: error\ndata: {"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}\n\n'],
            "rate_limited",
            "rate_limit_error: slow down",
        ),
        (
            "responses",
            [*vendors.response_begin(), failed("server_error", "it broke")],
            "stream_error",
            "server_error: it broke",
        ),
        (
            "responses",
            [failed("rate_limit_exceeded", "too fast")],
            "rate_limited",
            "rate_limit_exceeded: too fast",
        ),
        (
            "responses",
            [b'event: error\ndata: {"type":"error","code":"server_error","message":"it broke","param":null}\n\n'],
            "stream_error",
            "server_error: it broke",
        ),
        (
            "responses",
            [b'data: {"type":"error","error":{"code":"insufficient_quota","message":"no quota"}}\n\n'],
            "rate_limited",
            "insufficient_quota: no quota",
        ),
        ("gemini", [vendors.gemini_event(QUOTA)], "rate_limited", "429: Resource has been exhausted"),
        (
            "gemini",
            [vendors.gemini_text("4"), vendors.gemini_event(UNAVAILABLE)],
            "stream_error",
            "503: The model is overloaded",
        ),
        ("gemini", [json.dumps([QUOTA]).encode()], "rate_limited", "429: Resource has been exhausted"),
        (
            "gemini",
            [vendors.gemini_event(vendors.gemini_body(finish="PUP_LIMITED_DISABLED"))],
            "caller_error",
            "PUP_LIMITED_DISABLED: this account is limited or disabled",
        ),
        ("responses", [vendors.response_text("4")], "stream_error", "the stream ended without response.completed"),
        (
            "anthropic",
            [vendors.message_start(), vendors.claude_text("4")],
            "stream_error",
            "the stream ended without message_stop",
        ),
        ("gemini", [vendors.gemini_text("4")], "stream_error", "the stream ended without a finishReason"),
    ],
)
def test_an_error_inside_a_200_is_found_in_each_dialect(
    store: Store, api: str, pieces: list[bytes | float], outcome: str, error: str
) -> None:
    row = streamed(store, api, *pieces)
    assert row.outcome == outcome
    assert row.error == error


@pytest.mark.parametrize(
    ("api", "status", "body", "outcome"),
    [
        ("anthropic", 529, {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, "server_error"),
        ("anthropic", 401, {"type": "error", "error": {"type": "authentication_error"}}, "caller_error"),
        ("gemini", 429, [QUOTA], "rate_limited"),
        (
            "gemini",
            400,
            [{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}],
            "caller_error",
        ),
        (
            "gemini",
            404,
            {"error": {"code": 404, "message": "models/m is not found", "status": "NOT_FOUND"}},
            "not_found",
        ),
        ("azure", 404, {"error": {"code": "DeploymentNotFound", "message": "The API deployment"}}, "not_found"),
        ("azure", 400, {"error": {"code": "content_filter", "message": "The response was filtered"}}, "caller_error"),
        ("responses", 429, {"error": {"code": "rate_limit_exceeded", "message": "slow"}}, "rate_limited"),
        (
            "embeddings",
            404,
            {"error": {"message": "The model `m` does not exist", "code": "model_not_found"}},
            "not_found",
        ),
    ],
)
def test_an_error_with_its_own_status_has_the_same_outcome_in_each_dialect(
    store: Store, api: str, status: int, body: Any, outcome: str
) -> None:
    row, _ = probed(store, api, answer(status, body))
    assert (row.outcome, row.http_status) == (outcome, status)


@pytest.mark.parametrize("api", sorted(ENDPOINTS))
def test_a_key_that_a_server_echoes_is_in_no_row(store: Store, api: str) -> None:
    def echo(connection: Any, request: dict[str, Any]) -> None:
        said = f"Incorrect API key provided: {json.dumps(request['headers'])} {json.dumps(request['body'])}"
        answer(401, {"error": {"message": said}})(connection, request)

    row, server = probed(store, api, echo)
    assert KEY in json.dumps(server.requests[0]["headers"])
    assert row.outcome == "caller_error"
    assert row.error is not None and KEY[3:] not in row.error and KEY[:12] not in row.error
    assert "What is" not in row.error


# -- adaptations


@pytest.mark.parametrize(
    ("api", "limit", "message"),
    [
        (
            "responses",
            "max_output_tokens",
            "Could not finish the message because max_tokens or model output limit was reached.",
        ),
        ("anthropic", "max_tokens", "max_tokens: must be greater than or equal to 64"),
        ("gemini", "generationConfig.maxOutputTokens", "max_output_tokens must be at least 64"),
    ],
)
def test_a_limit_is_raised_under_each_dialects_name_and_remembered(
    store: Store, api: str, limit: str, message: str
) -> None:
    from collectors.http.adaptations import value_at

    def script(connection: Any, request: dict[str, Any]) -> None:
        enough = value_at(request["body"], limit) >= 64
        good = chunked(*STREAMS[api](vendors.sum_in(request)))
        (good if enough else answer(400, {"error": {"message": message}}))(connection, request)

    row, server = probed(store, api, script, times=2)
    assert (row.outcome, row.answer_ok) == ("ok", True)
    assert [value_at(request["body"], limit) for request in server.requests] == [16, 64, 64]
    [kept] = [Adaptation(*values) for values in store.read(ADAPTATIONS)]
    assert (kept.field, kept.replacement) == (limit, "64")


def test_no_limit_is_raised_above_what_its_target_allows(store: Store) -> None:
    message = "Could not finish the message because max_tokens or model output limit was reached."
    row, server = probed(store, "chat", answer(400, {"error": {"message": message}}), max_tokens=100)
    assert row.outcome == "caller_error"
    assert [request["body"]["max_tokens"] for request in server.requests] == [16, 64, 100]


@pytest.mark.parametrize(
    ("api", "message", "param", "field"),
    [
        ("chat", "Unrecognized request argument supplied: reasoning_effort", None, "reasoning_effort"),
        (
            "responses",
            "Unsupported parameter: 'reasoning.effort' is not supported with this model.",
            "reasoning.effort",
            "reasoning.effort",
        ),
        ("anthropic", "This model does not support the effort parameter.", None, "output_config.effort"),
        ("gemini", "Thinking level is not supported for this model.", None, "generationConfig.thinkingConfig"),
        ("anthropic", "`temperature` is deprecated for this model.", None, "temperature"),
        ("gemini", "temperature is not supported", None, "generationConfig.temperature"),
    ],
)
def test_an_effort_or_a_temperature_that_is_refused_is_left_out_and_remembered(
    store: Store, api: str, message: str, param: str | None, field: str
) -> None:
    """anthropics/claude-code#30010, github/app#2574, Kilo-Org/kilocode#5139."""
    from collectors.http.adaptations import value_at

    def script(connection: Any, request: dict[str, Any]) -> None:
        wrong = value_at(request["body"], field) is not None
        good = chunked(*STREAMS[api](vendors.sum_in(request)))
        (answer(400, {"error": {"message": message, "param": param}}) if wrong else good)(connection, request)

    row, server = probed(store, api, script, times=2, reasoning_effort="minimal")
    assert row.outcome == "ok"
    assert len(server.requests) == 3
    assert field.partition(".")[0] not in server.requests[-1]["body"] or field.startswith("generationConfig")


# -- the end of a stream


@pytest.mark.parametrize("api", sorted(STREAMS))
def test_a_stream_is_over_at_its_dialects_own_end(store: Store, api: str) -> None:
    """The connection stays open for ten seconds; the probe's timeout is five."""
    row, _ = probed(store, api, answering(lambda text: [*STREAMS[api](text), 10.0]))
    assert (row.outcome, row.error, row.answer_ok) == ("ok", None, True)


def test_a_stream_that_ended_in_time_is_not_too_late_for_what_its_connection_does(store: Store) -> None:
    """Its end comes after 0.7 s of the 1.0 that there are; what the server might still send is awaited for one more."""
    row, _ = probed(store, "gemini", answering(lambda text: [0.7, *STREAMS["gemini"](text), 10.0]), timeout="1s")
    assert (row.outcome, row.error, row.answer_ok) == ("ok", None, True)


def test_an_error_is_the_end_of_a_stream_too(store: Store) -> None:
    row = streamed(store, "anthropic", vendors.message_start(), vendors.OVERLOADED, 10.0)
    assert (row.outcome, row.error) == ("stream_error", "overloaded_error: Overloaded")


@pytest.mark.parametrize("api", sorted(STREAMS))
def test_an_end_is_found_however_the_bytes_are_split(store: Store, api: str) -> None:
    def split(text: str) -> list[bytes | float]:
        whole = b"".join(piece for piece in STREAMS[api](text) if isinstance(piece, bytes))
        return [whole[at : at + 7] for at in range(0, len(whole), 7)] + [10.0]

    row, _ = probed(store, api, answering(split))
    assert (row.outcome, row.answer_ok) == ("ok", True)


def test_an_end_that_the_model_only_writes_about_is_none(store: Store) -> None:
    written = '"type":"response.completed" "type": "message_stop" "finishReason": "STOP"\n\n'
    for api, pieces in {
        "responses": [vendors.response_text(written), 0.3, vendors.response_text("2"), vendors.response_end()],
        "anthropic": [
            vendors.claude_text(written),
            0.3,
            vendors.claude_text("2"),
            vendors.message_delta("end_turn"),
            vendors.MESSAGE_STOP,
        ],
        "gemini": [vendors.gemini_text(written), 1.2, vendors.gemini_text("2", finish="STOP", used=vendors.ANSWERED)],
    }.items():
        row = streamed(store, api, *pieces, name=api)
        assert row.outcome == "ok", (api, row.error)
        assert row.total_ms is not None and row.total_ms > 250


def test_gemini_models_that_finish_in_each_event_are_read_to_their_last(store: Store) -> None:
    row, _ = probed(
        store,
        "gemini",
        answering(
            lambda text: [
                vendors.gemini_text(text[:1], finish="STOP"),
                0.3,
                vendors.gemini_text(text[1:], finish="STOP"),
            ]
        ),
    )
    assert (row.outcome, row.answer_ok) == ("ok", True)


def test_what_goes_on_after_the_end_delays_nobody(store: Store) -> None:
    chatter = [piece for _ in range(200) for piece in (b": alive\n\n", 0.05)]
    row, _ = probed(store, "chat", answering(lambda text: [*vendors.chat_stream(text), *chatter]))
    assert (row.outcome, row.answer_ok) == ("ok", True)


def test_events_that_are_labelled_json_are_read_as_what_they_are(store: Store) -> None:
    row, _ = probed(store, "anthropic", answering(vendors.claude_stream, content_type="application/json"))
    assert (row.outcome, row.answer_ok) == ("ok", True)
    assert row.ttft_ms is not None


# -- the gaps between chunks


def test_a_throughput_probe_keeps_the_gaps_between_its_chunks(store: Store) -> None:
    """Five chunks, 40 ms between each but the last, which comes 120 ms later: gaps of 40, 40, 40 and 120 ms. The 99th
    percentile stands at 0.97 of the way from the third (40) to the fourth (120): 117.6 ms.
    """
    texts = [vendors.chat_event({"content": "7 "}) for _ in range(5)]
    pieces = [texts[0], 0.04, texts[1], 0.04, texts[2], 0.04, texts[3], 0.12, texts[4]]
    end = [vendors.chat_event({}, "stop"), b"data: [DONE]\n\n"]
    row = streamed(store, "chat", *pieces, *end, profile="throughput")
    assert at_least(row.itl_p50_ms, 40) and at_least(row.itl_p99_ms, 117.6)
    assert row.itl_p50_ms is not None and row.itl_p99_ms is not None and row.itl_p50_ms < row.itl_p99_ms
    row = streamed(store, "chat", *texts[:3], *end, profile="throughput")
    assert (row.itl_p50_ms, row.itl_p99_ms) == (None, None)
    row = streamed(store, "chat", *texts, *end)
    assert (row.profile, row.itl_p50_ms, row.itl_p99_ms) == ("ping", None, None)


# -- the vendors' own clients read the same servers


def test_openais_client_reads_what_the_probes_read() -> None:
    with FaultServer(answering(vendors.responses_stream)) as server:
        client = openai.OpenAI(base_url=server.url, api_key=KEY, max_retries=0)
        seen = list(client.responses.create(model="m", input="What is 20 + 22?", stream=True))
    assert "".join(event.delta for event in seen if event.type == "response.output_text.delta") == "42"
    with FaultServer(answer(200, vendors.embedding())) as server:
        client = openai.OpenAI(base_url=server.url, api_key=KEY, max_retries=0)
        assert client.embeddings.create(model="m", input="x", encoding_format="float").data[0].embedding == [
            0.1,
            -0.2,
            0.3,
        ]
    with FaultServer(answering(vendors.chat_stream)) as server:
        azure = openai.AzureOpenAI(
            azure_endpoint=f"http://127.0.0.1:{server.port}", api_key=KEY, api_version="2024-10-21", max_retries=0
        )
        messages: Any = [{"role": "user", "content": "What is 20 + 22?"}]
        chunks = list(azure.chat.completions.create(model="m", messages=messages, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "42"
    sent = server.requests[0]
    assert sent["line"] == "POST /openai/deployments/m/chat/completions?api-version=2024-10-21 HTTP/1.1"
    assert sent["headers"]["api-key"] == KEY


def test_openais_client_waits_for_done_as_a_probe_does() -> None:
    """Though the finish reason and the usage came (`test_a_stream_that_stays_open_without_done_is_a_timeout`)."""
    with FaultServer(chunked(*GOOD[:-1], 3.0)) as server:
        client = openai.OpenAI(base_url=server.url, api_key=KEY, max_retries=0, timeout=1.0)
        messages: Any = [{"role": "user", "content": "What is 20 + 22?"}]
        with pytest.raises(openai.APITimeoutError):
            list(client.chat.completions.create(model="m", messages=messages, stream=True))


def test_anthropics_client_reads_what_the_probes_read() -> None:
    messages: Any = [{"role": "user", "content": "What is 20 + 22?"}]
    with FaultServer(answering(vendors.claude_stream)) as server:
        client = anthropic.Anthropic(base_url=f"http://127.0.0.1:{server.port}", api_key=KEY, max_retries=0)
        with client.messages.stream(model="m", max_tokens=16, messages=messages) as stream:
            assert "".join(stream.text_stream) == "42"
            assert stream.get_final_message().usage.output_tokens == 15
    sent = server.requests[0]
    assert sent["line"] == "POST /v1/messages HTTP/1.1"
    assert sent["headers"]["authorization"] == f"Bearer {KEY}"  # as `api_key_header = "Authorization"` sends it
    with FaultServer(chunked(vendors.message_start(), vendors.OVERLOADED)) as server:
        client = anthropic.Anthropic(base_url=f"http://127.0.0.1:{server.port}", api_key=KEY, max_retries=0)
        with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
            list(client.messages.create(model="m", max_tokens=16, messages=messages, stream=True))


def test_googles_client_reads_what_the_probes_read() -> None:
    with FaultServer(answering(vendors.gemini_stream)) as server:
        options = google.HttpOptions(base_url=f"http://127.0.0.1:{server.port}", api_version="v1beta")
        client = genai.Client(api_key=KEY, http_options=options)
        seen = list(client.models.generate_content_stream(model="m", contents="What is 20 + 22?"))
    assert "".join(part.text or "" for part in seen) == "42"
    assert seen[-1].usage_metadata is not None and seen[-1].usage_metadata.thoughts_token_count == 30
    sent = server.requests[0]
    assert sent["line"] == "POST /v1beta/models/m:streamGenerateContent?alt=sse HTTP/1.1"
    assert sent["headers"]["x-goog-api-key"] == KEY


def test_a_target_may_ask_for_another_version_of_the_api(store: Store) -> None:
    newer = {"headers": {"Anthropic-Version": "2026-10-21"}, "api_key_header": "Authorization"}
    _, server = probed(store, "anthropic", answer(500, {}), **newer)
    sent = server.requests[0]["headers"]
    assert (sent["anthropic-version"], sent["authorization"]) == ("2026-10-21", f"Bearer {KEY}")


def test_an_error_that_stands_between_the_events_as_plain_json_is_found(store: Store) -> None:
    loose = b'{"error": {"code": 429, "message": "slow down"}}\n'
    row = streamed(store, "chat", vendors.chat_event({"content": "4"}), loose)
    assert (row.outcome, row.error) == ("rate_limited", "429: slow down")
    pretty = json.dumps([QUOTA], indent=2).encode() + b"\n"
    row = streamed(store, "gemini", vendors.gemini_text("4"), pretty)
    assert (row.outcome, row.error) == ("rate_limited", "429: Resource has been exhausted")


def test_compatible_servers_that_count_only_at_the_end_are_read(store: Store) -> None:
    """zai-org/GLM-5#139, sgl-project/sglang#20678: zeros in message_start, all figures in message_delta."""
    nothing = claude.Usage(input_tokens=0, output_tokens=0)
    start = vendors.named(claude.RawMessageStartEvent(message=vendors.message(usage=nothing), type="message_start"))
    used = {"input_tokens": 14, "cache_read_input_tokens": 6, "output_tokens": 3}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": used}
    delta = f"event: message_delta\ndata: {json.dumps(end)}\n\n".encode()
    row = streamed(store, "anthropic", start, vendors.claude_text("42"), delta, vendors.MESSAGE_STOP)
    assert (row.prompt_tokens, row.completion_tokens, row.cached_tokens) == (20, 3, 6)


def test_the_first_of_two_events_that_tell_the_same_failure_is_enough(store: Store) -> None:
    """vercel/ai#6534."""
    said = {"type": "tokens", "code": "rate_limit_exceeded", "message": "Request too large for gpt-4.1", "param": None}
    error = f"event: error\ndata: {json.dumps({'type': 'error', 'sequence_number': 2, 'error': said})}\n\n".encode()
    row = streamed(store, "responses", *vendors.response_begin(), error, failed("rate_limit_exceeded", "the same"))
    assert (row.outcome, row.error) == ("rate_limited", "rate_limit_exceeded: Request too large for gpt-4.1")


# -- money, schedules, and what is asked beside


def test_the_budget_sets_aside_what_each_dialects_request_may_cost() -> None:
    from collectors.request import most_output_tokens

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
    from store.schema import MODELS, Model

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
