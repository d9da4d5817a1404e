"""OpenAI's Responses: `POST responses`, a stream of named events that ends with the whole response."""

from __future__ import annotations

from typing import Any

from collectors.http.dialects.base import (
    Chunk,
    Dialect,
    RequestSpec,
    chunk_of,
    end_of_stream,
    logprobs_of,
    object_in,
    objects,
    pin,
    text_in,
    word,
)
from collectors.http.errors import ReportedError, read_error

ENDS = ("response.completed", "response.failed", "response.incomplete")
TEXTS = frozenset({"response.output_text.delta"})
REASONING = frozenset({"response.reasoning_text.delta", "response.reasoning_summary_text.delta"})
OTHER_OUTPUT = frozenset(
    {
        "response.refusal.delta",
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
        "response.mcp_call_arguments.delta",
        "response.audio.delta",
    }
)
CALLS = frozenset({"function_call", "custom_tool_call", "mcp_call"})


def body(wish: RequestSpec) -> dict[str, Any]:
    """The JSON of a request."""
    sent: dict[str, Any] = {
        "model": wish.model,
        "input": wish.prompt,
        "max_output_tokens": wish.max_tokens,
        "temperature": wish.temperature,
        "stream": wish.stream,
    }
    if wish.alternatives is not None:
        sent |= {"include": ["message.output_text.logprobs"], "top_logprobs": wish.alternatives, "top_p": 1}
    if wish.reasoning_effort is not None:
        sent["reasoning"] = {"effort": wish.reasoning_effort}
    return sent | pin(wish)


def event(value: dict[str, Any]) -> Chunk:
    """One event of a stream."""
    kind = value.get("type")
    chunk = chunk_of(value)
    if kind in TEXTS:
        chunk.text = text_in(value, "delta")
        chunk.logprobs = _first_logprobs(value)
    elif kind in REASONING:
        chunk.reasoned = bool(text_in(value, "delta"))
    elif kind in OTHER_OUTPUT:
        chunk.carries_more = bool(text_in(value, "delta"))
    elif kind == "response.output_item.added":
        chunk.carries_more = object_in(value, "item").get("type") in CALLS
    elif kind == "error":
        chunk.error = chunk.error or read_error({name: value.get(name) for name in ("code", "message", "param")})
        chunk.is_end = True
    elif "response" in value:
        _note_state(chunk, object_in(value, "response"))
        chunk.is_end = kind in ENDS
        if chunk.is_end:  # some proxies send nothing before it
            _note_output(chunk, object_in(value, "response"))
            chunk.is_whole = True
        if kind == "response.failed" and chunk.error is None:
            chunk.error = ReportedError("the response failed without a reason")
    return chunk


def whole(value: dict[str, Any]) -> Chunk:
    """A response that is one JSON object."""
    chunk = chunk_of(value)
    _note_state(chunk, value)
    _note_output(chunk, value)
    return chunk


def _note_output(chunk: Chunk, response: dict[str, Any]) -> None:
    for item in objects(response.get("output")):
        chunk.carries_more = chunk.carries_more or item.get("type") in CALLS
        is_thought = item.get("type") == "reasoning"
        for part in (*objects(item.get("content")), *objects(item.get("summary"))):
            if is_thought or part.get("type") == "reasoning_text":
                chunk.reasoned = chunk.reasoned or bool(text_in(part, "text"))
            else:
                chunk.text += text_in(part, "text")
                chunk.logprobs = chunk.logprobs or _first_logprobs(part)
                chunk.carries_more = chunk.carries_more or bool(text_in(part, "refusal"))


def _first_logprobs(holder: dict[str, Any]) -> dict[str, float] | None:
    tokens = objects(holder.get("logprobs"))
    return logprobs_of(tokens[0].get("top_logprobs")) if tokens else None


def _note_state(chunk: Chunk, response: dict[str, Any]) -> None:
    """Who answers and, once it is over, how it ended."""
    chunk.model = word(response.get("model"))
    chunk.fingerprint = word(response.get("system_fingerprint"))
    chunk.provider = word(response.get("provider"))
    if response.get("error"):
        chunk.error = read_error(response["error"])
    status = word(response.get("status"))
    if status in ("completed", "incomplete", "failed", "cancelled"):
        chunk.finish_reason = word(object_in(response, "incomplete_details").get("reason")) or status


RESPONSES = Dialect(
    name="responses",
    gives="a response object",
    ends_with="response.completed",
    path=lambda _base, _model, _stream: "responses",
    body=body,
    event=event,
    whole=whole,
    end=end_of_stream(
        rb'"type"\s*:\s*"response\.(?:completed|failed|incomplete)"',
        rb'(?:^|[\r\n])(?:event: ?error\b|data: ?\{\s*"type"\s*:\s*"error")',
    ),
)
