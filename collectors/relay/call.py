"""One request of a client: what it asks for, and the little of it that may be recorded."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson

from collectors.http.dialects.base import object_in, word
from collectors.relay.problems import Api, ProblemError
from settings.secrecy import looks_secret
from store.clock import now_ms

PASSED_HEADERS = ("traceparent", "tracestate", "anthropic-version", "anthropic-beta")
"""What of a client's headers goes on to the model server."""
LONGEST_TITLE = 100
_LONG_NUMBER = re.compile(rb"[0-9]{17}")
"""orjson makes a float of an integer of more than 64 bits."""


@dataclass(frozen=True)
class Call:
    """A request as it came. `received` is the second of `time.perf_counter()` at which its body was complete."""

    request_id: str
    api: Api
    raw: bytes = field(repr=False)
    body: dict[str, Any] = field(repr=False)
    model: str
    streamed: bool
    started_at: int
    received: float
    key_name: str | None = None
    app: str | None = None
    app_title: str | None = None
    app_categories: str | None = None
    wants_metadata: bool = False
    passed_headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def wants_usage(self) -> bool:
        """Whether the client asked for the chunk that says what was used."""
        return object_in(self.body, "stream_options").get("include_usage") is True


def new_id() -> str:
    """A generation's id, in OpenRouter's form."""
    return f"gen-{int(time.time())}-{secrets.token_hex(10)}"


def read_call(
    request_id: str, api: Api, raw: bytes, headers: Mapping[str, str], key_name: str | None, received: float
) -> Call:
    """The request in these bytes. Raises ProblemError for what is none."""
    body = _json_object(raw)
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise ProblemError(400, "The request has no model: name one that GET /v1/models lists.")
    streamed = body.get("stream")
    if streamed not in (None, True, False):
        raise ProblemError(400, "stream is true or false.")
    return Call(
        request_id,
        api,
        raw,
        body,
        model,
        streamed is True and api != "embeddings",
        now_ms(),
        received,
        key_name,
        app_of(headers.get("http-referer") or headers.get("referer")),
        _title(headers.get("x-openrouter-title") or headers.get("x-title")),
        _title(headers.get("x-openrouter-categories")),
        headers.get("x-openrouter-metadata", "").strip().lower() == "enabled",
        {name: headers[name] for name in PASSED_HEADERS if name in headers},
    )


def _json_object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw) if _LONG_NUMBER.search(raw) else orjson.loads(raw)
    except (ValueError, RecursionError):
        raise ProblemError(400, "The body of the request is not JSON.") from None
    if not isinstance(value, dict):
        raise ProblemError(400, "The body of the request is not a JSON object.")
    return value


def app_of(referer: str | None) -> str | None:
    """The origin of a page's address: its path and query may say what nobody should keep."""
    if not referer:
        return None
    try:
        parts = urlsplit(referer.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host or looks_secret(host):
        return None
    named = f"[{host}]" if ":" in host else host
    return word(f"{parts.scheme}://{named}{f':{port}' if port else ''}")


def _title(text: str | None) -> str | None:
    title = word((text or "")[:LONGEST_TITLE])
    return None if title is None or looks_secret(title) else title
