"""What to change in a request that a server refused: pure, one rule a kind of refusal.

A change is a field and the JSON of what is sent instead: null for nothing, a string for another name, else a value.
"""

from __future__ import annotations

import json
import re
from typing import Any

from collectors.http.errors import ReportedError

Change = tuple[str, str | None]
LIMITS = ("max_tokens", "max_completion_tokens")
LARGEST_LIMIT = 1_024
"""The most output tokens that a probe asks for where a server wants more than the profile does."""
GROWTH = 4
NEVER_LEFT_OUT = frozenset({"model", "messages"})

_LEAST = re.compile(r"(?:>=|at least|minimum(?: value)?(?: is| of)?|greater than or equal to)\D{0,12}(\d+)")
_LIMIT_REACHED = re.compile(r"could not finish the message|(?:max_tokens|output limit)[^.]{0,60}\breached\b")
_NO_STREAM = re.compile(r"to stream this model|(?:does not|doesn't|cannot|can't) (?:support )?stream|streaming is not")


def adapt(body: dict[str, Any], changes: list[Change]) -> dict[str, Any]:
    """The request without the fields that its server refuses, or with what it wants in their place.

    A limit is only ever raised: what a short request needs is no limit for a longer one.
    """
    changed = dict(body)
    renamed = sorted(changes, key=lambda change: not (change[1] or "").startswith('"'))
    for name, instead in renamed:
        value = changed.pop(name, None)
        if instead is None or value is None:
            continue
        replacement = json.loads(instead)
        if isinstance(replacement, str):
            changed[replacement] = value
        elif name in LIMITS:
            changed[name] = max(value, replacement)
        else:
            changed[name] = replacement
    if changed.get("stream") is False:
        changed.pop("stream_options", None)
    return changed


def change_for(refusal: ReportedError, body: dict[str, Any]) -> Change | None:
    """What to change for a refusal that names a field, as servers word it; null when there is nothing to change."""
    told = refusal.message.lower()
    limit = next((name for name in LIMITS if name in body), None)
    if limit == "max_tokens" and "max_completion_tokens" in told:
        return limit, '"max_completion_tokens"'
    if limit is not None and (raised := _raised_limit(told, body[limit])) is not None:
        return limit, str(raised)
    for name, words in (("stream_options", ("stream_options", "include_usage")), ("temperature", ("temperature",))):
        if name in body and (refusal.param == name or any(word in told for word in words)):
            return name, None
    if body.get("stream") is True and (refusal.param == "stream" or _NO_STREAM.search(told)):
        return "stream", "false"
    if refusal.param in body and refusal.param not in {*NEVER_LEFT_OUT, *LIMITS, "stream"}:
        return str(refusal.param), None
    return None


def _raised_limit(told: str, limit: int) -> int | None:
    """The least limit that the server takes, or a larger one where the model ran out of it before it could answer."""
    if re.search(r"max_(completion_|output_)?tokens", told) and (least := _LEAST.search(told)):
        wanted = int(least.group(1))
        return wanted if limit < wanted <= LARGEST_LIMIT else None
    if _LIMIT_REACHED.search(told) and limit < LARGEST_LIMIT:
        return min(LARGEST_LIMIT, limit * GROWTH)
    return None


def output_limit(changes: list[Change], tokens: int) -> int:
    """The output tokens that a request asks for after these changes, where it would ask for `tokens`."""
    body = adapt({"max_tokens": tokens}, changes)
    return next((int(body[name]) for name in LIMITS if name in body), tokens)
