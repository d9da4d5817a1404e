"""Anthropic's Messages: `POST messages`, content in blocks, usage in the first event and in a later one.

The base URL ends with `/v1`, or is what the vendor's client takes, which adds it, as `https://host/anthropic`.
"""

from __future__ import annotations

from typing import Any

from collectors.http.dialects.base import (
    Chunk,
    Dialect,
    RequestSpec,
    chunk_of,
    end_of_stream,
    object_in,
    objects,
    pin,
    text_in,
    version_below,
    word,
)
from collectors.http.errors import read_error

VERSION = "2023-06-01"
"""What every server of this API takes. Since 2026-10-21 there is a newer one, for which the vendor's own client sends
the key as `Authorization: Bearer`: `headers` and `api_key_header` of a target choose both.
"""
CALLS = frozenset({"tool_use", "server_tool_use"})


def body(wish: RequestSpec) -> dict[str, Any]:
    """The JSON of a request."""
    sent: dict[str, Any] = {
        "model": wish.model,
        "max_tokens": wish.max_tokens,
        "messages": [{"role": "user", "content": wish.prompt}],
        "temperature": 0,
        "stream": wish.stream,
    }
    if wish.reasoning_effort is not None:
        sent["output_config"] = {"effort": wish.reasoning_effort}
    return sent | pin(wish)


def event(value: dict[str, Any]) -> Chunk:
    """One event of a stream. Redacted reasoning and signatures are no text that anyone can read."""
    kind = value.get("type")
    if kind == "message":  # of a proxy that does not stream
        chunk = whole(value)
        chunk.is_whole = chunk.is_end = True
        return chunk
    chunk = chunk_of(value)
    if kind == "content_block_delta":
        delta = object_in(value, "delta")
        chunk.text = text_in(delta, "text")
        chunk.reasoned = bool(text_in(delta, "thinking"))
        chunk.carries_more = bool(text_in(delta, "partial_json"))
    elif kind == "content_block_start":
        _note_block(chunk, object_in(value, "content_block"))
    elif kind == "message_start":
        _note_message(chunk, object_in(value, "message"))
    elif kind == "message_delta":
        chunk.finish_reason = word(object_in(value, "delta").get("stop_reason"))
    elif kind == "message_stop":
        chunk.is_end = True
    elif kind == "error":
        chunk.error = chunk.error or read_error({name: value.get(name) for name in ("code", "message")})
        chunk.is_end = True
    return chunk


def whole(value: dict[str, Any]) -> Chunk:
    """A response that is one JSON object."""
    chunk = chunk_of(value)
    _note_message(chunk, value)
    for block in objects(value.get("content")):
        _note_block(chunk, block)
    return chunk


def _note_message(chunk: Chunk, message: dict[str, Any]) -> None:
    chunk.model = word(message.get("model"))
    chunk.provider = word(message.get("provider"))
    chunk.finish_reason = word(message.get("stop_reason"))


def _note_block(chunk: Chunk, block: dict[str, Any]) -> None:
    chunk.text += text_in(block, "text")
    chunk.reasoned = chunk.reasoned or bool(text_in(block, "thinking"))
    chunk.carries_more = chunk.carries_more or block.get("type") in CALLS


ANTHROPIC = Dialect(
    name="anthropic",
    gives="a message",
    ends_with="message_stop",
    path=lambda base, _model, _stream: f"{version_below(base, 'v1')}messages",
    body=body,
    event=event,
    whole=whole,
    end=end_of_stream(
        rb'"type"\s*:\s*"message_stop"',
        rb'(?:^|[\r\n])(?:event: ?error\b|data: ?\{\s*"type"\s*:\s*"error")',
    ),
    key_header="x-api-key",
    headers={"anthropic-version": VERSION},
    list_path=lambda base: f"{version_below(base, 'v1')}models?limit=1000",
    may_be_llama_cpp=False,
)
