"""What a response says, read from its events after the stream has ended, whichever dialect they are in.

Nothing from outside is believed: a number that is no number, negative or too large is null, and text is only ever
looked at, never kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from collectors.http.dialects.base import FILTERS, Chunk, Dialect, ToolCallPart, objects, word
from collectors.http.dialects.chat import CHAT
from collectors.http.errors import ReportedError
from collectors.http.sse import Event
from collectors.http.thoughts import answer_text, first_thought
from collectors.http.usage import Usage

KEEP_ALIVES = ("", "null", "ping", "heartbeat", "keepalive", "keep-alive", "alive")
"""Events, by their name or by all that they hold, that say nothing but that the connection is there."""
LONGEST_WORD = 32


@dataclass
class ProbeResponse:
    """What a response said. Stamps are in seconds, from the same clock as the events'."""

    first_answer_at: float | None = None
    """When the first answer text came that anyone sees; null where none did."""
    token_stamps: list[float] = field(default_factory=list)
    """When each chunk with a token came."""
    token_chunks: int = 0
    ended_at: float | None = None
    """When a body that was no stream was complete."""
    text: str = ""
    reasoned: bool = False
    """Reasoning came that can be read."""
    filtered: bool = False
    """A content filter kept the text back, which a working server does."""
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
    system_fingerprint: str | None = None
    route: str | None = None
    logprobs: Mapping[str, float] | None = None
    """Those of the first token; null where none were stated."""
    tool_calls: dict[int, ToolCallPart] = field(default_factory=dict)
    """The tool calls that it asks for, by number, put together from their pieces."""
    _texts: list[tuple[float | None, str]] = field(default_factory=list, repr=False)

    @property
    def first_token_at(self) -> float | None:
        """When the first token of any kind came; null where nobody saw it arrive."""
        return self.token_stamps[0] if self.token_stamps else None

    @property
    def last_token_at(self) -> float | None:
        """When the last token came."""
        return self.token_stamps[-1] if self.token_stamps else self.ended_at

    @property
    def gaps_s(self) -> list[float]:
        """The time between each chunk with a token and the next."""
        return [later - earlier for earlier, later in zip(self.token_stamps, self.token_stamps[1:], strict=False)]

    @property
    def has_token(self) -> bool:
        """Text, reasoning text, a tool call or a vector came."""
        return self.token_chunks > 0

    @property
    def ended(self) -> bool:
        """The response came to its own end: the dialect's last event or a finish reason, and no half event behind."""
        return (self.done or self.finish_reason is not None) and not self.cut_in_event

    @property
    def error(self) -> str | None:
        """The first error that it reports, in words."""
        return None if self.reported is None else self.reported.describe()


def read_events(stream: Iterable[Event], dialect: Dialect = CHAT) -> ProbeResponse:
    """The reply that a stream of events makes. Raises `sse.LineTooLongError` as `stream` does."""
    response = ProbeResponse()
    for event in stream:
        said = event.data.strip().strip('"').lower() if len(event.data) <= LONGEST_WORD else "{"
        if said == "[done]":
            response.done = True
            continue
        if said in KEEP_ALIVES or event.name.lower() in KEEP_ALIVES[1:]:
            continue
        values = parse_objects(event.data)
        if response.done:  # some say only then what was used
            for value in values:
                _note_usages(response, dialect.event(value))
            continue
        if not values and not event.complete:
            response.cut_in_event = True
            continue
        if not values and event.name != "error" and response.finish_reason is not None:
            continue  # whatever it is, the response was over
        response.events += 1
        if event.name == "error" and not (values and values[0].get("error")):
            values = [{"error": values[0] if values else event.data}]
        response.broken_events += not values
        for value in values:
            _note(response, dialect.event(value), event.at)
    _note_text(response)
    return response


def read_whole(bodies: list[dict[str, Any]], dialect: Dialect = CHAT) -> ProbeResponse:
    """The reply that a plain JSON body makes, or a list of its parts. It has no time to first token: nobody saw the
    first token arrive.
    """
    response = ProbeResponse(streamed=False, done=True, events=1)
    for body in bodies:
        _note(response, dialect.whole(body), None)
    _note_text(response)
    return response


def parse_object(text: str | bytes) -> dict[str, Any] | None:
    """A JSON object, or null for anything else: not JSON, too deep, or another kind of value."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def parse_objects(text: str | bytes) -> list[dict[str, Any]]:
    """A JSON object, or those of an array; none for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return objects(value if isinstance(value, list) else [value])


def _note(response: ProbeResponse, chunk: Chunk, at: float | None) -> None:
    if response.reported is None and chunk.error is not None:
        response.reported = chunk.error
        response.provider = response.provider or word(chunk.error.provider)
    response.provider = chunk.provider or response.provider
    response.served_model = chunk.model or response.served_model
    response.system_fingerprint = chunk.fingerprint or response.system_fingerprint
    response.route = chunk.route or response.route
    response.finish_reason = chunk.finish_reason or response.finish_reason
    if chunk.filtered or (chunk.finish_reason is not None and chunk.finish_reason.lower() in FILTERS):
        response.filtered = True
    response.done = response.done or chunk.is_end
    _note_usages(response, chunk)
    if response.logprobs is None and not response.has_token:  # a first token without text has them, too
        response.logprobs = chunk.logprobs
    if not chunk.has_token or (chunk.is_whole and at is not None and response.has_token):
        return
    response.token_chunks += 1
    response.reasoned = response.reasoned or chunk.reasoned
    if at is not None:
        response.token_stamps.append(at)
    for part in chunk.tool_calls:
        _note_tool_call(response, part)
    if chunk.text:
        response._texts.append((at, chunk.text))


def _note_tool_call(response: ProbeResponse, part: ToolCallPart) -> None:
    before = response.tool_calls.get(part.number, ToolCallPart(part.number))
    name, arguments = before.name or part.name, before.arguments + part.arguments  # some repeat the name in each piece
    response.tool_calls[part.number] = ToolCallPart(part.number, name, arguments)


def _note_usages(response: ProbeResponse, chunk: Chunk) -> None:
    for usage in chunk.usages:
        response.usage = response.usage.followed_by(usage)


def _note_text(response: ProbeResponse) -> None:
    """The answer, and when the first of it came: behind the reasoning that some servers leave in the text."""
    text = "".join(piece for _, piece in response._texts)
    thought = first_thought(text)
    response.reasoned = response.reasoned or not thought.is_empty
    response.text = answer_text(text)
    begins = thought.end
    if response.reasoned:
        begins += len(text[begins:]) - len(text[begins:].lstrip())  # blank lines between the two
    if not text[begins:].strip():
        return
    for at, piece in response._texts:
        begins -= len(piece)
        if begins < 0:
            response.first_answer_at = at
            return
