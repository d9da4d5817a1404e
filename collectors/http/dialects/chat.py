"""OpenAI's Chat Completions, which most servers and routers speak, with what they add to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from collectors.http.dialects.base import (
    Chunk,
    Dialect,
    RequestSpec,
    ToolCallPart,
    chunk_of,
    end_of_stream,
    error_in,
    logprobs_of,
    object_in,
    objects,
    pin,
    text_in,
    word,
)
from collectors.http.usage import count

REASONING = ("reasoning", "reasoning_content", "reasoning_text", "thinking", "thinking_content", "thinking_blocks")


def body(wish: RequestSpec) -> dict[str, Any]:
    """The JSON of a request."""
    sent: dict[str, Any] = {
        "model": wish.model,
        "messages": [{"role": "user", "content": wish.prompt}],
        "max_tokens": wish.max_tokens,
        "temperature": wish.temperature,
        "stream": wish.stream,
    }
    if wish.alternatives is not None:
        sent |= {"logprobs": True, "top_logprobs": wish.alternatives, "top_p": 1}
    if wish.stream:
        sent["stream_options"] = {"include_usage": True}
    if wish.reasoning_effort is not None:
        sent["reasoning_effort"] = wish.reasoning_effort
    return sent | pin(wish)


def event(value: dict[str, Any]) -> Chunk:
    """One event of a stream."""
    return _read(value, ("delta", "message"))


def whole(value: dict[str, Any]) -> Chunk:
    """A response that is one JSON object."""
    return _read(value, ("message", "delta"))


def _read(value: dict[str, Any], parts: tuple[str, str]) -> Chunk:
    chunk = chunk_of(value)
    chunk.provider = word(value.get("provider"))
    chunk.model = word(value.get("model"))
    chunk.fingerprint = word(value.get("system_fingerprint"))
    chunk.route = route_of(value) if "openrouter_metadata" in value else None
    for choice in objects(value.get("choices")):
        if "error" in choice:
            chunk.error = chunk.error or error_in(choice)
        finished = choice.get("finish_reason") or choice.get("finishReason")  # Google's, at times
        chunk.finish_reason = word(finished) or chunk.finish_reason
        for part in parts:
            if isinstance(choice.get(part), dict):
                _note_delta(chunk, choice[part])
                chunk.is_whole = part == "message"
                break
        else:
            chunk.text += text_in(choice, "text")  # as in the older Completions
        if "logprobs" in choice and chunk.logprobs is None:
            tokens = objects(object_in(choice, "logprobs").get("content"))
            chunk.logprobs = logprobs_of(tokens[0].get("top_logprobs")) if tokens else None
    return chunk


def _note_delta(chunk: Chunk, delta: dict[str, Any]) -> None:
    content = delta.get("content")
    if content:
        chunk.text += _content_text(content)
        chunk.reasoned = isinstance(content, list) and any(map(_is_thought, objects(content)))
    for name in REASONING:
        if name in delta and _has_text(delta[name]):
            chunk.reasoned = True
    for part in objects(delta["reasoning_details"]) if "reasoning_details" in delta else ():
        chunk.reasoned = chunk.reasoned or bool(part.get("text") or part.get("summary"))
        chunk.carries_more = chunk.carries_more or bool(part.get("data"))  # encrypted
    refusal = delta.get("refusal")
    if delta.get("tool_calls") or delta.get("function_call") or (isinstance(refusal, str) and refusal):
        chunk.carries_more = True
        chunk.tool_calls = tuple(_tool_call_parts(delta))


def _tool_call_parts(delta: dict[str, Any]) -> Iterator[ToolCallPart]:
    older = object_in(delta, "function_call")
    listed = objects(delta.get("tool_calls")) or ([{"function": older}] if older else [])
    for place, call in enumerate(listed):
        function = object_in(call, "function")
        arguments = function.get("arguments")
        if isinstance(arguments, dict):  # not OpenAI's way, but as clear
            arguments = json.dumps(arguments)
        number = count(call.get("index"))
        yield ToolCallPart(
            place if number is None else number,
            text_in(function, "name"),
            arguments if isinstance(arguments, str) else "",
        )


def _content_text(value: Any) -> str:
    """Answer text of a delta: a string, or a list of parts as some servers send it; reasoning is none."""
    if isinstance(value, str):
        return value
    parts = (part for part in objects(value) if not _is_thought(part))
    return "".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def _has_text(value: Any) -> bool:
    """Whether a field of reasoning holds any: a string, or a list of parts."""
    if isinstance(value, str):
        return bool(value)
    return any(part.get(name) for part in objects(value) for name in ("text", "thinking"))


def _is_thought(part: dict[str, Any]) -> bool:
    """Whether a block of a content is reasoning, as Mistral and Anthropic send it."""
    return bool(part.get("thinking")) or str(part.get("type")) in ("thinking", "reasoning", "redacted_thinking")


def route_of(value: dict[str, Any]) -> str | None:
    """The attempts, provider by provider, that OpenRouter lists when it is asked to, as a JSON list."""
    metadata = value.get("openrouter_metadata")
    attempts = metadata.get("attempts") if isinstance(metadata, dict) else None
    if not isinstance(attempts, list):
        return None
    steps = [
        {"provider": word(step.get("provider")), "model": word(step.get("model")), "status": count(step.get("status"))}
        for step in objects(attempts[:32])
    ]
    return json.dumps(steps) if steps else None


CHAT = Dialect(
    name="chat",
    path=lambda _base, _model, _stream: "chat/completions",
    body=body,
    event=event,
    whole=whole,
    end=end_of_stream(),
)
