"""What a server says of its limits: how much may still be sent, and until when it asks to be left alone.

Pure, and driven by tables of words: the names of rate-limit headers are put together from the same few, in any order.
Where each family was reported: docs/providers.md. Nothing from outside is believed, and nothing raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

from collectors.http.classifier import kind_of
from collectors.http.errors import ReportedError
from collectors.http.waits import LONGEST_TEXT, asked_wait, moment, skew_of, wait_in_words

What = Literal["requests", "tokens"]

MOST = 10**15
RESTING_STATUSES = frozenset({429, 503, 529})
RETRIED_STATUSES = frozenset({408, 409, 425, 429, *range(500, 600)})
"""The statuses whose `Retry-After` clients obey."""
RESTING_KINDS = frozenset({"rate", "quota", "capacity", "no_deployment"})

PARTS = frozenset({"limit", "remaining", "reset"})
TOKEN_WORDS = frozenset({"tokens", "token", "input", "output", "prompt", "generated", "cached", "uncached"})
REQUEST_WORDS = frozenset({"requests", "request", "req"})
WINDOW_WORDS = frozenset(
    {"second", "minute", "hour", "day", "week", "month", "1s", "1m", "1h", "1d", "5h", "7d", "unified", "project"}
)
IGNORED_WORDS = frozenset({"after"})
"""`x-ratelimit-reset-after` is the same as `x-ratelimit-reset`."""
KNOWN_WORDS = TOKEN_WORDS | REQUEST_WORDS | WINDOW_WORDS
_NAME = re.compile(
    r"(llm_provider-)?(?:x-)?(?:ms-)?(?:anthropic-)?(?:rate-?limit(bysize)?|(tokenlimit)|trial-endpoint-call)-([a-z0-9-]+)"
)
_COUNT = re.compile(r"([0-9]{1,15})(?:\.[0-9]*)?(?:\s*[,;].*)?")
_ENTRY = re.compile(r'"([^"]*)"|\b(r|t|q|limit|remaining|reset)\s*=\s*([0-9]{1,15})|\bqu\s*=\s*"?([a-z-]+)')


@dataclass(frozen=True, slots=True)
class Allowance:
    """What may be sent in a window: how much in all, what is left of it, when it is full again (milliseconds UTC)."""

    limit: int | None = None
    remaining: int | None = None
    reset_at: int | None = None


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What a response says of requests and of tokens: of several windows the one that is nearest to its end."""

    requests: Allowance = Allowance()
    tokens: Allowance = Allowance()

    @property
    def figures(self) -> tuple[int | None, ...]:
        """The six of them, as a row of the store has them."""
        return tuple(getattr(one, item.name) for one in (self.requests, self.tokens) for item in fields(one))


NO_LIMITS = RateLimits()


def read_limits(headers: Mapping[str, str], at: int) -> RateLimits:
    """The limits in the headers of a response that came at a moment (milliseconds UTC)."""
    named = {name.lower(): value for name, value in headers.items()}
    limiting = _limiting(named)
    if not limiting:
        return NO_LIMITS
    found = _allowances(limiting, at, skew_of(named.get("date"), at))
    return RateLimits(
        _tightest(one for what, one in found if what == "requests"),
        _tightest(one for what, one in found if what == "tokens"),
    )


def wait_ms(headers: Mapping[str, str], status: int, error: ReportedError | None, at: int) -> int | None:
    """How long to leave a server alone after a response with this status and error; null when it did not ask for it.

    Asked for is what `Retry-After` says, then what the error itself says, then the reset of a limit that is used up;
    the latter only when the response was refused for a limit.
    """
    is_success = 200 <= status < 300
    if is_success and error is None:
        return None
    named = {name.lower(): value for name, value in headers.items()}
    skew_ms = skew_of(named.get("date"), at)
    is_limited = status in RESTING_STATUSES or (
        kind_of(error or ReportedError(), None if is_success else status) in RESTING_KINDS
    )
    if not is_limited and status not in RETRIED_STATUSES:
        return None
    asked = asked_wait(named, at, skew_ms)
    if asked is not None or not is_limited:
        return asked
    said = error.asked if error is not None else ()
    asked = next((wait for pair in said if (wait := asked_wait(dict([pair]), at, skew_ms)) is not None), None)
    if asked is None and error is not None:
        asked = wait_in_words(error.message)
    if asked is None:
        asked = _until_reset(_limiting(named), at, skew_ms)
    return asked if asked is not None else _until_reset(_limiting(dict(said)), at, skew_ms)


def _until_reset(headers: Mapping[str, str], at: int, skew_ms: int) -> int | None:
    """Until what is used up is there again; where no header says how much is left, until the first reset."""
    found = [one for _, one in _allowances(headers, at, skew_ms) if one.reset_at is not None]
    used_up = [one.reset_at - at for one in found if one.remaining == 0 and one.reset_at is not None]
    unknown = [one.reset_at - at for one in found if one.remaining is None and one.reset_at is not None]
    return max(used_up, default=None) or min(unknown, default=None)


def _limiting(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if "limit" in name or name.startswith("x-trial")}


def _allowances(headers: Mapping[str, str], at: int, skew_ms: int) -> list[tuple[What, Allowance]]:
    """Every window that the headers tell of."""
    groups: dict[tuple[object, ...], tuple[What, Allowance]] = {}
    for name, value in headers.items():
        matched = _NAME.fullmatch(name) if len(name) <= LONGEST_TEXT else None
        if matched is None or len(value) > LONGEST_TEXT:
            continue
        words = [word for word in matched[4].split("-") if word not in IGNORED_WORDS]
        parts = [word for word in words if word in PARTS]
        scope = frozenset(words) - PARTS
        if len(parts) != 1 or not scope <= KNOWN_WORDS:
            continue
        of_tokens = bool(matched[2] or matched[3] or scope & TOKEN_WORDS)
        key = (matched[1], of_tokens, scope)
        what, known = groups.get(key, ("tokens" if of_tokens else "requests", Allowance()))
        groups[key] = what, _with(known, parts[0], value, at, skew_ms)
    return [*groups.values(), *_by_policy(headers, at)]


def _with(known: Allowance, part: str, value: str, at: int, skew_ms: int) -> Allowance:
    if part == "reset":
        return replace(known, reset_at=moment(value, at, skew_ms))
    return replace(known, limit=_count(value)) if part == "limit" else replace(known, remaining=_count(value))


def _count(value: str) -> int | None:
    found = _COUNT.fullmatch(value.strip())
    return int(found[1]) if found and int(found[1]) < MOST else None


def _by_policy(headers: Mapping[str, str], at: int) -> list[tuple[What, Allowance]]:
    """The IETF's draft: `RateLimit: "api";r=0;t=55` beside `RateLimit-Policy: "api";q=500;w=300`; its older drafts have
    `limit=500, remaining=0, reset=55`.
    """
    entries = _entries(headers.get("ratelimit", ""))
    policies = _entries(headers.get("ratelimit-policy", ""))
    found: list[tuple[What, Allowance]] = []
    for names, values, unit in entries:
        policy = next((one for one in policies if one[0] & names), policies[0] if len(policies) == 1 else None)
        unit = unit or (policy[2] if policy is not None else "") or "requests"
        if unit not in ("requests", "tokens"):
            continue
        left_s = values.get("t", values.get("reset"))
        limit = values.get("limit", policy[1].get("q") if policy is not None else None)
        reset_at = moment(str(left_s), at) if left_s is not None else None
        found.append(
            (
                "tokens" if unit == "tokens" else "requests",
                Allowance(limit, values.get("r", values.get("remaining")), reset_at),
            )
        )
    return found


def _entries(value: str) -> list[tuple[set[str], dict[str, int], str]]:
    """Names, numbers and unit of each entry of a list; the older drafts' list is one entry."""
    if not value or len(value) > 10 * LONGEST_TEXT:
        return []
    found = []
    for entry in [value] if "remaining=" in value.replace(" ", "") else value.split(","):
        parts = _ENTRY.findall(entry)
        names = {name for name, *_ in parts if name}
        values = {key: int(number) for _, key, number, _ in parts if key and int(number) < MOST}
        unit = next((unit for *_, unit in parts if unit), "")
        if values:
            found.append((names, values, unit))
    return found


def _tightest(found: Iterable[Allowance]) -> Allowance:
    """The window that is nearest to its end; of those that are at it, the last to begin anew."""
    known = list(found)
    told = [one for one in known if one.remaining is not None]
    if not told:
        return next((one for one in known if one.limit is not None), Allowance())
    return min(told, key=lambda one: (_share(one), -(one.reset_at or 0)))


def _share(one: Allowance) -> float:
    remaining = one.remaining or 0
    return remaining / one.limit if one.limit else float(remaining > 0)
