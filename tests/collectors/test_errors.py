"""An error is read in whichever shape it comes, and nothing in it is believed to have any."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collectors.http.errors import ReportedError, error_inside, page_title, read_error, read_error_body, without_prompt


@pytest.mark.parametrize(
    ("value", "described"),
    [
        ("plain", "plain"),
        ({"code": 502, "message": "upstream"}, "502: upstream"),
        ({"type": "server_error", "message": "x"}, "server_error: x"),
        ({"error": {"error": {"message": "deep", "code": "c"}}}, "c: deep"),
        ({"detail": "busy"}, "busy"),
        ({"detail": {"error": "busy"}}, "busy"),
        ({"statusCode": 429, "error": "Too Many Requests", "message": "slow down"}, "Too Many Requests: slow down"),
        ('{"error": {"message": "inside a text"}}', "inside a text"),
        ({"message": '{"error": {"code": 400, "message": "API key not valid"}}'}, "API key not valid"),
        (
            {"message": [{"loc": ["body", "seed"], "msg": "bad", "input": "kept out"}, "and more"]},
            "body.seed: bad; and more",
        ),
        (
            {"metadata": {"raw": "upstream's words"}, "message": "Provider returned error"},
            "Provider returned error: upstream's words",
        ),
        ({"code": True, "message": {}}, "an error without a message"),
        (5, "an error without a message"),
        (None, "an error without a message"),
    ],
)
def test_each_shape_of_an_error_is_read(value: Any, described: str) -> None:
    assert read_error(value).describe() == described


def test_codes_come_with_the_most_specific_first_and_a_status_is_told_from_a_code() -> None:
    raw = json.dumps({"error": {"type": "overloaded_error", "message": "Overloaded"}})
    read = read_error({"code": "429", "type": "t", "message": "m", "metadata": {"raw": raw, "provider_name": "P"}})
    assert (read.codes, read.status, read.provider) == (("overloaded_error", "t"), 429, "P")
    assert read_error({"code": 3505}).status is None
    assert read_error({"code": 50_001, "status": 503}).status == 503


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"null", b"7", b"[7]", b'""', b"\xff\xfe\x00" * 50, b"<html></html>"]
)
def test_a_body_that_says_nothing_is_null(body: bytes) -> None:
    assert read_error_body(body) is None


def test_errors_inside_errors_without_an_end_are_read_to_a_bounded_depth() -> None:
    value: Any = {"message": "deepest"}
    for _ in range(200):
        value = {"error": value, "message": "m"}
    assert read_error(value).message == "m"


def test_a_message_is_bounded_and_in_one_line() -> None:
    assert len(read_error({"message": "y" * 100_000}).message) == 1_000
    assert read_error("a\n\n  b").message == "a b"


def test_a_repeated_status_is_left_out() -> None:
    assert ReportedError("boom", label="500").describe(500) == "boom"
    assert ReportedError("500 Internal Server Error").describe(500) == "Internal Server Error"
    assert ReportedError("5000 things").describe(500) == "5000 things"


def test_the_prompt_is_taken_out_wherever_it_is_echoed() -> None:
    body = {"messages": [{"role": "user", "content": "What is 1 + 2?"}, None, {"content": ""}]}
    assert without_prompt("bad: What is 1 + 2? (What is 1 + 2?)", body) == "bad: [prompt] ([prompt])"
    assert without_prompt("bad", {"messages": 5}) == "bad"


def test_a_page_without_a_title_has_none() -> None:
    assert page_title("<html><title> </title></html>") is None
    assert page_title("hello") is None


# -- errors with a good status


@pytest.mark.parametrize(
    ("value", "described"),
    [
        # MiniMax (CherryHQ/cherry-studio#11287, adrianlyjak/obsidian-aloud-tts#114)
        (
            {"id": "", "choices": None, "usage": {"total_tokens": 0}, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
            "1008: insufficient balance",
        ),
        # FastChat (chatchat-space/Langchain-Chatchat#2607)
        ({"id": None, "choices": None, "error_code": 500, "text": "the request failed"}, "500: the request failed"),
        # Baidu
        ({"error_code": 336501, "error_msg": "Rpm rate limit reached", "id": "as-1"}, "336501: Rpm rate limit reached"),
        # SiliconFlow, DashScope
        ({"code": 20012, "message": "Model does not exist", "data": None}, "20012: Model does not exist"),
        ({"code": "InvalidApiKey", "message": "Invalid API-key provided.", "request_id": "1"}, "InvalidApiKey: Invalid API-key provided."),
        # Cloudflare (cloudflare/ai#593)
        ({"result": None, "success": False, "errors": [{"code": 3040, "message": "Capacity temporarily exceeded"}]}, "3040: Capacity temporarily exceeded"),
        ({"success": False, "message": "no"}, "no"),
        ({"errors": {"message": "We have to rate limit you"}}, "We have to rate limit you"),
        # OpenAI's Responses
        ({"type": "error", "code": "rate_limit_exceeded", "message": "Slow down", "param": None}, "rate_limit_exceeded: Slow down"),
        # apache/rocketmq-dashboard#2178
        ({"error": {"message": "quota exceeded"}}, "quota exceeded"),
        ({"error": "Model m is currently loading", "estimated_time": 20.0}, "Model m is currently loading"),
        ({"object": "error", "message": "died", "code": 500}, "500: died"),
    ],
)  # fmt: skip
def test_an_error_in_a_response_with_a_good_status(value: dict[str, Any], described: str) -> None:
    found = error_inside(value)
    assert found is not None and found.describe() == described


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"error": None},
        {"choices": [{"delta": {"content": "x"}}], "base_resp": {"status_code": 0, "status_msg": ""}},  # MiniMax, well
        {"choices": [], "code": "x", "message": "y", "usage": {"prompt_tokens": 1}},
        {"code": 200, "message": "success", "data": {"x": 1}},
        {"code": 0, "msg": "ok"},
        {"code": "200", "message": "OK"},
        {"text": "the model's own words", "error_code": 0},
        {"type": "ping"},
        {"type": "message_start", "message": {"id": "1", "usage": {"input_tokens": 1}}},
        {"type": "content_block_delta", "delta": {"text": "x"}},
        {"type": "response.created", "response": {"error": None}},
        {"candidates": [{"content": {}}], "usageMetadata": {}},
        {"message": "hello"},
        {"success": True, "message": "hello"},
        {"object": "list", "data": [{"embedding": [0.1]}], "errors": []},
    ],
)
def test_what_is_no_error_is_none(value: dict[str, Any]) -> None:
    assert error_inside(value) is None


@pytest.mark.parametrize(
    ("body", "described"),
    [
        # Alishahryar1/free-claude-code#1021
        ({"status": 404, "title": "Not Found", "detail": "Function 'x': Not found"}, "Function 'x': Not found"),
        ({"status": 403, "title": "Forbidden"}, "Forbidden"),
        ({"errors": [{"code": 7009, "message": "Upstream service unavailable"}]}, "7009: Upstream service unavailable"),
        ({"error": ["Error in `parameters`: too long"]}, "Error in `parameters`: too long"),
        ({"__type": "com.amazon#AccessDeniedException", "message": "no"}, "AccessDeniedException: no"),
        (
            {"error": {"message": "Error code: 401 - {'error': {'message': 'Incorrect key', 'code': 'invalid_api_key'}}"}},
            "Incorrect key",
        ),
        ({"error": {"message": "x: Error code: 429 - {'error': [broken"}}, "x: Error code: 429 - {'error': [broken"),
    ],
)  # fmt: skip
def test_more_shapes_of_an_error(body: dict[str, Any], described: str) -> None:
    found = read_error_body(json.dumps(body).encode())
    assert found is not None and found.describe() == described
