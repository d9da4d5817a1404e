"""How long a server asks to be left alone, where it says so in the body of an error; and the moments that headers and
bodies write: seconds, durations (`6m0s`, `120ms`), dates, and moments since 1970 in seconds or milliseconds.

Nothing from outside is believed: what is in the past, negative, endless or no time at all is null.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

LONGEST_BELIEVED_MS = 366 * 86_400_000
"""A quota can be a year's; what is further away is no moment but a mistake."""
LARGEST_SKEW_MS = 86_400_000
SMALLEST_SKEW_MS = 2_000
"""A server's `Date` is in whole seconds, and its response took some time to come."""
LONGEST_TEXT = 100
MOST_HEADERS = 32
MOST_DETAILS = 8

_UNITS_MS = {"d": 86_400_000.0, "h": 3_600_000.0, "m": 60_000.0, "s": 1_000.0, "ms": 1.0}
_UNITS_MS |= {"us": 0.001, "µs": 0.001, "ns": 0.000001}
_NUMBER = re.compile(r"([0-9]{1,16}(?:\.[0-9]{1,16})?)(?:\s*[,;].*)?")
_PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)(ms|us|µs|ns|d|h|m|s)")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")
FIRST_EPOCH_S, FIRST_EPOCH_MS = 10**9, 10**11
"""A number from here on is a moment since 1970: as a wait it would be 31 years."""

_WORD_UNITS = r"ms|milliseconds?|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|d|h|m|s"
_WORDS = rf"[0-9]{{1,9}}(?:\.[0-9]{{1,12}})?\s?(?:{_WORD_UNITS})(?![a-z])"
_SAID = re.compile(
    r"\b(?:try again|retry(?:ing)?|wait|resets?|cooldown)\b[^0-9.]{0,40}?"
    rf"({_WORDS}(?:(?:,? and |,? ?){_WORDS}){{0,3}}|(?:[0-9]{{1,9}}[dhm]){{1,3}}[0-9]{{1,9}}(?:\.[0-9]{{1,12}})?m?s\b)",
    re.IGNORECASE,
)
_WORD_PART = re.compile(rf"([0-9]{{1,9}}(?:\.[0-9]{{1,12}})?)\s?({_WORD_UNITS})(?![a-z])", re.IGNORECASE)
_RUN_TOGETHER = re.compile(r"[0-9][0-9.dhms]*[dhms]", re.IGNORECASE)

ASKED: dict[str, str] = {
    "retrydelay": "retry-after",
    "retryafter": "retry-after",
    "retryafterseconds": "retry-after",
    "retryafters": "retry-after",
    "estimatedtime": "retry-after",
    "resetsinseconds": "retry-after",
    "resetsat": "x-ratelimit-reset",
    "resetat": "x-ratelimit-reset",
    "retryafterms": "retry-after-ms",
    "retryaftermilliseconds": "retry-after-ms",
}
"""Fields of an error, without case and `_`, and the header that says the same."""


def moment(text: str | None, at: int, skew_ms: int = 0) -> int | None:
    """The moment (milliseconds UTC) that a header names, as seen at `at`; null when it is none, or does not come within
    a year. `skew_ms`: how far the server's clock is ahead.
    """
    if text is None or len(text) > LONGEST_TEXT:
        return None
    text = text.strip()
    found = _written(text, at, skew_ms)
    return round(found) if found is not None and at < found <= at + LONGEST_BELIEVED_MS else None


def _written(text: str, at: int, skew_ms: int) -> float | None:
    if number := _NUMBER.fullmatch(text):
        value = float(number[1])
        if value < FIRST_EPOCH_S:
            return at + value * 1_000
        return (value * 1_000 if value < FIRST_EPOCH_MS else value) - skew_ms
    if _DURATION.fullmatch(text):
        return at + sum(float(count) * _UNITS_MS[unit] for count, unit in _PART.findall(text))
    date = _date_ms(text)
    return None if date is None else date - skew_ms


def _date_ms(text: str) -> float | None:
    """An HTTP date, or one as in RFC 3339; without a zone it is UTC."""
    from email.utils import parsedate_to_datetime  # which a run with nothing due does without

    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            found = parse(text)
            found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
            return found.timestamp() * 1_000
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


def skew_of(date: str | None, at: int) -> int:
    """How far a server's clock is ahead of ours by its `Date`; 0 when that cannot be right, or is too small."""
    said = None if date is None or len(date) > LONGEST_TEXT else _date_ms(date.strip())
    skew_ms = 0 if said is None else round(said) - at
    return skew_ms if SMALLEST_SKEW_MS < abs(skew_ms) <= LARGEST_SKEW_MS else 0


def asked_wait(headers: Mapping[str, str], at: int, skew_ms: int = 0) -> int | None:
    """The milliseconds to wait that `retry-after-ms` or `retry-after` ask for; null when neither does. Names are in
    lower case.
    """
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        found = _NUMBER.fullmatch(headers.get(name, "").strip()[:LONGEST_TEXT])
        if found and 0 < (wait_ms := float(found[1])) <= LONGEST_BELIEVED_MS:
            return round(wait_ms) or None
    until = moment(headers.get("retry-after"), at, skew_ms)
    return None if until is None else until - at


def asked_in(error: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What one object of an error says of waiting, as pairs of a header and its value: its own fields, Google's
    `RetryInfo` among its details, and the headers that OpenRouter puts into its `metadata`.
    """
    metadata = error.get("metadata")
    holders: list[Any] = [error, metadata]
    for name in ("details", "detail"):
        listed = error.get(name)
        holders += listed[:MOST_DETAILS] if isinstance(listed, list) else [listed]
    found = [pair for holder in holders if isinstance(holder, dict) for pair in _own(holder)]
    headers = metadata.get("headers") if isinstance(metadata, dict) else None
    if isinstance(headers, dict):
        pairs = [(name, _text(value)) for name, value in list(headers.items())[:MOST_HEADERS]]
        found += [(name.lower(), text) for name, text in pairs if text is not None and isinstance(name, str)]
    return tuple(found)


def _own(holder: dict[Any, Any]) -> list[tuple[str, str]]:
    pairs = []
    for name, value in list(holder.items())[:MOST_HEADERS]:
        header = ASKED.get(re.sub(r"[\s_-]", "", name).lower()) if isinstance(name, str) else None
        if header is not None and (text := _text(value)) is not None:
            pairs.append((header, text))
    return pairs


def _text(value: Any) -> str | None:
    """A number or a text as a header would have it; a duration of Google's is `{"seconds": 39}` in some clients."""
    if isinstance(value, dict):
        value = value.get("seconds")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        text = f"{value:f}" if isinstance(value, float) else str(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return None
    return text if len(text) <= LONGEST_TEXT else None


def wait_in_words(message: str) -> int | None:
    """The milliseconds to wait that a message names: `Please try again in 6m0s.`, `Please retry after 30 seconds`."""
    said = _SAID.search(message)
    if said is None:
        return None
    words = said[1]
    if _RUN_TOGETHER.fullmatch(words):
        wait_ms = sum(float(count) * _UNITS_MS[unit] for count, unit in _PART.findall(words.lower()))
    else:
        wait_ms = sum(float(count) * _UNITS_MS[_unit(unit)] for count, unit in _WORD_PART.findall(words))
    return round(wait_ms) if 0.5 < wait_ms <= LONGEST_BELIEVED_MS else None


def _unit(word: str) -> str:
    word = word.lower()
    return "ms" if word.startswith(("ms", "milli")) else word[0]
