"""The row of an attempt: numbers, names and codes. Nothing of a prompt, an answer, a key or an upstream's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from collectors.costs import cost_of
from collectors.http.usage import Usage
from collectors.prices import is_plausible_usd
from collectors.relay.attempt import Attempt
from collectors.relay.normalize import standard_reason
from routing.prices import Price
from settings.secrecy import looks_secret
from store.schema import Request

CANCELLED = "cancelled"
MESSAGES_REASONS = ("end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal")
LONGEST_OUTPUT = 100_000
"""Tokens of the dearest plausible answer."""


@dataclass(frozen=True)
class Place:
    """What the rows of one request have in common beside the request itself."""

    location: str
    route: str
    fallback_for: str | None
    """The target that was tried before, and failed."""


def request_row(attempt: Attempt, place: Place, price: Price | None, added_ms: float | None) -> Request:
    """The row of an attempt that has ended. Times are in milliseconds, as for a probe."""
    call, marks, tally = attempt.call, attempt.marks, attempt.tally
    tokens, source = tally.tokens()
    used = _plausible(tally.usage, price, tokens)
    billed_output = tokens if attempt.dialect.makes_text else 0
    failure = attempt.failure
    return Request(
        request_id=call.request_id,
        attempt=attempt.number,
        started_at=attempt.started_at,
        location=place.location,
        route=place.route,
        target=attempt.upstream.name,
        api=call.api,
        model=attempt.upstream.target.model,
        provider=_name(tally.provider) or attempt.upstream.target.provider,
        app=call.app,
        app_title=call.app_title,
        app_categories=call.app_categories,
        key_name=call.key_name,
        streamed=call.streamed,
        connect_ms=_ms(marks.connect_began, marks.connected),
        ttft_ms=_ms(marks.sent, tally.first_token_at),
        first_answer_ms=_ms(marks.sent, tally.first_answer_at),
        total_ms=_ms(marks.sent, tally.last_token_at),
        tokens_per_second=_rounded(tally.tokens_per_second()),
        prompt_tokens=used.prompt_tokens,
        completion_tokens=tokens,
        reasoning_tokens=used.reasoning_tokens,
        cached_tokens=used.cached_tokens,
        tokens_source=source,
        cost_usd=cost_of(used, billed_output, price, attempt.started_at),
        outcome=outcome_of_attempt(attempt),
        http_status=attempt.status,
        error=CANCELLED if attempt.cancelled else None if failure is None else failure.code,
        finish_reason=None if tally.finish_reason is None else _reason(tally.finish_reason, attempt),
        served_model=_name(tally.served_model),
        served=attempt.serves,
        fallback_for=place.fallback_for,
        cancelled=attempt.cancelled,
        added_ms=_rounded(added_ms),
    )


def outcome_of_attempt(attempt: Attempt) -> str:
    """How it ended. What a client breaks off is no failure of its server, and before the first content no success."""
    if attempt.failure is not None:
        return attempt.failure.outcome
    return "caller_error" if attempt.cancelled and attempt.committed_at is None else "ok"


def _reason(reason: str, attempt: Attempt) -> str:
    """A word of a list: what a server makes up could be anything, also its model's words."""
    is_known = attempt.call.api == "messages" and reason in MESSAGES_REASONS
    return reason if is_known else standard_reason(reason)


@lru_cache(maxsize=1_000)
def _name(value: str | None) -> str | None:
    return None if value is None or looks_secret(value) else value


def _plausible(used: Usage, price: Price | None, tokens: int | None) -> Usage:
    if used.cost_usd is None or is_plausible_usd(
        used.cost_usd, price, used.prompt_tokens, max(tokens or 0, LONGEST_OUTPUT)
    ):
        return used
    return replace(used, cost_usd=None)  # in a unit of the server's own


def _ms(began: float | None, at: float | None) -> float | None:
    return None if began is None or at is None else round((at - began) * 1_000, 3)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def attempt_status(row: Request) -> int:
    """The HTTP status of an attempt, as OpenRouter lists it: of one without a response, what a gateway would say."""
    if row.http_status is not None and (row.outcome == "ok" or row.http_status >= 300):
        return row.http_status
    return _STATUS_OF_OUTCOME.get(row.outcome, 502)


_STATUS_OF_OUTCOME: Mapping[str, int] = {"ok": 200, "timeout": 504, "rate_limited": 429}
