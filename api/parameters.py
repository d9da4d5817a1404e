"""What a query may say: moments, ranges, steps, names. Each mistake is an `ApiError` that says what to write."""

from __future__ import annotations

import re
from urllib.parse import unquote

from starlette.requests import Request

from api.errors import ApiError
from pages.queries.time_range import TimeRange
from settings import durations
from store.clock import DAY_MS, now_ms
from store.formats import iso, moment

_SPACE_FOR_PLUS = re.compile(r"(T[0-9:.]+) (\d\d:?\d\d)$")


def one(request: Request, name: str) -> str | None:
    """A parameter's value; null when it is missing or empty. Raises ApiError when it comes twice."""
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise ApiError(f"{name} comes {len(values)} times: send it once")
    return values[0] if values and values[0] else None


def choice(request: Request, name: str, choices: tuple[str, ...], default: str) -> str:
    """A parameter that is one of some words."""
    value = one(request, name)
    if value is not None and value not in choices:
        raise ApiError(f"{name}={value[:50]!r} is none of {', '.join(choices)}")
    return value or default


def at(request: Request, name: str) -> int | None:
    """A moment in ISO 8601 (without an offset: UTC) as milliseconds UTC; null when it is missing."""
    value = one(request, name)
    if value is None:
        return None
    try:
        # in a query a plus that nobody encoded is a space
        return moment(_SPACE_FOR_PLUS.sub(r"\1+\2", value))
    except (ValueError, OverflowError):
        raise ApiError(
            f"{name}={value[:50]!r} is no moment: write ISO 8601, as in 2026-11-24T12:00:00Z or 2026-11-24"
        ) from None


def time_range(request: Request, default_ms: int = DAY_MS) -> TimeRange:
    """`from` and `to`, half-open. Without `to` the range ends now, in whole seconds; without `from` it begins
    `default_ms` before.
    """
    since, until = at(request, "from"), at(request, "to")
    now = now_ms()
    until = until if until is not None else now - now % 1_000
    since = since if since is not None else until - default_ms
    if since >= until:
        raise ApiError(f"the range is empty: from ({_shown(since)}) must be before to ({_shown(until)})")
    return TimeRange(since, until, False, "")


def duration_ms(request: Request, name: str) -> int | None:
    """A duration such as 5m, 1h or 30d in milliseconds; null when it is missing."""
    value = one(request, name)
    if value is None:
        return None
    try:
        ms = round(durations.seconds(int(value) if value.isascii() and value.isdecimal() else value) * 1_000)
    except ValueError:
        ms = 0
    if ms < 1:
        raise ApiError(f"{name}={value[:50]!r} is no duration: write it as 30s, 5m, 1h or 30d")
    return ms


def path_parts(request: Request, prefix: str) -> list[str]:
    """What follows `prefix` in the request's path, split at its slashes; one that is percent-encoded splits nothing."""
    raw = request.scope.get("raw_path")
    path = raw.decode("latin-1") if isinstance(raw, bytes) else ""
    _, found, rest = path.partition("?")[0].partition(prefix)
    if not found:  # the server keeps no raw path
        return str(request.scope["path"]).partition(prefix)[2].split("/")
    return [unquote(part) for part in rest.split("/")]


def _shown(at_ms: int) -> str:
    try:
        return iso(at_ms)
    except (OverflowError, ValueError):
        return f"{at_ms} ms"
