"""What each dialect's filters and errors are recorded as, and what a refusal changes in the next request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types as google

from collectors.http.adaptations import value_at
from store import Store
from store.schema import ADAPTATIONS, Adaptation
from tests.collectors import vendors
from tests.collectors.dialects import ENDPOINTS, KEY, probed, streamed
from tests.collectors.vendors import STREAMS, WHOLE
from tests.fault_server import answer, chunked


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


def test_an_error_is_the_end_of_a_stream_too(store: Store) -> None:
    row = streamed(store, "anthropic", vendors.message_start(), vendors.OVERLOADED, 10.0)
    assert (row.outcome, row.error) == ("stream_error", "overloaded_error: Overloaded")


def test_an_error_that_stands_between_the_events_as_plain_json_is_found(store: Store) -> None:
    loose = b'{"error": {"code": 429, "message": "slow down"}}\n'
    row = streamed(store, "chat", vendors.chat_event({"content": "4"}), loose)
    assert (row.outcome, row.error) == ("rate_limited", "429: slow down")
    pretty = json.dumps([QUOTA], indent=2).encode() + b"\n"
    row = streamed(store, "gemini", vendors.gemini_text("4"), pretty)
    assert (row.outcome, row.error) == ("rate_limited", "429: Resource has been exhausted")


def test_the_first_of_two_events_that_tell_the_same_failure_is_enough(store: Store) -> None:
    """vercel/ai#6534."""
    said = {"type": "tokens", "code": "rate_limit_exceeded", "message": "Request too large for gpt-4.1", "param": None}
    error = f"event: error\ndata: {json.dumps({'type': 'error', 'sequence_number': 2, 'error': said})}\n\n".encode()
    row = streamed(store, "responses", *vendors.response_begin(), error, failed("rate_limit_exceeded", "the same"))
    assert (row.outcome, row.error) == ("rate_limited", "rate_limit_exceeded: Request too large for gpt-4.1")


# -- adaptations


def test_a_server_that_may_not_stream_responses_is_asked_for_a_whole_one(store: Store) -> None:
    """lobehub/lobehub#9385."""

    def script(connection: Any, request: dict[str, Any]) -> None:
        error = {"message": "Your organization must be verified to stream this model.", "param": "stream"}
        whole = answer(200, WHOLE["responses"](vendors.sum_in(request)))
        (answer(400, {"error": error}) if request["body"]["stream"] else whole)(connection, request)

    row, server = probed(store, "responses", script, times=2)
    assert (row.outcome, row.answer_ok, row.ttft_ms) == ("ok", True, None)
    assert [request["body"]["stream"] for request in server.requests] == [True, False, False]


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

    def script(connection: Any, request: dict[str, Any]) -> None:
        wrong = value_at(request["body"], field) is not None
        good = chunked(*STREAMS[api](vendors.sum_in(request)))
        (answer(400, {"error": {"message": message, "param": param}}) if wrong else good)(connection, request)

    row, server = probed(store, api, script, times=2, reasoning_effort="minimal")
    assert row.outcome == "ok"
    assert len(server.requests) == 3
    assert field.partition(".")[0] not in server.requests[-1]["body"] or field.startswith("generationConfig")
