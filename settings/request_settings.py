"""What a target may add to its requests: headers, query parameters and fields of the body, and no key in any of them.

A key is kept apart from everything that is shown and recorded only where it is known to be one, and only
`api_key_env` and `api_key_file` say so.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterator
from typing import Any

from settings.secrecy import looks_secret

HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

_KEY_NAME = re.compile(
    r"(?:key|token|secret|auth|authorization|authentication|cookie|password|passwd|credentials?|signature|bearer"
    r"|(?:^|[-_.])(?:sig|jwt|pwd))$",
    re.IGNORECASE,
)
_NO_KEY_NAME = re.compile(
    r"(?:cache|idempotency|partition|routing)[-_]?key$"
    r"|(?:^|[-_])(?:bos|eos|sos|pad|unk|sep|cls|mask|start|begin|end|stop|special|image|audio|video|think)[-_]?token$",
    re.IGNORECASE,
)
"""Of a cache, of an idempotent request; a token of a model's vocabulary."""
_SCHEME = re.compile(r"(?:bearer|basic|apikey|api-key|token)\s+\S", re.IGNORECASE)
_IDENTIFIERS = {"openai-organization": "org-", "openai-project": "proj_"}
"""Headers that name an account, with how their values begin: they look like a key, and are none."""

OWN_HEADERS = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection", "accept"})
"""What each request has of its own, so that no key goes there."""

OWN_FIELDS = {
    "model": "set it with model",
    "messages": "the prompt is Uptoken's own; choose what it asks with check",
    "stream": "set it with stream",
    "n": "a probe requests one answer, and the budget relies on that",
}
OWN_FIELDS |= dict.fromkeys(("input", "contents", "prompt"), OWN_FIELDS["messages"])
OWN_FIELDS |= dict.fromkeys(("best_of", "candidateCount"), OWN_FIELDS["n"])
"""Fields of a request that `extra_body` may not replace, with what to do instead."""
DEEPEST = 64
_NESTED = ("generationConfig", "generation_config")
"""Where Gemini has some of them."""


def names_key(name: str) -> bool:
    """Whether a header, parameter or field of this name carries a key."""
    return _KEY_NAME.search(name) is not None and _NO_KEY_NAME.search(name) is None


def carries_key(name: str, value: str) -> bool:
    """Whether a header or parameter does, by its name or by its value."""
    beginning = _IDENTIFIERS.get(name.lower())
    if beginning is not None and value.startswith(beginning):
        return False
    return names_key(name) or _SCHEME.match(value) is not None or looks_secret(value)


def checked_headers(headers: dict[str, str]) -> dict[str, str]:
    """Headers without a key. Raises ValueError."""
    for name, value in headers.items():
        if carries_key(name, value):
            shown = "a header" if looks_secret(name) else f"the header {name}"
            raise ValueError(f"{shown} contains a key, which does not belong in this file: {way_out(name)}")
    return headers


def way_out(header: str) -> str:
    """How a key gets into this header; a target has one key."""
    plain = header.lower()
    if plain == "authorization":
        return "name the variable that holds it with api_key_env (or the file, with api_key_file)"
    if plain == "proxy-authorization":
        return "a proxy's login belongs in HTTPS_PROXY, as in http://user:password@host:port"
    named = header if HEADER_NAME.fullmatch(header) and not looks_secret(header) else "X-Api-Key"
    return (
        "name the variable that holds it with api_key_env (or the file, with api_key_file), and the header with "
        f'api_key_header = "{named}"; a target has only one key'
    )


def checked_key_header(name: str | None) -> str | None:
    """The name of a header that may carry the key. Raises ValueError."""
    if name is not None and not HEADER_NAME.fullmatch(name):
        raise ValueError("this is not a header name; write only the name, such as X-Api-Key")
    if name is not None and name.lower() in OWN_HEADERS:
        raise ValueError(f"{name} is set by each request itself; write a header such as X-Api-Key")
    return name


def checked_params(params: dict[str, str]) -> dict[str, str]:
    """Query parameters without a key. Raises ValueError."""
    for name, value in params.items():
        if carries_key(name, value):
            shown = "one of them" if looks_secret(name) else repr(name)
            raise ValueError(
                f"{shown} contains a key, which does not belong in this file: name the variable that holds it with "
                "api_key_env, and it will be sent in a header"
            )
    return params


def checked_body(body: dict[str, Any]) -> dict[str, Any]:
    """Fields that JSON can write, that replace nothing of a probe and hold no key. Raises ValueError."""
    for place, name, inside in _own_fields(body):
        if name in inside:
            raise ValueError(f"{place}{name} cannot be replaced: {OWN_FIELDS[name]}")
    for path, value in _leaves(body):
        where = ".".join(path)
        if any(map(looks_secret, path)) or (isinstance(value, str) and _holds_key(path, value)):
            shown = "a field" if looks_secret(where) else where
            raise ValueError(
                f"{shown} contains a key, which does not belong in this file: name the variable that holds it with "
                "api_key_env"
            )
        if isinstance(value, datetime.date | datetime.time):
            raise ValueError(f'{where} is a date or time, which JSON does not have; write it as text: "{value}"')
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{where} is {value}, which JSON does not have; remove it or write a number")
    return body


def _own_fields(body: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name in OWN_FIELDS:
        yield "", name, body
        for holder in _NESTED:
            if isinstance(body.get(holder), dict):
                yield f"{holder}.", name, body[holder]


def _holds_key(path: tuple[str, ...], value: str) -> bool:
    name = next((part for part in reversed(path) if not part.isdigit()), "")
    return bool(value) and (names_key(name) or _SCHEME.match(value) is not None or looks_secret(value))


def _leaves(value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value that is no table and no list, with its path. Raises ValueError."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), value)]
    while waiting:
        path, item = waiting.pop()
        if len(path) > DEEPEST and isinstance(item, dict | list):
            raise ValueError("it is nested too deep")
        if isinstance(item, dict):
            waiting += [((*path, str(name)), inner) for name, inner in item.items()]
        elif isinstance(item, list):
            waiting += [((*path, str(number)), inner) for number, inner in enumerate(item)]
        else:
            yield path, item
