"""One request, from the ranking to its response: endpoint after endpoint until one has content, within one deadline."""

from __future__ import annotations

import asyncio
from functools import partial
from urllib.parse import quote

from collectors.relay.attempt import Attempt, Send
from collectors.relay.call import Call
from collectors.relay.generations import router_metadata
from collectors.relay.problems import ERROR_TYPES, Failure, Gone, ProblemError
from collectors.relay.record import Place, outcome_of_attempt, request_row
from collectors.relay.relay import Candidate, Relay
from collectors.relay.responses import error_event
from store.outcomes import DOWN
from store.schema import Request

MISCONFIGURED_OUTCOMES = ("caller_error", "not_found")
STREAM_HEADERS = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))


class Service:
    """Serves one call. `status` is what its client got, 499 where it went first."""

    def __init__(self, relay: Relay, call: Call, send: Send) -> None:
        self._relay = relay
        self._call = call
        self._send = send
        self._failures: list[tuple[Candidate, Failure]] = []
        self._rows: list[Request] = []
        self._upstream_s = 0.0
        """What was spent on endpoints that failed."""
        self.has_begun = False
        self.status = 499

    @property
    def fell_back(self) -> bool:
        """Whether a later endpoint served it."""
        return any(row.served and row.attempt > 1 for row in self._rows)

    async def serve(self) -> None:
        """Respond to the client. Raises ProblemError as long as it got nothing."""
        candidates = self._relay.candidates(self._call)
        limits = candidates[0].limits
        deadline = asyncio.get_running_loop().time() + limits.total_s
        for number, candidate in enumerate(candidates, 1):
            if await self._try(candidate, number, len(candidates), deadline, candidates):
                return
            _, failure = self._failures[-1]
            if failure.is_final or asyncio.get_running_loop().time() >= deadline:
                break
        raise self._problem(candidates)

    async def _try(
        self, candidate: Candidate, number: int, count: int, deadline: float, candidates: list[Candidate]
    ) -> bool:
        """Whether this endpoint served it."""
        name = candidate.upstream.name
        attempt = self._attempt(candidate, number, candidates)
        self._relay.health.begin(name)
        try:
            until = self._until(candidate, number, count, deadline)
            failure = await attempt.reach(candidate.limits.connect_s, until)
            if failure is None:
                await self._pass_on(attempt, candidate, deadline)
        except BaseException:
            attempt.cancel()
            if not self._is_recorded(attempt):
                self._note_cancelled(attempt, candidate)
            raise
        if failure is None:
            return True
        self._failures.append((candidate, failure))
        self._upstream_s += attempt.ended - attempt.began
        self._note_health(attempt, candidate)
        self._record(attempt, candidate)
        return False

    def _attempt(self, candidate: Candidate, number: int, candidates: list[Candidate]) -> Attempt:
        relay, call, name = self._relay, self._call, candidate.upstream.name
        metadata = None
        if call.wants_metadata:
            listed = [(one.upstream.target.model, one.provider) for one in candidates]
            metadata = partial(
                router_metadata, call.model, listed, self._rows, candidate.upstream.target.model, candidate.provider
            )
        return Attempt(
            call,
            candidate.upstream,
            relay.connections,
            number=number,
            changes=relay.knowledge.changes.get(name, []),
            is_routed=candidate.is_routed,
            refuses_usage=name in relay.refuses_usage,
            metadata=metadata,
        )

    def _until(self, candidate: Candidate, number: int, count: int, deadline: float) -> float:
        """How long this endpoint may take to its first content, or to a whole response: of that nobody sees the first
        token, so the endpoints that are left share the time.
        """
        now = asyncio.get_running_loop().time()
        if self._call.streamed:
            return min(deadline, now + candidate.limits.first_token_s)
        return now + (deadline - now) / (count - number + 1)

    async def _pass_on(self, attempt: Attempt, candidate: Candidate, deadline: float) -> None:
        self.status, self.has_begun = 200, True
        headers = self._headers(attempt, candidate)
        whole = attempt.take_whole()
        if whole is not None:
            self._note_served(attempt, candidate)
            headers.append((b"content-length", str(len(whole)).encode()))
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
            await self._send({"type": "http.response.body", "body": whole, "more_body": False})
        else:
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
            try:
                async with asyncio.timeout_at(deadline + candidate.limits.idle_s):
                    await attempt.pass_on(self._send, candidate.limits.idle_s, deadline)
            except TimeoutError:  # the client reads nothing
                raise Gone from None
            self._note_served(attempt, candidate)
            end = b"" if attempt.failure is None else error_event(self._call, attempt, candidate.provider)
            await self._send({"type": "http.response.body", "body": end, "more_body": False})
        if not attempt.is_released:
            self._relay.finish_later(attempt.finish())

    def _note_served(self, attempt: Attempt, candidate: Candidate) -> None:
        if attempt.failure is None and (judged := attempt.tally.failure()) is not None:
            attempt.failure = Failure(*judged)
        added_ms = self._added_s(attempt) * 1_000
        self._note_health(attempt, candidate)
        first_s = (attempt.committed_at or attempt.ended) - self._call.received
        self._relay.metrics.note_first_content(candidate.route, candidate.upstream.name, first_s, added_ms / 1_000)
        self._record(attempt, candidate, added_ms)

    def _headers(self, attempt: Attempt, candidate: Candidate) -> list[tuple[bytes, bytes]]:
        kind = b"text/event-stream; charset=utf-8" if attempt.is_stream else b"application/json"
        headers = [
            (b"content-type", kind),
            (b"x-generation-id", self._call.request_id.encode()),
            (b"x-uptoken-provider", _header_value(attempt.tally.provider or candidate.provider)),
            (b"x-uptoken-target", _header_value(candidate.upstream.name)),
        ]
        return [*headers, *STREAM_HEADERS]

    def _added_s(self, attempt: Attempt) -> float:
        """The relay's own time before the serving endpoint's request left and before its first content left."""
        before = attempt.began - self._call.received - self._upstream_s
        marks = attempt.marks
        sending = (marks.sent or marks.began) - marks.began
        if marks.connect_began is not None and marks.connected is not None:
            sending -= marks.connected - marks.connect_began
        return max(0.0, before) + max(0.0, sending) + attempt.own_s

    def _note_health(self, attempt: Attempt, candidate: Candidate) -> None:
        health, name = self._relay.health, candidate.upstream.name
        failure, tally = attempt.failure, attempt.tally
        if failure is None:
            sent, first = attempt.marks.sent, tally.first_token_at
            ttft_ms = None if sent is None or first is None else (first - sent) * 1_000
            health.succeed(name, ttft_ms, tally.tokens_per_second())
            return
        if failure.retry_after_ms is not None:
            health.rest(name, failure.retry_after_ms)
        if failure.outcome in DOWN:
            health.fail(name)
            return
        health.leave(name)
        if failure.outcome in MISCONFIGURED_OUTCOMES and not failure.is_final:
            health.mark_misconfigured(name)

    def _is_recorded(self, attempt: Attempt) -> bool:
        return any(row.attempt == attempt.number for row in self._rows)

    def _note_cancelled(self, attempt: Attempt, candidate: Candidate) -> None:
        attempt.tally.close()
        self._relay.health.leave(candidate.upstream.name)
        self._record(attempt, candidate)

    def _record(self, attempt: Attempt, candidate: Candidate, added_ms: float | None = None) -> None:
        relay = self._relay
        if attempt.refuses_usage:
            relay.refuses_usage.add(candidate.upstream.name)
        before = self._rows[-1].target if self._rows else None
        place = Place(relay.location, candidate.route, before)
        price = relay.knowledge.prices.get(candidate.upstream.name)
        row = request_row(attempt, place, price, added_ms)
        self._rows.append(row)
        relay.note(row, attempt.tally.upstream_id)
        seconds = None if attempt.marks.sent is None else max(0.0, attempt.ended - attempt.marks.sent)
        rate = row.tokens_per_second
        relay.metrics.note_attempt(
            candidate.route,
            row.target,
            outcome_of_attempt(attempt),
            total_s=seconds,
            ttft_s=None if row.ttft_ms is None else row.ttft_ms / 1_000,
            per_token_s=1 / rate if rate else None,
        )

    def _problem(self, candidates: list[Candidate]) -> ProblemError:
        """What the client gets when nothing survives: the last error, with the earliest time at which one returns."""
        candidate, failure = self._failures[-1]
        waits = [failed.retry_after_ms for _, failed in self._failures if failed.retry_after_ms is not None]
        status = failure.client_status
        return ProblemError(
            status,
            failure.message,
            error_type=None if failure.is_final else ERROR_TYPES.get(failure.outcome, "server"),
            provider=candidate.provider,
            retry_after_ms=min(waits) if waits else None,
        )


def _header_value(name: str) -> bytes:
    return quote(name, safe=" !#$&'()*+,-./:;<=>?@[]^_`{|}~").encode()
