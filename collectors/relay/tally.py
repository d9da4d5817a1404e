"""What a response says while it passes: when its tokens came, what it used, how it ended. It keeps no text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import orjson

from collectors.http.classifier import outcome_of
from collectors.http.dialects.base import FILTERS, GAVE_UP, Chunk, Dialect, word
from collectors.http.errors import ReportedError
from collectors.http.exchange import (
    FEWEST_CHUNKS_FOR_A_RATE,
    FEWEST_TOKENS_FOR_A_RATE,
    SHORTEST_SPAN_FOR_A_RATE_S,
)
from collectors.http.response import KEEP_ALIVES, LONGEST_WORD
from collectors.http.sse import Event
from collectors.http.usage import Usage
from collectors.relay.answer_clock import AnswerClock

Kind = Literal["nothing", "token", "usage", "end", "error", "broken"]
"""What an event is: `nothing` for a role, a comment, a keep-alive; `usage` for a chunk that says only what was used."""

_PLAIN_DELTA = frozenset({"content", "role"})


class Tally:
    """Adds up one response. Stamps are seconds of `time.perf_counter()`."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._is_chat = dialect.event.__module__.endswith(".chat")
        self._clock = AnswerClock()
        self.first_token_at: float | None = None
        self.last_token_at: float | None = None
        self.token_chunks = 0
        self.reasoned = False
        self.filtered = False
        self.done = False
        """The protocol's own end came."""
        self.finish_reason: str | None = None
        self.usage = Usage()
        self.provider: str | None = None
        self.served_model: str | None = None
        self.upstream_id: str | None = None
        self.reported: ReportedError | None = None
        self.broken_events = 0
        self.streamed = True
        self._has_identity = False

    @property
    def first_answer_at(self) -> float | None:
        """When the first visible answer text came; null where none did, or nobody saw it arrive."""
        return self._clock.first_answer_at

    @property
    def ended(self) -> bool:
        """The response came to its own end."""
        return self.done or self.finish_reason is not None

    @property
    def _gave_up(self) -> bool:
        return self.finish_reason is not None and self.finish_reason.lower().replace("-", "_") in GAVE_UP

    def note_event(self, event: Event, at: float) -> tuple[Kind, dict[str, Any] | None]:
        """Add an event of a stream: what it is, and its JSON object."""
        data = event.data
        if len(data) <= LONGEST_WORD:
            said = data.strip().strip('"').lower()
            if said == "[done]":
                self.done = True
                return "end", None
            if said in KEEP_ALIVES or event.name.lower() in KEEP_ALIVES[1:]:
                return "nothing", None
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError:
            value = None
        if not isinstance(value, dict):
            if self.ended:
                return "nothing", None
            self.broken_events += 1
            return "broken", None
        if self._is_chat and self._has_identity and (text := _plain_text(value)) is not None:
            if not text:
                return "nothing", value
            self._note_token(at, text)
            return "token", value
        if event.name == "error" and not value.get("error"):
            value = {"error": value}
        return self._note(self._dialect.event(value), value, at), value

    def note_whole(self, value: dict[str, Any]) -> None:
        """Add a response that is one JSON object."""
        self.streamed, self.done = False, True
        self._note(self._dialect.whole(value), value, None)

    def close(self) -> None:
        """Nothing more comes."""
        self._clock.close()
        self.reasoned = self.reasoned or self._clock.reasoned

    def _note(self, chunk: Chunk, value: dict[str, Any], at: float | None) -> Kind:
        self._note_identity(chunk, value)
        if chunk.error is not None:
            self.reported = self.reported or chunk.error
            self.provider = self.provider or word(chunk.error.provider)
            return "error"
        self.finish_reason = chunk.finish_reason or self.finish_reason
        if chunk.filtered or (chunk.finish_reason is not None and chunk.finish_reason.lower() in FILTERS):
            self.filtered = True
        self.done = self.done or chunk.is_end
        if self._gave_up:
            return "error"
        for usage in chunk.usages:
            self.usage = self.usage.followed_by(usage)
        if chunk.has_token and not (chunk.is_whole and self.token_chunks and at is not None):
            self.reasoned = self.reasoned or chunk.reasoned
            self._note_token(at, chunk.text)
            return "token"
        if chunk.usages and value.get("choices") == []:
            return "usage"
        return "end" if chunk.is_end else "nothing"

    def _note_identity(self, chunk: Chunk, value: dict[str, Any]) -> None:
        self.provider = chunk.provider or self.provider
        self.served_model = chunk.model or self.served_model
        holder = value["message"] if isinstance(value.get("message"), dict) else value
        self.upstream_id = self.upstream_id or word(holder.get("id"))
        self._has_identity = self._has_identity or self.upstream_id is not None

    def _note_token(self, at: float | None, text: str) -> None:
        self.token_chunks += 1
        if at is None:
            return
        if self.first_token_at is None:
            self.first_token_at = at
        self.last_token_at = at
        if text:
            self._clock.note(at, text)

    def failure(self) -> tuple[str, str] | None:
        """The outcome and the reason of a response that came to its end and is no good one; null for a good one."""
        if self.reported is not None:
            return outcome_of(self.reported, 200), self.reported.describe()
        if self._gave_up:
            return "stream_error", "the model server broke off"
        if self.broken_events:
            return "invalid_response", f"what came is no {self._dialect.gives}"
        if not self.ended:
            return "stream_error", f"the stream ended without {self._dialect.ends_with}"
        worked = self.token_chunks or self.usage.completion_tokens or self.usage.reasoning_tokens
        if not worked and not self.filtered:
            return "empty", "no token came"
        return None

    def tokens(self) -> tuple[int | None, str | None]:
        """The completion's tokens, and where the number is from: the response's `usage`, or the `chunks` that came."""
        if self.usage.completion_tokens is not None:
            return self.usage.completion_tokens, "usage"
        if self.streamed and self.token_chunks and self._dialect.makes_text:
            return self.token_chunks, "chunks"
        return None, None

    def tokens_per_second(self) -> float | None:
        """As for a probe: what came after the first chunk, in its time. Null for too few tokens, chunks or time."""
        tokens, began, ended = self.tokens()[0], self.first_token_at, self.last_token_at
        if tokens is None or began is None or ended is None or self.token_chunks < FEWEST_CHUNKS_FOR_A_RATE:
            return None
        if not self.reasoned:
            tokens -= self.usage.reasoning_tokens or 0
        if tokens < FEWEST_TOKENS_FOR_A_RATE or ended - began < SHORTEST_SPAN_FOR_A_RATE_S:
            return None
        return tokens * (self.token_chunks - 1) / self.token_chunks / (ended - began)

    def with_cost(self, cost_usd: float | None) -> None:
        """What a router says in its headers, where the body did not say it."""
        if self.usage.cost_usd is None and cost_usd is not None:
            self.usage = replace(self.usage, cost_usd=cost_usd)


def _plain_text(value: dict[str, Any]) -> str | None:
    """The text of a chunk that says nothing else, as nearly all of a stream are; null for any other, which the dialect
    reads. It takes a tenth of the time.
    """
    choices = value.get("choices")
    if type(choices) is not list or len(choices) != 1 or type(choices[0]) is not dict:
        return None
    choice = choices[0]
    delta = choice.get("delta")
    if type(delta) is not dict or not delta.keys() <= _PLAIN_DELTA or choice.get("finish_reason") is not None:
        return None
    if "error" in choice or "usage" in choice or "finishReason" in choice or value.get("error"):
        return None
    for held in value.values():
        if type(held) is dict:
            return None
    text = delta.get("content")
    return text if type(text) is str else "" if text is None else None
