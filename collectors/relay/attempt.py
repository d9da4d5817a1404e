"""One try of a request at one endpoint: up to its first content nothing reaches the client, so that another can take
over; from there on everything does, as it came.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import aiohttp
import orjson

from collectors.http.adaptations import Change, change_for
from collectors.http.classifier import kind_of, outcome_of
from collectors.http.errors import ReportedError, read_error_body
from collectors.http.litellm import litellm_cost_usd
from collectors.http.own_limits import own_limit
from collectors.http.rate_limits import wait_ms
from collectors.http.redaction import safe_error
from collectors.relay.call import Call
from collectors.relay.events import LARGEST_EVENT_BYTES, EventSplitter, EventTooLargeError, parse_event
from collectors.relay.normalize import (
    SENT_WITH_USAGE,
    as_stream,
    changed_body,
    changed_event,
    has_own_reason,
    request_body,
)
from collectors.relay.problems import Failure
from collectors.relay.tally import Kind, Tally
from collectors.relay.upstream import Connections, Marks, Upstream
from collectors.request import dialect_of
from store.clock import now_ms

LARGEST_RESPONSE_BYTES = 64 * 1024 * 1024
LARGEST_ERROR_BYTES = 64 * 1024
LARGEST_HELD_BYTES = LARGEST_EVENT_BYTES
MISCONFIGURED = frozenset({401, 402, 403, 404, 410})
"""An upstream's statuses that say that the target's key, credit or model is wrong, which is not its client's doing."""
RETRIABLE = frozenset({408, 409, 425, 429}) | MISCONFIGURED
UNSENT = (400, 422)
"""Statuses with which a server may refuse the usage that the relay itself asked for."""

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Attempt:
    """One endpoint, one request. `reach` until it returns; then `pass_on` where it returned no failure."""

    def __init__(
        self,
        call: Call,
        upstream: Upstream,
        connections: Connections,
        *,
        number: int,
        changes: list[Change],
        is_routed: bool,
        refuses_usage: bool = False,
        metadata: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        self.call = call
        self.upstream = upstream
        self.number = number
        self.started_at = now_ms()
        self.began = self.ended = time.perf_counter()
        self.marks = Marks(self.began)
        self.status: int | None = None
        self.failure: Failure | None = None
        self.serves = False
        """The client gets this one's response."""
        self.cancelled = False
        self.is_released = False
        """Its connection has been given back already."""
        self.own_s = 0.0
        """What the relay itself took between a byte's coming and its leaving, for the first ones."""
        self.dialect = dialect_of(upstream.target)
        self.tally = Tally(self.dialect)
        self._connections = connections
        self._changes = changes
        self._is_routed = is_routed
        self._metadata = metadata
        self.refuses_usage = refuses_usage
        """Its server does not take the field that asks for a stream's usage."""
        can_ask = call.streamed and call.api in SENT_WITH_USAGE
        self._asks_usage = can_ask and not call.wants_usage and not refuses_usage
        self._response: aiohttp.ClientResponse | None = None
        self._splitter = EventSplitter()
        self._held: list[bytes] = []
        self._is_stream = False
        self.committed_at: float | None = None
        """When the first content came: from here on no other endpoint takes over."""
        self._is_over = False

    async def reach(self, connect_timeout_s: float, until: float) -> Failure | None:
        """Send, and wait for the first content of a stream or for a whole response, up to a moment of the loop's clock.
        Null: it can be passed on. The connection of a failed attempt is closed.
        """
        try:
            async with asyncio.timeout_at(until):
                self.failure = await self._reach(connect_timeout_s)
        except (aiohttp.ClientError, OSError, TimeoutError, EventTooLargeError) as problem:
            self.failure = _failure_of(problem)
        finally:
            if self.failure is not None or self.committed_at is None:
                self._close()
        return self.failure

    async def _reach(self, connect_timeout_s: float) -> Failure | None:
        self._response = response = await self._send(connect_timeout_s)
        self.status = response.status
        if not 200 <= response.status < 300:
            failure = await self._refusal(response)
            if failure is not None:
                return failure
            self._asks_usage, self.refuses_usage = False, True  # and the client had not asked for it
            self._close()
            self._response = response = await self._send(connect_timeout_s)
            self.status = response.status
            if not 200 <= response.status < 300:
                return await self._refusal(response) or self._failed("server_error", "it refused the request")
        self.tally.with_cost(litellm_cost_usd(response.headers))
        if self.call.streamed and response.content_type != "application/json":
            return await self._await_content(response)
        return await self._read_whole(response)

    async def _send(self, connect_timeout_s: float) -> aiohttp.ClientResponse:
        """Once more on a new connection, where one that was left open turns out to have been closed meanwhile."""
        body = request_body(
            self.call,
            self.upstream.target,
            self._changes,
            is_routed=self._is_routed,
            asks_usage=self._asks_usage,
        )
        headers = {"Accept": "text/event-stream" if self.call.streamed else "application/json"}
        headers |= self.call.passed_headers
        where = (self.upstream, self.call.api, body, headers)
        try:
            return await self._connections.post(*where, self.marks, connect_timeout_s)
        except (aiohttp.ClientConnectionError, ConnectionError) as problem:
            if not self.marks.is_reused or isinstance(problem, TimeoutError):
                raise
            self.marks = Marks(time.perf_counter())
            return await self._connections.post(*where, self.marks, connect_timeout_s, is_fresh=True)

    async def _refusal(self, response: aiohttp.ClientResponse) -> Failure | None:
        """What a response that is no 2xx means; null when the same request without what the relay added may do."""
        status = response.status
        content = await _read_at_most(response, LARGEST_ERROR_BYTES)
        reported = read_error_body(content)
        error = reported or ReportedError()
        if self._asks_usage and status in UNSENT and reported is not None:
            change = change_for(reported, {"stream_options": {"include_usage": True}})
            if change is not None and change[0].startswith("stream_options"):
                return None
        said = safe_error(error.describe(status), self._secrets()) if reported else None
        if 300 <= status < 400:
            return Failure("invalid_response", "The model server redirects, which the relay does not follow.", status)
        kind = kind_of(error, status)
        is_final = 400 <= status < 500 and status not in RETRIABLE and kind in ("request", "other")
        return Failure(
            outcome_of(error, status),
            said or f"The model server answered with HTTP {status}.",
            status,
            wait_ms(response.headers, status, reported, now_ms()),
            is_final,
        )

    async def _await_content(self, response: aiohttp.ClientResponse) -> Failure | None:
        """Hold what comes before the first content."""
        self._is_stream = True
        held_bytes = 0
        async for piece in response.content.iter_any():
            at = time.perf_counter()
            self._take(piece, at)
            if self.committed_at is not None:
                return None
            if self.failure is not None or self._is_over:
                break
            held_bytes += len(piece)
            if held_bytes > LARGEST_HELD_BYTES:
                return self._failed("invalid_response", "The model server sent no content.")
        else:
            self._take_rest()
        if self.committed_at is not None:
            return None
        self.tally.close()
        if self.failure is None and (judged := self.tally.failure()) is not None:
            self.failure = self._failed(*judged)
        if self.failure is None:  # a filter did its work, or all of the output was hidden
            self.committed_at, self._is_over = time.perf_counter(), True
        return self.failure

    def _take(self, piece: bytes, at: float) -> None:
        """Hold the events that are complete with this piece, up to an error or the end."""
        for raw in self._splitter.feed(piece):
            kind = self._take_event(raw, at)
            if kind == "token" and self.committed_at is None:
                self.committed_at = at
            if kind in ("error", "broken"):
                outcome, message = self.tally.failure() or ("stream_error", "it broke off")
                self.failure = self._failed(outcome, message)
                return
            if kind == "end":
                self._is_over = True
                return

    def _take_event(self, raw: bytes, at: float) -> Kind:
        event = parse_event(raw)
        if event is None:
            self._held.append(raw)
            return "nothing"
        kind, value = self.tally.note_event(event, at)
        if kind in ("error", "broken") or (kind == "usage" and not self.call.wants_usage):
            return kind
        if value is not None and self.call.api in SENT_WITH_USAGE and self.tally.finish_reason is not None:
            metadata = self._metadata() if self._metadata is not None and _ends_a_choice(value) else None
            if metadata is not None or has_own_reason(value):
                raw = changed_event(raw, value, metadata)
        self._held.append(raw)
        return kind

    def _take_rest(self) -> None:
        """What came behind the last blank line, where the stream ended without one."""
        rest = self._splitter.rest
        event = parse_event(rest) if rest.strip() else None
        if event is None:
            return
        if self._take_event(rest, time.perf_counter()) in ("broken", "error"):
            self.failure = self._failed("stream_error", "The stream was cut in the middle of an event.")
        elif self._held:
            self._held[-1] += b"\n\n"

    async def _read_whole(self, response: aiohttp.ClientResponse) -> Failure | None:
        content = await _read_at_most(response, LARGEST_RESPONSE_BYTES + 1)
        at = time.perf_counter()
        if len(content) > LARGEST_RESPONSE_BYTES:
            return self._failed("invalid_response", "The response of the model server is too large.")
        try:
            value = orjson.loads(content)
        except orjson.JSONDecodeError:
            value = None
        if not isinstance(value, dict):
            return self._failed("invalid_response", f"The model server sent no {self.dialect.gives}.")
        self.tally.note_whole(value)
        self.tally.close()
        self.tally.last_token_at = at
        if (judged := self.tally.failure()) is not None:
            return self._failed(*judged)
        if self.call.streamed and self.call.api == "chat":
            content, self._is_stream = as_stream(value, with_usage=self.call.wants_usage), True
        elif self.call.api in SENT_WITH_USAGE and (self._metadata is not None or has_own_reason(value)):
            content = changed_body(value, self._metadata() if self._metadata is not None else None)
        self._held, self.committed_at, self._is_over = [content], at, True
        response.release()
        self.is_released = True
        return None

    def _failed(self, outcome: str, message: str) -> Failure:
        """A failure inside a 2xx; what its server says goes to the client alone, without the target's key."""
        reported = self.tally.reported
        now = now_ms()
        headers = self._response.headers if self._response is not None else {}
        wait = None if reported is None else wait_ms(headers, self.status or 200, reported, now)
        said = safe_error(message, self._secrets()) or "The model server failed."
        return Failure(outcome, said, None, wait)

    def _secrets(self) -> tuple[str, ...]:
        return (self.upstream.target.key,) if self.upstream.target.key else ()

    @property
    def is_stream(self) -> bool:
        """Whether its client gets events."""
        return self._is_stream

    def take_whole(self) -> bytes | None:
        """All that its client gets, where it is here already; null where more may follow."""
        if not self._is_over or self.failure is not None:
            return None
        self.serves = True
        self.own_s += time.perf_counter() - (self.committed_at or time.perf_counter())
        self.ended = time.perf_counter()
        self.tally.close()
        body, self._held = b"".join(self._held), []
        return body

    async def pass_on(self, send: Send, idle_timeout_s: float, until: float) -> None:
        """Send the client what is held and what follows, to the end of the stream, or to an error event."""
        self.serves = True
        try:
            await self._pass_on(send, idle_timeout_s, until)
        finally:
            self.ended = time.perf_counter()
            self.tally.close()

    async def _pass_on(self, send: Send, idle_timeout_s: float, until: float) -> None:
        first_sent = False
        loop = asyncio.get_running_loop()
        while True:
            if self._held:
                body, self._held = b"".join(self._held), []
                await send({"type": "http.response.body", "body": body, "more_body": True})
            if not first_sent:
                self.own_s += time.perf_counter() - (self.committed_at or time.perf_counter())
                first_sent = True
            if self._is_over or self.failure is not None:
                return
            try:
                async with asyncio.timeout_at(min(loop.time() + idle_timeout_s, until)):
                    piece = await self._content().readany()
            except (aiohttp.ClientError, OSError, TimeoutError) as problem:
                if not self.tally.ended:
                    self.failure = _failure_of(problem)
                return
            try:
                self._note_piece(piece)
            except EventTooLargeError as problem:
                self.failure = _failure_of(problem)

    def _note_piece(self, piece: bytes) -> None:
        if piece:
            self._take(piece, time.perf_counter())
            return
        self._take_rest()
        self.tally.close()
        self._is_over = True
        if self.failure is None and (judged := self.tally.failure()) is not None:
            self.failure = self._failed(*judged)

    def _content(self) -> aiohttp.StreamReader:
        assert self._response is not None
        return self._response.content

    async def finish(self) -> None:
        """After the client has everything: let the connection be used again where it ends properly, else close it."""
        response = self._response
        if response is None or self.failure is not None:
            self._close()
            return
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with asyncio.timeout(self.dialect.after_end_s):
                while await response.content.readany():
                    pass
        self._close()

    def cancel(self) -> None:
        """Its client has gone."""
        self.cancelled = True
        self._close()

    def _close(self) -> None:
        """An unfinished response is closed, never released: what still comes would be the next one's."""
        self.ended = max(self.ended, time.perf_counter())
        if self._response is not None:
            self._response.close()  # does nothing where it was read to its end


def _ends_a_choice(value: Mapping[str, Any]) -> bool:
    choices = value.get("choices")
    return isinstance(choices, list) and any(isinstance(c, dict) and c.get("finish_reason") for c in choices)


async def _read_at_most(response: aiohttp.ClientResponse, most: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in response.content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size >= most:
            break
    return b"".join(pieces)


def _failure_of(problem: BaseException) -> Failure:
    """What a broken exchange is. Its words may have addresses and more, so that none of them is used."""
    if own_limit(problem):
        return Failure("offline", "The relay's machine ran out of connections or memory.")
    if isinstance(problem, TimeoutError):
        return Failure("timeout", "The model server took too long.")
    if isinstance(problem, aiohttp.ClientHttpProxyError):
        return Failure("connection_error", "The proxy opens no connection to the model server.")
    if isinstance(problem, aiohttp.ClientPayloadError):
        return Failure("stream_error", "The response of the model server was cut.")
    if isinstance(problem, aiohttp.ClientResponseError | EventTooLargeError):
        return Failure("invalid_response", "What the model server sent is no HTTP response.")
    if isinstance(problem, aiohttp.ClientSSLError):
        return Failure("connection_error", "No TLS connection to the model server could be made.")
    return Failure("connection_error", "The model server could not be reached, or hung up.")
