"""What a reply says, worked out by hand, whatever a server puts in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collectors.http.exchange import _gap_ms
from collectors.http.response import ProbeResponse, parse_object, read_events, read_whole
from collectors.http.sse import Event
from collectors.http.usage import count


def _stream(*chunks: Any) -> ProbeResponse:
    return read_events(
        Event(float(n), "", chunk if isinstance(chunk, str) else json.dumps(chunk)) for n, chunk in enumerate(chunks)
    )


def _delta(**delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def test_a_role_null_or_empty_content_is_not_the_first_token() -> None:
    reply = _stream(_delta(role="assistant"), _delta(content=None), _delta(content=""), _delta(content="4"), "[DONE]")
    assert (reply.first_token_at, reply.last_token_at, reply.token_chunks, reply.text) == (3.0, 3.0, 1, "4")
    assert reply.done


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning": "hm"},
        {"reasoning_content": "hm"},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]},
        {"tool_calls": [{"index": 0}]},
        {"content": [{"type": "text", "text": "hi"}]},
        {"refusal": "no"},
    ],
)
def test_reasoning_tool_calls_parts_and_refusals_are_tokens(delta: dict[str, Any]) -> None:
    assert _stream(_delta(**delta)).has_token


def test_usage_may_come_last_in_every_chunk_or_never() -> None:
    early = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}
    late = {
        "choices": [],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 9,
            "cost": 0.001,
            "prompt_tokens_details": {"cached_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 4},
        },
    }
    reply = _stream(early, {"usage": None}, late)
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.cost_usd) == (3, 9, 0.001)
    assert (reply.usage.cached_tokens, reply.usage.reasoning_tokens) == (2, 4)
    assert _stream(_delta(content="x")).usage.completion_tokens is None


def test_who_answered_and_who_was_tried_before_is_noted() -> None:
    attempts = [{"provider": "A", "model": "m", "status": 503}, {"provider": "B", "model": "m", "status": 200}]
    reply = _stream({"provider": "B", "model": "m-1", "openrouter_metadata": {"attempts": attempts}})
    assert (reply.provider, reply.served_model) == ("B", "m-1")
    assert json.loads(reply.route or "") == attempts


@pytest.mark.parametrize(
    ("chunk", "said"),
    [
        ({"error": {"code": 502, "message": "upstream"}}, "502: upstream"),
        ({"error": {"code": "overloaded", "message": "later"}}, "overloaded: later"),
        ({"error": {"type": "server_error", "message": "x"}}, "server_error: x"),
        ({"error": "plain"}, "plain"),
        ({"choices": [{"delta": {}, "error": {"code": 1, "message": "y"}}]}, "1: y"),
    ],
)
def test_an_error_object_is_read_in_each_of_its_shapes(chunk: dict[str, Any], said: str) -> None:
    assert _stream(_delta(content="x"), chunk).error == said


def test_an_event_named_error_is_an_error() -> None:
    assert read_events([Event(0.0, "error", '{"message": "gone"}')]).error == "gone"


def test_a_whole_body_has_a_text_and_no_time_of_a_first_token() -> None:
    reply = read_whole([{"choices": [{"message": {"content": "42"}, "finish_reason": "stop"}]}])
    assert (reply.text, reply.first_token_at, reply.has_token, reply.finish_reason) == ("42", None, True, "stop")


@pytest.mark.parametrize("value", ["5", True, -1, 1.5, float("nan"), float("inf"), 10**10, None, [1], {}])
def test_what_cannot_be_a_count_is_null(value: Any) -> None:
    assert count(value) is None


def test_a_count_may_come_as_a_whole_float() -> None:
    assert count(16.0) == 16


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000, '{"a":' * 100_000, '{"n": ' + "9" * 5_000 + "}"])
def test_what_is_no_object_is_null(text: str) -> None:
    assert parse_object(text) is None


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": "x"},
        {"choices": [None, 1, "x"]},
        {"choices": [{"delta": "x"}]},
        {"choices": [{"delta": {"content": 5, "tool_calls": 0}}]},
        {"usage": {"completion_tokens_details": 4}},
        {"openrouter_metadata": {"attempts": [None]}},
        {"provider": 7, "model": []},
    ],
)
def test_a_shape_that_is_wrong_is_no_token_and_no_exception(chunk: dict[str, Any]) -> None:
    assert not _stream(chunk).has_token


def test_the_gaps_between_chunks_are_read_as_numpy_would() -> None:
    """Gaps of 1, 2, 3 and 10 s: the median is halfway from 2 to 3, the 99th percentile 0.97 of the way from 3 to 10."""
    reply = ProbeResponse(token_stamps=[0.0, 1.0, 3.0, 6.0, 16.0], token_chunks=5)
    assert [_gap_ms(reply, share) for share in (0.50, 0.99)] == [2_500.0, pytest.approx(9_790.0)]
