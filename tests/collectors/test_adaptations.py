"""What a server refuses is left out of the request, raised or renamed, and remembered."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from collectors.http.adaptations import adapt
from tests.collectors.exchanges import BODY, probe
from tests.fault_server import DONE, GOOD, Script, answer, chunked, event

pytestmark = pytest.mark.alone


def refusing(message: str, *fields: str) -> Script:
    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        wrong = any(name in request["body"] for name in fields)
        (answer(400, {"error": {"message": message}}) if wrong else chunked(*GOOD))(connection, request)

    return script


@pytest.mark.parametrize(
    ("message", "field", "replacement"),
    [
        (
            "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
            "max_tokens",
            '"max_completion_tokens"',
        ),
        ("Unrecognized request argument supplied: stream_options", "stream_options", None),
        ("'temperature' does not support 0 with this model", "temperature", None),
    ],
)
def test_a_refused_field_is_left_out_and_remembered(message: str, field: str, replacement: str | None) -> None:
    result, server = probe(refusing(message, field))
    assert (result.outcome, result.adaptations) == ("ok", ((field, replacement),))
    assert len(server.requests) == 2
    assert adapt(BODY, list(result.adaptations)) == server.requests[-1]["body"]


def test_a_minimum_is_met() -> None:
    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        enough = request["body"]["max_tokens"] >= 24
        (chunked(*GOOD) if enough else answer(400, {"error": {"message": "max_tokens must be at least 24"}}))(
            connection, request
        )

    result, _ = probe(script)
    assert (result.outcome, result.adaptations) == ("ok", (("max_tokens", "24"),))


def _limited(least: int, message: str) -> Script:
    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        enough = request["body"]["max_tokens"] >= least
        (chunked(*GOOD) if enough else answer(400, {"error": {"message": message}}))(connection, request)

    return script


def test_a_limit_that_hidden_reasoning_uses_up_is_raised_as_far_as_a_probe_may() -> None:
    """BerriAI/litellm#26987, grafana/grafana-llm-app#780."""
    message = "Could not finish the message because max_tokens or model output limit was reached."
    result, server = probe(_limited(200, message))
    assert result.outcome == "ok"
    assert [request["body"]["max_tokens"] for request in server.requests] == [16, 64, 256]
    assert adapt(BODY, list(result.adaptations)) == server.requests[-1]["body"]
    result, server = probe(_limited(5_000, message))
    assert result.outcome == "caller_error"
    assert [request["body"]["max_tokens"] for request in server.requests] == [16, 64, 256, 1_024]


def test_a_server_that_may_not_stream_is_asked_without() -> None:
    """lobehub/lobehub#9385, RooCodeInc/Roo-Code#6868."""

    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        error = {"message": "Your organization must be verified to stream this model.", "param": "stream"}
        whole = {"choices": [{"message": {"content": "42"}, "finish_reason": "stop"}]}
        (answer(400, {"error": error}) if request["body"]["stream"] else answer(200, whole))(connection, request)

    result, server = probe(script)
    assert (result.outcome, result.ttft_ms, result.adaptations) == ("ok", None, (("stream", "false"),))
    assert "stream_options" not in server.requests[-1]["body"]


def test_a_field_that_param_names_is_left_out_and_the_model_never_is() -> None:
    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        wrong = "temperature" in request["body"]
        error = {"message": "Argument not supported", "param": "temperature" if wrong else "model"}
        answer(400, {"error": error})(connection, request)

    result, server = probe(script)
    assert (result.outcome, len(server.requests)) == ("caller_error", 2)
    assert server.requests[-1]["body"].keys() == BODY.keys() - {"temperature"}


def test_a_change_is_remembered_once_it_was_taken_whatever_came_then() -> None:
    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        wrong = "temperature" in request["body"]
        refusal = answer(400, {"error": {"message": "temperature is not supported"}})
        (refusal if wrong else chunked(event({"error": {"message": "broken"}}), DONE))(connection, request)

    result, _ = probe(script)
    assert (result.outcome, result.adaptations) == ("stream_error", (("temperature", None),))


def test_a_limit_is_never_lowered_and_holds_under_its_new_name() -> None:
    changes = [("max_completion_tokens", "64"), ("max_tokens", '"max_completion_tokens"')]
    assert adapt({"max_tokens": 16}, changes) == {"max_completion_tokens": 64}
    assert adapt({"max_tokens": 128}, changes) == {"max_completion_tokens": 128}


def test_another_bad_request_is_not_tried_again() -> None:
    result, server = probe(answer(400, {"error": {"message": "bad messages"}}))
    assert (result.outcome, len(server.requests)) == ("caller_error", 1)
    assert json.dumps(server.requests[0]["body"]) == json.dumps(BODY)
