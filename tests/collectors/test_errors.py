"""An error is read in whichever shape it comes, and nothing in it is believed to have any."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collectors.http.classifier import outcome_of
from collectors.http.dialects.base import error_in
from collectors.http.errors import ReportedError, page_title, read_error, read_error_body, without_prompt


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


@pytest.mark.parametrize(
    ("body", "said", "outcome"),
    [
        (
            {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
            "1008: insufficient balance",
            "caller_error",
        ),
        ({"choices": None, "base_resp": {"status_code": 1002, "status_msg": "rpm"}}, "1002: rpm", "rate_limited"),
        (
            {"error_code": 17, "error_msg": "Open api daily request limit reached"},
            "17: Open api daily request limit reached",
            "stream_error",
        ),
        (
            {"Response": {"Error": {"Code": "LimitExceeded", "Message": "too many requests"}}},
            "LimitExceeded: too many requests",
            "rate_limited",
        ),
        (
            {"code": "InvalidApiKey", "message": "Invalid API-key provided.", "request_id": "x"},
            "InvalidApiKey: Invalid API-key provided.",
            "caller_error",
        ),
        ({"success": False, "message": "no credits left"}, "no credits left", "caller_error"),
        ({"code": 0, "message": "success"}, None, None),
        ({"code": 20000, "msg": "ok"}, None, None),
        ({"choices": [{"delta": {"content": "x"}}], "base_resp": {"status_code": 0, "status_msg": ""}}, None, None),
    ],
)
def test_a_vendors_own_status_in_a_200_is_an_error(
    body: dict[str, object], said: str | None, outcome: str | None
) -> None:
    """MiniMax, Baidu, Tencent, DashScope, one-api; a status that says good says nothing."""
    error = error_in(body)
    assert (error and error.describe()) == said
    assert (error and outcome_of(error, 200)) == outcome
