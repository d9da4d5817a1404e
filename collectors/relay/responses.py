"""What the relay itself sends: responses of JSON, and the event that ends a stream which broke off."""

from __future__ import annotations

import time
from typing import Any

import orjson

from collectors.relay.attempt import Attempt, Send
from collectors.relay.call import Call
from collectors.relay.problems import ERROR_TYPES, Api, ProblemError

Headers = list[tuple[bytes, bytes]]


async def send_json(
    send: Send, status: int, body: bytes, headers: Headers, *, kind: bytes = b"application/json"
) -> None:
    """One response in one piece."""
    lengths = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), (b"cache-control", b"no-cache")]
    await send({"type": "http.response.start", "status": status, "headers": [*lengths, *headers]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def send_problem(send: Send, problem: ProblemError, api: Api | None, headers: Headers) -> None:
    """An error, in one form."""
    await send_json(send, problem.status, problem.body(api), [*problem.headers(), *headers])


def error_event(call: Call, attempt: Attempt, provider: str) -> bytes:
    """The last event of a stream that failed after its first content; no `[DONE]` follows."""
    failure, tally = attempt.failure, attempt.tally
    assert failure is not None
    status = failure.client_status
    error_type = ERROR_TYPES.get(failure.outcome, "server")
    if call.api == "messages":
        error = {"type": "error", "error": {"type": "api_error", "message": failure.message}}
        return b"event: error\ndata: " + orjson.dumps(error) + b"\n\n"
    event: dict[str, Any] = {
        "id": tally.upstream_id or call.request_id,
        "object": "chat.completion.chunk" if call.api == "chat" else "text_completion",
        "created": int(time.time()),
        "model": tally.served_model or call.model,
        "provider": tally.provider or provider,
        "error": {"code": status, "message": failure.message, "metadata": {"error_type": error_type}},
        "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
    }
    return b"data: " + orjson.dumps(event) + b"\n\n"
