"""The error that a server reports, in whichever shape it comes: as JSON, as a page, or as plain text.

Nothing of a prompt or of a response is taken from it: of a list of findings only the field and the finding, of a page
its title or first words, and what quotes a chat completion is cut off there.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from collectors.http.waits import asked_in

LONGEST_MESSAGE = 1_000
FIRST_WORDS = 200
"""Characters of a plain-text or HTML body that are read as its reason."""
DEEPEST = 4
"""How many errors inside errors are read: routers wrap what their upstream said."""
STATUSES = range(400, 600)
NO_MESSAGE = "an error without a message"
CODE_NAMES = (
    *("code", "type", "status", "statusCode", "error_type"),
    *("error_code", "errorCode", "status_code", "http_code", "__type"),
)
MESSAGE_NAMES = ("message", "msg", "status_msg", "error_msg", "error_message", "errorMessage", "err_msg")
"""Under which names errors are written: OpenAI, Google, text-generation-inference, Databricks and FastChat, MiniMax,
Amazon; Baidu.
"""


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
    read = (status_error(value) if isinstance(value, dict) else None) or read_error(value)
    return read if read != ReportedError() else None


def read_error(value: Any, depth: int = 0) -> ReportedError:
    """The error that a JSON value is or holds; nothing in it is believed to have any shape."""
    if isinstance(value, str):
        inside = _json_object(value) if depth < DEEPEST else None
        return read_error(inside, depth + 1) if inside else _of_sdk(value, depth) or ReportedError(_bounded(value))
    if isinstance(value, list):
        value = next((entry for entry in value if isinstance(entry, dict | str) and entry), None)
        return read_error(value, depth + 1)
    if not isinstance(value, dict) or depth > DEEPEST:
        return ReportedError()
    metadata = value["metadata"] if isinstance(value.get("metadata"), dict) else {}
    inner = read_error(value.get("error") or value.get("errors") or _text_or_object(value.get("detail")), depth + 1)
    said = read_error(_first_text(value), depth + 1)
    if said == inner == ReportedError():
        said = read_error(_text_or_object(value.get("title")), depth + 1)
    raw = read_error(metadata.get("raw"), depth + 1)  # what the provider behind OpenRouter said
    codes = [*map(value.get, CODE_NAMES), *_reasons(value.get("details"))]
    statuses = [inner.status, *map(_status, codes), said.status, raw.status]
    words = [_bare(code) for code in codes if isinstance(code, str) and code and not code.isdigit()]
    labels = [
        _bare(str(code)) for code in (*codes[:2], *codes[5:]) if code not in ("", "error") and type(code) in (str, int)
    ]
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


RESPONSE_FIELDS = ("choices", "candidates", "output", "content", "data", "embeddings")
"""A body with one of these is a response, whatever its status field says."""
GOOD_STATUSES = ("0", "200", "20000", "ok", "success", "succeeded", "none", "")
_MINIMAX: dict[int, str] = {
    1002: "rate_limit_exceeded",
    1004: "invalid_api_key",
    1008: "insufficient_balance",
    1039: "rate_limit_exceeded",
    2013: "invalid_request_error",
    2049: "invalid_api_key",
    2056: "insufficient_quota",
}


def status_error(value: dict[str, Any]) -> ReportedError | None:
    """The error that a vendor's own status object reports, whatever its HTTP status; null where it reports none.

    MiniMax's `base_resp`, the `error_code` of Baidu and FastChat, Tencent's `Response.Error`, the `code` and `message`
    of DashScope, Xunfei and SiliconFlow, and the `success: false` of one-api and Cloudflare.
    """
    base = value.get("base_resp")
    if isinstance(base, dict) and _is_failure(base.get("status_code")):
        code = base["status_code"]
        read = read_error({"code": code, "message": base.get("status_msg")})
        return replace(read, codes=(_MINIMAX[code], *read.codes)) if code in _MINIMAX else read
    inner = value.get("Response")
    if isinstance(inner, dict) and isinstance(inner.get("Error"), dict):
        return read_error({"code": inner["Error"].get("Code"), "message": inner["Error"].get("Message")})
    if any(value.get(name) for name in RESPONSE_FIELDS):
        return None
    for code, text in (("error_code", "error_msg"), ("error_code", "text"), ("code", "message"), ("code", "msg")):
        if _is_failure(value.get(code)) and isinstance(value.get(text), str):
            return read_error({"code": value[code], "message": value[text]})
    if value.get("success") is False and (value.get("errors") or isinstance(value.get("message"), str)):
        return read_error({name: value.get(name) for name in ("errors", "message")})
    return read_error(value) if _is_problem(value) else None


FAILED = ("error", "failed", "failure", "fail")


def _is_problem(value: dict[str, Any]) -> bool:
    """A problem as RFC 9457 has it (NVIDIA), FastAPI's `detail` alone, or an object that calls itself an error."""
    if not any(isinstance(value.get(name), str) for name in (*MESSAGE_NAMES, "detail", "title")):
        return False
    statuses = [value.get(name) for name in ("status", "statusCode", "status_code")]
    is_failed = any(_status(one) is not None or (isinstance(one, str) and one.lower() in FAILED) for one in statuses)
    return is_failed or value.get("type") == "error" or value.keys() == {"detail"}


def _is_failure(code: Any) -> bool:
    return type(code) in (int, str) and str(code).lower() not in GOOD_STATUSES


def page_title(text: str) -> str | None:
    """The title of an HTML page; null when it has none or is no page."""
    title = re.search(r"<title\b[^>]*>(.*?)</title", text, re.IGNORECASE | re.DOTALL)
    words = _bounded(html.unescape(title.group(1)), FIRST_WORDS) if title else ""
    return words or None


def _first_text(value: dict[str, Any]) -> Any:
    return next((said for name in MESSAGE_NAMES if (said := _text_or_object(value.get(name)))), None)


def _bare(code: str) -> str:
    """A code without Amazon's namespace in front of it."""
    return code.rpartition("#")[2][:100]


def _reasons(details: Any) -> list[Any]:
    """Google's `details`: the reasons are more specific than the status above them."""
    return [detail.get("reason") for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []


_OF_SDK = re.compile(r"\bError code: (\d{3}) - (?=[{\[])")
_PYTHON_PAIR = re.compile(r"""'(code|type|status|message)': (?:'([^'\\]{1,1000})'|"([^"\\]{1,1000})"|(\d{1,6})\b)""")


def _of_sdk(text: str, depth: int) -> ReportedError | None:
    """What the OpenAI SDK makes of an error, in the message of a proxy that uses it: `Error code: 429 - {'error': …}`,
    as Python writes it.
    """
    text = text[: 4 * LONGEST_MESSAGE]
    found = _OF_SDK.search(text)
    if found is None or depth >= DEEPEST:
        return None
    pairs = {name: a or b or int(number) for name, a, b, number in _PYTHON_PAIR.findall(text, found.end())}
    read = read_error(pairs, depth + 1)
    return replace(read, message=read.message or _bounded(text), status=read.status or _status(found.group(1)))


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
_COMPLETION = re.compile(r"""(?:\bdata: ?)?\{[^{}]{0,300}?\\*["'](?:choices|candidates)\\*["'].*""", re.DOTALL)
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
    for name in ("messages", "input", "contents"):
        for asked in _asked(body.get(name)):
            text = text.replace(asked, "[prompt]")
    return text


def _asked(value: Any) -> Iterator[str]:
    """The texts in a request's messages, whichever dialect they are in."""
    if isinstance(value, str):
        if value:
            yield value
    elif isinstance(value, list):
        for entry in value:
            yield from _asked(entry)
    elif isinstance(value, dict):
        for name in ("content", "parts", "text"):
            yield from _asked(value.get(name))
