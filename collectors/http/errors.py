"""The error that a server reports, in whichever shape it comes: as JSON, as a page, or as plain text.

Nothing of a prompt or of a response is taken from it: of a list of findings only the field and the finding, of a page
its title or first words, and what quotes a chat completion is cut off there.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from typing import Any

from collectors.http.waits import asked_in

LONGEST_MESSAGE = 1_000
FIRST_WORDS = 200
"""Characters of a plain-text or HTML body that are read as its reason."""
DEEPEST = 4
"""How many errors inside errors are read: routers wrap what their upstream said."""
STATUSES = range(400, 600)
NO_MESSAGE = "an error without a message"


@dataclass(frozen=True, slots=True)
class ReportedError:
    """What a server said of its error. `codes` are words such as `rate_limit_exceeded`, the most specific first;
    `status` is an HTTP status that is written in the body; `provider` is who failed, where a router names it.
    """

    message: str = ""
    codes: tuple[str, ...] = ()
    status: int | None = None
    label: str | None = None
    provider: str | None = None
    param: str | None = None
    """The field of the request that it concerns."""
    asked: tuple[tuple[str, str], ...] = ()
    """What its fields say of waiting, as pairs of a header and its value; its message may say more."""

    def describe(self, http_status: int | None = None) -> str:
        """Code and message in a line, without a code that only repeats `http_status`."""
        said = self.message
        if http_status is not None:
            said = re.sub(rf"^{http_status}\b[\s:.-]*", "", said)
        label = None if self.label == str(http_status) else self.label
        return ": ".join(part for part in (label, said) if part) or NO_MESSAGE


def read_error_body(body: bytes) -> ReportedError | None:
    """The error in the body of a response that is not a 2xx; null when it says nothing."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        words = _first_words(body.decode("utf-8", "replace"))
        return ReportedError(words) if words else None
    if isinstance(value, list):
        value = next((entry for entry in value if isinstance(entry, dict)), None)
    if not value or not isinstance(value, dict | str):
        return None
    read = read_error(value)
    return read if read != ReportedError() else None


def read_error(value: Any, depth: int = 0) -> ReportedError:
    """The error that a JSON value is or holds; nothing in it is believed to have any shape."""
    if isinstance(value, str):
        inside = _json_object(value) if depth < DEEPEST else None
        return read_error(inside, depth + 1) if inside else ReportedError(_bounded(value))
    if not isinstance(value, dict) or depth > DEEPEST:
        return ReportedError()
    metadata = value["metadata"] if isinstance(value.get("metadata"), dict) else {}
    inner = read_error(value.get("error") or _text_or_object(value.get("detail")), depth + 1)
    said = read_error(_text_or_object(value.get("message") or value.get("msg")), depth + 1)
    raw = read_error(metadata.get("raw"), depth + 1)  # what the provider behind OpenRouter said
    codes = [value.get(name) for name in ("code", "type", "status", "error_type")]
    statuses = [inner.status, *map(_status, codes), said.status, raw.status]
    words = [code[:100] for code in codes if isinstance(code, str) and code and not code.isdigit()]
    labels = [str(code)[:100] for code in codes[:2] if code != "" and type(code) in (str, int)]
    name = metadata.get("provider_name")
    messages = (inner.message, said.message, _findings(value), raw.message)
    return ReportedError(
        message=": ".join(dict.fromkeys(filter(None, messages)))[:LONGEST_MESSAGE],
        codes=(*raw.codes, *said.codes, *inner.codes, *words),
        status=next((status for status in statuses if status is not None), None),
        label=inner.label or next(iter(labels), None),
        provider=name if isinstance(name, str) else inner.provider,
        param=inner.param or said.param or _param(value),
        asked=(*inner.asked, *said.asked, *asked_in(value), *raw.asked),
    )


def page_title(text: str) -> str | None:
    """The title of an HTML page; null when it has none or is no page."""
    title = re.search(r"<title\b[^>]*>(.*?)</title", text, re.IGNORECASE | re.DOTALL)
    words = _bounded(html.unescape(title.group(1)), FIRST_WORDS) if title else ""
    return words or None


def _text_or_object(entry: Any) -> Any:
    """A list is for `_findings`."""
    return entry if isinstance(entry, str | dict) else None


def _findings(value: dict[str, Any]) -> str:
    """A validator's list (FastAPI's shape): each field and what is wrong with it, never what was sent."""
    listed: list[Any] = next((value[name] for name in ("message", "detail") if isinstance(value.get(name), list)), [])
    return _bounded("; ".join(filter(None, map(_finding, listed[:8]))))


def _param(value: dict[str, Any]) -> str | None:
    """`param`, or the place of a validator's first finding below `body`."""
    if isinstance(value.get("param"), str):
        return str(value["param"])[:100] or None
    for name in ("detail", "message"):
        first = next(iter(value[name]), None) if isinstance(value.get(name), list) else None
        place = first.get("loc") if isinstance(first, dict) else None
        if isinstance(place, list) and len(place) == 2 and place[0] == "body" and isinstance(place[1], str):
            return place[1][:100]
    return None


def _finding(entry: Any) -> str:
    if not isinstance(entry, dict):
        return entry if isinstance(entry, str) else ""
    place = entry.get("loc")
    field = ".".join(str(part) for part in place) if isinstance(place, list) else ""
    said = entry.get("msg") or entry.get("message")
    return ": ".join(part for part in (field, said) if isinstance(part, str) and part)


def _status(code: Any) -> int | None:
    if isinstance(code, str) and re.fullmatch(r"\d{3}", code):
        code = int(code)
    return code if isinstance(code, int) and not isinstance(code, bool) and code in STATUSES else None


def _json_object(text: str) -> dict[str, Any] | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and value else None


_PAGE = re.compile(r"<(?:!doctype html|html|head|title|body|h1)\b", re.IGNORECASE)
_HIDDEN = re.compile(r"<!--.*?-->|<(script|style)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^<>]*>")
_COMPLETION = re.compile(r"""(?:\bdata: ?)?\{[^{}]{0,300}?\\*["']choices\\*["'].*""", re.DOTALL)
"""A chat completion in the middle of a message: LiteLLM quotes what it could not read, and that is the model's text."""


def _first_words(text: str) -> str:
    if _PAGE.search(text[:2_048]):
        return page_title(text) or _bounded(html.unescape(_TAG.sub(" ", _HIDDEN.sub(" ", text))), FIRST_WORDS)
    readable = sum(letter.isprintable() or letter.isspace() for letter in text[:FIRST_WORDS])
    if "\ufffd" in text[:FIRST_WORDS] or readable < 0.9 * len(text[:FIRST_WORDS]):
        return ""  # bytes of something else
    return _bounded(text, FIRST_WORDS)


def _bounded(text: str, most: int = LONGEST_MESSAGE) -> str:
    return " ".join(_COMPLETION.sub("[response]", text[: 4 * most]).split())[:most]


def without_prompt(text: str, body: dict[str, Any]) -> str:
    """`text` without what the request asked, which some servers echo in their errors."""
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else []:
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, str) and content:
            text = text.replace(content, "[prompt]")
    return text
