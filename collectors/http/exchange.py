"""One probe on the wire: send, stamp the bytes as they arrive, and say how it ended.

Nothing that a server does raises here: a failed probe is data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.exceptions import SSLError

from collectors.http.adaptations import LIMITS, Change, adapt, change_for
from collectors.http.authorities import AuthoritiesError, check_authorities
from collectors.http.body import Piece, receive
from collectors.http.classifier import outcome_of
from collectors.http.connection import ProbeConnection, Timings
from collectors.http.deadline import Deadline
from collectors.http.dialects.base import GAVE_UP, Dialect, word
from collectors.http.dialects.chat import CHAT, route_of
from collectors.http.errors import ReportedError, page_title, read_error_body, without_prompt
from collectors.http.litellm import litellm_cost_usd, litellm_route
from collectors.http.own_limits import own_limit
from collectors.http.proxy_failures import ProxyFailure, failed_before_target, own_response
from collectors.http.rate_limits import NO_LIMITS, RateLimits, read_limits, wait_ms
from collectors.http.redaction import innermost, root_cause, safe_error
from collectors.http.response import ProbeResponse, parse_object, parse_objects, read_events, read_whole
from collectors.http.sse import LineTooLongError, events
from settings.sections import LARGEST_LIMIT
from store.clock import now_ms
from store.sketch import interpolate

MOST_BYTES = 1024 * 1024
MOST_ERROR_BYTES = 64 * 1024
MOST_TRIES = 8
REFUSALS = (400, 405, 415, 422, 501)
"""Statuses of a refusal that may name a field to change."""
FEWEST_TOKENS_FOR_A_RATE = 16
FEWEST_CHUNKS_FOR_A_RATE = 4
SHORTEST_SPAN_FOR_A_RATE_S = 0.050
CANNOT_BE_SENT = "the request cannot be sent: its URL, its key or a header has characters that HTTP does not allow"
READABLE = ("text/event-stream", "application/json", "")
"""The types of a body that can be a chat completion."""


@dataclass(frozen=True)
class ProbeRequest:
    """What one exchange sends. `body` is the JSON object; `secrets` never appear in an error text. Where its server
    wants a larger limit of output tokens, it gets up to `most_tokens`.
    """

    body: dict[str, Any]
    headers: dict[str, str]
    timeout_s: float
    secrets: tuple[str, ...] = ()
    dialect: Dialect = CHAT
    most_tokens: int = LARGEST_LIMIT
    affords: Callable[[list[Change]], bool] = lambda _changes: True
    """Whether there is money for the request with these changes, one of which raises its limit."""


@dataclass(frozen=True)
class Exchange:
    """How an exchange ended. Times are in milliseconds from the moment the request's last byte left."""

    outcome: str
    error: str | None = None
    http_status: int | None = None
    connect_ms: float | None = None
    ttft_ms: float | None = None
    first_answer_ms: float | None = None
    total_ms: float | None = None
    tokens_per_second: float | None = None
    itl_p50_ms: float | None = None
    itl_p99_ms: float | None = None
    completion_tokens: int | None = None
    tokens_source: str | None = None
    own_network: bool = False
    unreached: bool = False
    own_limit: bool = False
    """This machine lacked something: the network and the target were not even tried."""
    retry_after: str | None = None
    limits: RateLimits = NO_LIMITS
    wait_ms: int | None = None
    """How long the server asked to be left alone, from the end of the exchange on."""
    response: ProbeResponse = field(default_factory=ProbeResponse)
    adaptations: tuple[tuple[str, str | None], ...] = ()


def exchange(connection: ProbeConnection, request: ProbeRequest) -> Exchange:
    """Make one exchange, again without each field that the server refuses, all within one deadline.

    What was left out or replaced is in `adaptations`: pairs of a field and the JSON of what was sent in its place
    (null: nothing).
    """
    try:
        return _exchange_within(Deadline(request.timeout_s), connection, request)
    except Exception as problem:
        limit = own_limit(problem)
        if limit is None:
            raise
        return Exchange("offline", limit, own_limit=True)


def _exchange_within(deadline: Deadline, connection: ProbeConnection, request: ProbeRequest) -> Exchange:
    adapted: list[Change] = []
    change: Change | None = None
    try:
        for _ in range(MOST_TRIES):
            result, refusal = _send_once(connection, request, deadline)
            change = None if refusal is None else change_for(refusal, request.body, request.most_tokens)
            if change is None or change in adapted or deadline.passed:
                break
            if change[0] in LIMITS and not request.affords([*adapted, change]):
                break
            adapted.append(change)
            request = replace(request, body=adapt(request.body, [change]))
        # remembered as soon as a changed request was taken, whatever came of it: else each probe would be refused first
        is_taken = change is None and _is_good(result.http_status)
        return replace(result, adaptations=tuple(adapted) if is_taken else ())
    finally:
        deadline.end()


def _is_good(status: int | None) -> bool:
    return status is not None and HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def _send_once(
    connection: ProbeConnection, request: ProbeRequest, deadline: Deadline
) -> tuple[Exchange, ReportedError | None]:
    """One request and its outcome, and the server's own words where it refused, inside a 200, too."""
    timings = Timings(deadline)
    body = json.dumps(request.body).encode()
    try:
        try:
            response = connection.post(body, request.headers, timings)
        except requests.ConnectionError:
            # a connection kept open that the server had closed meanwhile says nothing about the server
            if timings.connected is not None or timings.sent is None or deadline.passed:
                raise
            timings = Timings(deadline)
            response = connection.post(body, request.headers, timings)
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as problem:
        return _failure_without_response(problem, timings, request), None
    try:
        return _read_response(response, timings, request)
    finally:
        response.close()


def _connect_ms(timings: Timings) -> float | None:
    return _since(timings.connect_began, timings.connected)


def _failure_without_response(problem: BaseException, timings: Timings, request: ProbeRequest) -> Exchange:
    """No status line came: too late, no connection, or no HTTP."""
    if limit := own_limit(problem):
        return Exchange("offline", limit, own_limit=True)
    words = root_cause(problem)
    unreached = timings.connected is None and timings.sent is None and timings.tunnel is None
    if unusable := _unusable_authorities(problem):
        return replace(Exchange("caller_error", unusable), connect_ms=_connect_ms(timings))
    own = any(hint in words for hint in ("Network is unreachable", "Temporary failure in name resolution"))
    refused = "refused" in words
    late = _is_late(problem, timings)
    result = Exchange("connection_error", safe_error(words, request.secrets), connect_ms=_connect_ms(timings))
    if failure := failed_before_target(timings, words, request.timeout_s if late else None):
        return replace(_proxy_failure(failure, result, request), own_network=own, unreached=unreached and not refused)
    if late:
        where = "connecting" if timings.connected is None and timings.sent is None else "waiting for the response"
        return replace(
            result, outcome="timeout", error=f"{where} took more than {request.timeout_s:g} s", unreached=unreached
        )
    if isinstance(problem, SSLError):
        return replace(result, error=safe_error(f"TLS: {words}", request.secrets))
    if isinstance(problem, requests.exceptions.InvalidURL | requests.exceptions.InvalidHeader):
        return replace(result, outcome="caller_error")
    if isinstance(problem, ValueError) and timings.sent is None and not isinstance(problem, OSError):
        return replace(result, outcome="caller_error", error=CANNOT_BE_SENT)  # its words may have the key
    if timings.sent is not None and _is_not_http(problem):
        return replace(result, outcome="invalid_response")
    return replace(result, own_network=own, unreached=unreached and not refused)


def _unusable_authorities(problem: BaseException) -> str | None:
    """What is wrong with the certificates that a variable names, where that may be why nothing could be sent."""
    if not isinstance(problem, SSLError) and type(problem) is not OSError:  # requests' own for what is not there
        return None
    try:
        check_authorities()
    except AuthoritiesError as unusable:
        return safe_error(str(unusable))
    return None


def _is_late(problem: BaseException, timings: Timings) -> bool:
    cause = innermost(problem)
    timed_out = isinstance(problem, requests.Timeout) or isinstance(
        cause, TimeoutError | urllib3.exceptions.TimeoutError
    )
    return timings.deadline.passed or (timed_out and not isinstance(cause, urllib3.exceptions.NewConnectionError))


def _proxy_failure(failure: ProxyFailure, result: Exchange, request: ProbeRequest) -> Exchange:
    error = safe_error(failure.error, request.secrets)
    return replace(result, outcome=failure.outcome, error=error, http_status=failure.status)


def _is_not_http(problem: BaseException) -> bool:
    words = repr(problem)
    return any(hint in words for hint in ("BadStatusLine", "LineTooLong", "got more than", "UnknownProtocol", "Header"))


_EVENTS = re.compile(rb"\s*(?:data|event|id|retry)?:")
"""How a stream of events begins."""
_COMMENTS = re.compile(rb"(?:\s*:[^\r\n]*[\r\n]+)+\s*(?=[\[{])")
"""The keep-alives of a stream, before a JSON body."""


def _read_response(
    response: requests.Response, timings: Timings, request: ProbeRequest
) -> tuple[Exchange, ReportedError | None]:
    status = response.status_code
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    base = Exchange("ok", http_status=status, connect_ms=_connect_ms(timings))
    came_at = now_ms()
    if not _is_good(status):
        return _read_refusal(response, base, timings, request, came_at)
    pieces, cut = receive(response, MOST_BYTES, timings, request.dialect)
    try:
        parsed = _parse_body(pieces, kind, request.dialect)
    except LineTooLongError as problem:
        return replace(base, outcome="invalid_response", error=str(problem)), None
    _note_headers(parsed, response, request)
    outcome, error = _classify(parsed, kind, cut, request, timings)
    if outcome == "invalid_response" and kind == "text/html":
        title = page_title(b"".join(piece for _, piece in pieces).decode("utf-8", "replace"))
        error = f"{error}: {title}" if title else error
    base = replace(
        base,
        outcome=outcome,
        error=_redact(error, request) if error else None,
        response=parsed,
        limits=read_limits(response.headers, came_at),
        wait_ms=wait_ms(response.headers, status, parsed.reported, now_ms()),
    )
    is_refused = outcome == "caller_error" and not parsed.has_token
    return _add_times(base, timings.sent), parsed.reported if is_refused else None


def _parse_body(pieces: list[Piece], kind: str, dialect: Dialect) -> ProbeResponse:
    """What came, by its first bytes: a JSON object or events, whichever type it has. Raises LineTooLongError."""
    body = b"".join(piece for _, piece in pieces)
    keep_alives = _COMMENTS.match(body)
    body = body[keep_alives.end() :] if keep_alives else body
    is_json = not _EVENTS.match(body)
    if is_json and (parsed_json := _parse_json_body(body, pieces, dialect)) is not None:
        return parsed_json
    parsed = read_events(events(pieces), dialect)
    is_of_lines = parsed.events > parsed.broken_events
    return (
        parsed if is_of_lines or not is_json or kind != "application/json" else ProbeResponse(events=1, broken_events=1)
    )


def _parse_json_body(body: bytes, pieces: list[Piece], dialect: Dialect) -> ProbeResponse | None:
    """The reply of a body that is a JSON object, or a list of them (Gemini's without `alt=sse`); null for any other."""
    bodies = parse_objects(body)
    if not bodies:
        return None
    parsed = read_whole(bodies, dialect)
    parsed.ended_at = pieces[-1][0] if parsed.has_token else None
    return parsed


def _note_headers(parsed: ProbeResponse, response: requests.Response, request: ProbeRequest) -> None:
    """What a router says in its headers, where the body did not say it."""
    parsed.route = parsed.route or litellm_route(response.headers, request.body.get("model"), response.status_code)
    if parsed.usage.cost_usd is None:
        parsed.usage = replace(parsed.usage, cost_usd=litellm_cost_usd(response.headers))


def _redact(text: str, request: ProbeRequest) -> str | None:
    """An error text as it may be kept: without the key and without the prompt."""
    return safe_error(without_prompt(text, request.body), request.secrets)


def _classify(
    parsed: ProbeResponse, kind: str, cut: str | None, request: ProbeRequest, timings: Timings
) -> tuple[str, str | None]:
    """The outcome of a 2xx and its reason."""
    if timings.deadline.passed and not timings.stream_ended:
        return "timeout", f"the response did not end within {request.timeout_s:g} s"
    if parsed.reported is not None:
        return outcome_of(parsed.reported, HTTPStatus.OK), parsed.error
    if parsed.finish_reason is not None and parsed.finish_reason.lower().replace("-", "_") in GAVE_UP:
        return "stream_error", f"finish_reason is {parsed.finish_reason}"
    cut_json = cut is not None and kind == "application/json"
    if parsed.events == parsed.broken_events and (kind not in READABLE or parsed.broken_events) and not cut_json:
        return (
            "invalid_response",
            f"{kind or 'a body without a content type'} was received instead of {request.dialect.gives}",
        )
    if cut is not None:
        return "stream_error", f"the stream was cut: {cut}"
    if parsed.broken_events:
        return "invalid_response", f"{parsed.broken_events} of {parsed.events} events were not JSON objects"
    if not parsed.ended:
        return "stream_error", _cut_reason(parsed, request.dialect)
    # reasoning that is billed and not shown is work, too, and a filter shows that the server does its own
    worked = parsed.has_token or parsed.usage.completion_tokens or parsed.usage.reasoning_tokens
    if not worked and not parsed.filtered:
        if not request.dialect.makes_text:
            return "empty", "the response has no vector"
        return "empty", f"no tokens received (finish_reason: {parsed.finish_reason or 'none'})"
    return "ok", None


def _cut_reason(parsed: ProbeResponse, dialect: Dialect) -> str:
    """A connection that was closed in good order says nothing of a cut; the events do."""
    if parsed.cut_in_event:
        return "the stream was cut in the middle of an event"
    when = "" if parsed.has_token else " before its first token,"
    return f"the stream ended{when} without {dialect.ends_with}"


def _add_times(base: Exchange, sent: float | None) -> Exchange:
    parsed = base.response
    ttft = _since(sent, parsed.first_token_at)
    total = _since(sent, parsed.last_token_at)
    tokens, source = parsed.usage.completion_tokens, "usage"
    if tokens is None:
        tokens, source = (parsed.token_chunks, "chunks") if parsed.streamed and parsed.has_token else (None, "")
    return replace(
        base,
        ttft_ms=ttft,
        first_answer_ms=_since(sent, parsed.first_answer_at),
        total_ms=total,
        completion_tokens=tokens,
        tokens_source=source or None,
        tokens_per_second=_rate(parsed, tokens),
        itl_p50_ms=_gap_ms(parsed, 0.50),
        itl_p99_ms=_gap_ms(parsed, 0.99),
    )


def _gap_ms(parsed: ProbeResponse, share: float) -> float | None:
    """The gap between two chunks with a token that this share of them does not exceed; null for too few chunks."""
    if parsed.token_chunks < FEWEST_CHUNKS_FOR_A_RATE or not parsed.token_stamps:
        return None
    gaps = sorted(parsed.gaps_s)
    return interpolate(gaps.__getitem__, len(gaps), share) * 1_000


def _since(began: float | None, at: float | None) -> float | None:
    return None if began is None or at is None else (at - began) * 1_000


def _rate(parsed: ProbeResponse, tokens: int | None) -> float | None:
    """Tokens x (chunks - 1) / chunks / (last - first content chunk): what came after the first chunk, in its time.

    Where each chunk is a token, that is (tokens - 1) / span, as Artificial Analysis measures output speed. Reasoning
    that was counted but never streamed was made before the first chunk, so it is not counted. Null for too few tokens,
    chunks or milliseconds: a rate of nothing is not a rate.
    """
    chunks, began, ended = parsed.token_chunks, parsed.first_token_at, parsed.last_token_at
    if tokens is None or began is None or ended is None or chunks < FEWEST_CHUNKS_FOR_A_RATE:
        return None
    if not parsed.reasoned:
        tokens -= parsed.usage.reasoning_tokens or 0
    if tokens < FEWEST_TOKENS_FOR_A_RATE or ended - began < SHORTEST_SPAN_FOR_A_RATE_S:
        return None
    return tokens * (chunks - 1) / chunks / (ended - began)


def _read_refusal(
    response: requests.Response, base: Exchange, timings: Timings, request: ProbeRequest, came_at: int
) -> tuple[Exchange, ReportedError | None]:
    """Anything but a 2xx. A redirect is not followed: it could carry the key to another host."""
    status = base.http_status or 0
    if failure := own_response(timings, status, response.reason or "", response.headers):
        return _proxy_failure(failure, base, request), None
    if 300 <= status < 400:
        where = _describe_redirect(response.url, response.headers.get("Location", ""))
        text = f"HTTP {status}, a redirect to {where}, which is not followed, to keep the key here; correct base_url"
        return replace(base, outcome="invalid_response", error=_redact(text, request)), None
    pieces, _ = receive(response, MOST_ERROR_BYTES, timings, request.dialect)
    content = b"".join(piece for _, piece in pieces)
    reported = read_error_body(content)
    said = reported.describe(status) if reported else ""
    wait = response.headers.get("Retry-After")
    text = f"HTTP {status}" + (f", {said}" if said else "") + (f" (retry after {wait})" if wait else "")
    outcome = "timeout" if timings.deadline.passed else outcome_of(reported or ReportedError(), status)
    body = parse_object(content) or {}
    error = body.get("error")
    route = route_of(body) or (route_of(error) if isinstance(error, dict) else None)
    parsed = ProbeResponse(route=route, provider=word(reported.provider) if reported else None)
    result = replace(
        base,
        outcome=outcome,
        error=_redact(text, request),
        retry_after=wait,
        limits=read_limits(response.headers, came_at),
        wait_ms=wait_ms(response.headers, status, reported, came_at),
        response=parsed,
    )
    return result, reported if status in REFUSALS else None


def _describe_redirect(url: str, location: str) -> str:
    """Where a redirect leads, as a base_url is written: without what could hold a key (user, query, fragment)."""
    if not location:
        return "nowhere (it has no Location)"
    try:
        place = urlsplit(urljoin(url, location))
        port = f":{place.port}" if place.port else ""
    except ValueError:
        return "an invalid address"
    host = f"[{place.hostname}]" if ":" in (place.hostname or "") else place.hostname
    return f"{place.scheme}://{host}{port}{place.path}"
