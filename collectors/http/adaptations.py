"""What to change in a request that a server refused: pure, one rule a kind of refusal.

A change is a field and the JSON of what is sent instead: null for nothing, a string for another name, else a value. A
field inside another is written with a dot, as `generationConfig.maxOutputTokens`.
"""

from __future__ import annotations

import copy
import json
import re
from typing import Any

from collectors.http.errors import ReportedError
from settings.sections import LARGEST_LIMIT

Change = tuple[str, str | None]
LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "generationConfig.maxOutputTokens")
"""What the dialects call the most output tokens."""
GROWTH = 4
NEVER_LEFT_OUT = frozenset({"model", "messages", "input", "contents"})
REFUSED_BY_NAME: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("stream_options", ("stream_options", "include_usage")),
    ("temperature", ("temperature",)),
    ("generationConfig.temperature", ("temperature",)),
    ("reasoning_effort", ("reasoning_effort", "reasoning effort", "reasoning.effort")),
    ("reasoning.effort", ("reasoning.effort", "reasoning_effort", "reasoning effort")),
    ("output_config.effort", ("effort", "output_config")),
    ("generationConfig.thinkingConfig", ("thinking",)),
)
"""Fields that a probe can do without, and the words by which servers refuse them."""

_LEAST = re.compile(r"(?:>=|at least|minimum(?: value)?(?: is| of)?|greater than or equal to)\D{0,12}(\d+)")
_ABOVE = re.compile(r"(?:>|(?:greater|more|larger|higher) than)\s?(\d+)")
_ABOVE_THINKING = re.compile(r"greater than\W{0,4}thinking")
"""Anthropic's, where a target's `extra_body` lets the model think."""
_LIMIT_NAME = re.compile(r"max_?(?:completion_?|output_?)?tokens")
_OTHER_NAME = re.compile(r"\b(?:use|try|instead|is)\b\W{0,8}\b(max_(?:completion|output)_tokens)\b")
_UNSUPPORTED = re.compile(
    r"\b(?:un(?:supported|known|recogni[sz]ed|expected)|cannot find field|does not support|no such"
    r"|(?:not|n't) (?:be )?(?:supported?|permitted|allowed|recogni[sz]ed))\b"
)
"""How servers say that they do not take a field."""
_LIMIT_REACHED = re.compile(r"could not finish the message|(?:max_tokens|output limit)[^.]{0,60}\breached\b")
_NO_STREAM = re.compile(
    r"to stream this model|(?:does not|doesn't|cannot|can't) (?:support )?stream"
    r"|\bstream(?:ing|ed)?\b(?!_)[^.:]{0,40}\b(?:not (?:supported|implemented|available|enabled|allowed|permitted)"
    r"|does not support|unsupported|must be false|disabled)"
    r"|\b(?:unsupported|only)\b[^.:]{0,30}\bnon-?_?\s?stream"
)


def adapt(body: dict[str, Any], changes: list[Change], most: int | None = None) -> dict[str, Any]:
    """The request without the fields that its server refuses, or with what it wants in their place.

    A limit is only ever raised, and to no more than `most`: what a short request needs is no limit for a longer one.
    """
    changed = copy.deepcopy(body) if changes else dict(body)
    renamed = sorted(changes, key=lambda change: not (change[1] or "").startswith('"'))
    for name, instead in renamed:
        value = value_at(changed, name)
        if value is None:
            continue
        _drop(changed, name)
        if instead is None:
            continue
        replacement = json.loads(instead)
        if isinstance(replacement, str):
            _put(changed, replacement, value)
        elif name in LIMITS:
            _put(changed, name, max(value, replacement if most is None else min(most, replacement)))
        else:
            _put(changed, name, replacement)
    if changed.get("stream") is False:
        changed.pop("stream_options", None)
    return changed


def change_for(refusal: ReportedError, body: dict[str, Any], most: int = LARGEST_LIMIT) -> Change | None:
    """What to change for a refusal that names a field, as servers word it; null when there is nothing to change. No
    limit is raised above `most`.
    """
    told = refusal.message.lower()
    limit = limit_in(body)
    if limit == "max_tokens" and (other := _other_name(refusal, told)) is not None:
        return limit, f'"{other}"'
    if limit is not None and (raised := _raised_limit(told, value_at(body, limit), most)) is not None:
        return limit, str(raised)
    for name, words in REFUSED_BY_NAME:
        if value_at(body, name) is not None and (refusal.param == name or any(word in told for word in words)):
            return name, None
    if body.get("stream") is True and (refusal.param == "stream" or _NO_STREAM.search(told)):
        return "stream", "false"
    named = refusal.param or _named_in(told, body)
    if named and value_at(body, named) is not None and named not in {*NEVER_LEFT_OUT, *LIMITS, "stream"}:
        return named, None
    return None


def _other_name(refusal: ReportedError, told: str) -> str | None:
    """What a server calls the limit that it does not take as `max_tokens`; some say only that they do not."""
    if "max_completion_tokens" in told:
        return "max_completion_tokens"
    if found := _OTHER_NAME.search(told):
        return found.group(1)
    is_refused = refusal.param == "max_tokens" or "max_tokens" in told
    return "max_completion_tokens" if is_refused and re.search(r"\bunsupported|not supported", told) else None


def _named_in(told: str, body: dict[str, Any]) -> str | None:
    """The field of a request that a message names, in quotes or at its end, as one that its server does not take."""
    if not _UNSUPPORTED.search(told) and "extra inputs" not in told:
        return None
    for name in body:
        plain = re.escape(name.lower())
        if re.search(rf"""["'`]{plain}["'`]|(?:\A|[:,] ){plain}(?=\Z|[:,.\s])""", told):
            return name
    return None


def _raised_limit(told: str, limit: Any, most: int) -> int | None:
    """The least limit that the server takes, or a larger one where the model ran out of it before it could answer."""
    if not isinstance(limit, int):
        return None
    if _LIMIT_NAME.search(told) and (least := _LEAST.search(told)):
        wanted = int(least.group(1))
        return wanted if limit < wanted <= most else None
    if _LIMIT_NAME.search(told) and (above := _ABOVE.search(told)):
        return int(above.group(1)) + 1 if limit <= int(above.group(1)) < most else None
    if _LIMIT_NAME.search(told) and _ABOVE_THINKING.search(told):
        return most if limit < most else None
    if _LIMIT_REACHED.search(told) and limit < most:
        return min(most, limit * GROWTH)
    return None


def limit_in(body: dict[str, Any]) -> str | None:
    """The field that holds the limit of output tokens; null where the request has none."""
    return next((name for name in LIMITS if value_at(body, name) is not None), None)


def limit_of(body: dict[str, Any]) -> int | None:
    """The most output tokens that a request asks for; null where it has no such limit."""
    name = limit_in(body)
    value = None if name is None else value_at(body, name)
    return value if isinstance(value, int) else None


def value_at(body: dict[str, Any], name: str) -> Any:
    """What stands under a name, which may be one inside others (`reasoning.effort`); null where nothing does."""
    value: Any = body
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _drop(body: dict[str, Any], name: str) -> None:
    """Without a field, and without an object that is empty then."""
    outer, _, inner = name.partition(".")
    if inner:
        _drop(body[outer], inner)
    if not inner or not body[outer]:
        del body[outer]


def _put(body: dict[str, Any], name: str, value: Any) -> None:
    outer, _, inner = name.partition(".")
    if inner:
        _put(body.setdefault(outer, {}), inner, value)
    else:
        body[outer] = value
