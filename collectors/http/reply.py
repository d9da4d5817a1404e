"""What a streamed (or whole) chat completion says, read from its events after the stream has ended.

Nothing from outside is believed: a number that is no number, negative or too large is null, and text is only ever
looked at, never kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from collectors.http.errors import ReportedError, read_error
from collectors.http.sse import Event
from collectors.http.usage import Usage, count, usages_in

KEEP_ALIVES = ("ping", "heartbeat", "keepalive", "keep-alive")
"""Names of events that say nothing but that the connection is there."""


@dataclass
class Reply:
    """What a reply said. Stamps are in seconds, from the same clock as the events'."""

    first_token_at: float | None = None
    last_token_at: float | None = None
    token_chunks: int = 0
    text: str = ""
    reasoned: bool = False
    done: bool = False
    streamed: bool = True
    events: int = 0
    broken_events: int = 0
    cut_in_event: bool = False
    reported: ReportedError | None = None
    finish_reason: str | None = None
    usage: Usage = field(default_factory=Usage)
    provider: str | None = None
    served_model: str | None = None
    route: str | None = None
    _texts: list[str] = field(default_factory=list, repr=False)

    @property
    def has_token(self) -> bool:
        """Text, reasoning text or a tool call came."""
        return self.token_chunks > 0

    @property
    def ended(self) -> bool:
        """The response came to its own end: `[DONE]` or a finish_reason, and no half event behind it."""
        return (self.done or self.finish_reason is not None) and not self.cut_in_event

    @property
    def error(self) -> str | None:
        """The first error that it reports, in words."""
        return None if self.reported is None else self.reported.describe()


def read_events(stream: Iterable[Event]) -> Reply:
    """The reply that a stream of events makes. Raises `sse.LineTooLongError` as `stream` does."""
    reply = Reply()
    for event in stream:
        if event.data.strip() == "[DONE]":
            reply.done = True
            continue
        if not event.data.strip() or event.name.lower() in KEEP_ALIVES or reply.done:
            continue
        chunk = parse_object(event.data)
        if chunk is None and not event.complete:
            reply.cut_in_event = True
            continue
        reply.events += 1
        if event.name == "error" and (chunk is None or not chunk.get("error")):
            chunk = {"error": event.data if chunk is None else chunk}
        if chunk is None:
            reply.broken_events += 1
            continue
        _note(reply, chunk, "delta", event.at)
    reply.text = answer_text("".join(reply._texts))
    return reply


def read_whole(body: dict[str, Any]) -> Reply:
    """The reply that a plain JSON body makes. It has no time to first token: nobody saw the first token arrive."""
    reply = Reply(streamed=False, done=True, events=1)
    _note(reply, body, "message", None)
    reply.text = answer_text("".join(reply._texts))
    return reply


def parse_object(text: str | bytes) -> dict[str, Any] | None:
    """A JSON object, or null for anything else: not JSON, too deep, or another kind of value."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _note(reply: Reply, chunk: dict[str, Any], part: str, at: float | None) -> None:
    _note_error(reply, chunk)
    reply.provider = word(chunk.get("provider")) or reply.provider
    reply.served_model = word(chunk.get("model")) or reply.served_model
    reply.route = route_of(chunk) or reply.route
    for usage in usages_in(chunk):
        reply.usage = reply.usage.followed_by(usage)
    choices = chunk.get("choices")
    for choice in choices if isinstance(choices, list) else []:
        if not isinstance(choice, dict):
            continue
        _note_error(reply, choice)
        reply.finish_reason = word(choice.get("finish_reason")) or reply.finish_reason
        delta = choice.get(part)
        if isinstance(delta, dict) and _note_delta(reply, delta):
            reply.token_chunks += 1
            reply.first_token_at = at if reply.first_token_at is None else reply.first_token_at
            reply.last_token_at = at


def _note_error(reply: Reply, holder: dict[str, Any]) -> None:
    """Take in an `error` entry, or a chunk that is itself an error, as vLLM's older ones are."""
    if reply.reported is not None:
        return
    if holder.get("error"):
        reply.reported = read_error(holder["error"])
    elif holder.get("object") in ("error", "Error"):
        reply.reported = read_error(holder)
    if reply.reported is not None:
        reply.provider = reply.provider or word(reply.reported.provider)


def _note_delta(reply: Reply, delta: dict[str, Any]) -> bool:
    """Take in one delta; true when it carries a token. A role alone, null or an empty text is none."""
    content = _content_text(delta.get("content"))
    refusal = delta.get("refusal")
    if content:
        reply._texts.append(content)
    reasoning = any(_content_text(delta.get(name)) for name in ("reasoning", "reasoning_content", "reasoning_text"))
    reasoning = reasoning or bool(_thinking(delta.get("reasoning_details"))) or bool(_thoughts(delta.get("content")))
    reply.reasoned = reply.reasoned or reasoning
    called = bool(delta.get("tool_calls")) or bool(delta.get("function_call"))
    return bool(content) or reasoning or called or (isinstance(refusal, str) and refusal != "")


def _content_text(value: Any) -> str:
    """Answer text of a delta: a string, or a list of parts as some servers send it; reasoning is none."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        parts = (part for part in value if isinstance(part, dict) and not _is_thought(part))
        return "".join(part["text"] for part in parts if isinstance(part.get("text"), str))
    return ""


def _thinking(details: Any) -> list[Any]:
    """OpenRouter's `reasoning_details` that hold something."""
    return [
        part
        for part in (details if isinstance(details, list) else [])
        if isinstance(part, dict) and (part.get("text") or part.get("summary") or part.get("data"))
    ]


def _thoughts(content: Any) -> list[Any]:
    """The blocks of a content that are reasoning, as Mistral and Anthropic send them."""
    return [
        part for part in (content if isinstance(content, list) else []) if isinstance(part, dict) and _is_thought(part)
    ]


def _is_thought(part: dict[str, Any]) -> bool:
    return bool(part.get("thinking")) or str(part.get("type")) in ("thinking", "reasoning", "redacted_thinking")


def answer_text(text: str) -> str:
    """The visible answer: what stands behind the reasoning that some servers leave in the text as `<think>`."""
    return _THOUGHT.sub("", text)


_THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)


def route_of(body: dict[str, Any]) -> str | None:
    """The attempts, provider by provider, that OpenRouter lists when it is asked to, as a JSON list."""
    metadata = body.get("openrouter_metadata")
    attempts = metadata.get("attempts") if isinstance(metadata, dict) else None
    if not isinstance(attempts, list):
        return None
    steps = [
        {
            "provider": word(step.get("provider")),
            "model": word(step.get("model")),
            "status": count(step.get("status")),
        }
        for step in attempts[:32]
        if isinstance(step, dict)
    ]
    return json.dumps(steps) if steps else None


def word(value: Any) -> str | None:
    """A short text from outside as a name: printable, at most 200 characters; null when nothing is left of it."""
    if not isinstance(value, str):
        return None
    return "".join(letter for letter in value[:200] if letter.isprintable()).strip() or None
