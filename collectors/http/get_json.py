"""One bounded GET for JSON, for the collectors that read lists instead of probing."""

from __future__ import annotations

import json
import os
import time
from http import HTTPStatus
from typing import Any

from collectors.http.proxies import proxy_for
from collectors.http.redaction import root_cause

TIMEOUT_S = 10.0
WHOLE_S = 60.0
MOST_BYTES = 64 * 1024 * 1024
PIECE_BYTES = 65_536


class GoneError(ValueError):
    """The server has no such list, or no such entry."""


class ProxyFailedError(ValueError):
    """The proxy did not pass the request on."""


class StatusError(ValueError):
    """The server answered with another status than 200."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def get_json(url: str, headers: dict[str, str] | None = None, timeout_s: float = TIMEOUT_S) -> Any:
    """The JSON at `url`. Redirects are not followed, so that a key in `headers` stays here.

    Raises GoneError for 404 and 405, StatusError for any other status, ValueError for what is no JSON, for an answer
    that is too large or takes more than a minute, ProxyFailedError where a proxy failed, and requests.RequestException
    when there was no answer.
    """
    from requests.exceptions import ProxyError

    path = url.partition("://")[2].partition("/")[2]
    try:
        body = _fetch(url, path, headers, timeout_s)
    except ProxyError as problem:
        proxy = proxy_for(url, os.environ)
        name = f" {proxy.name}" if proxy is not None else ""
        raise ProxyFailedError(f"GET /{path} failed at the proxy{name}: {root_cause(problem)}") from problem
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError(f"the response to GET /{path} is not JSON") from None


def _fetch(url: str, path: str, headers: dict[str, str] | None, timeout_s: float) -> bytearray:
    from collectors.http.connection import session_for

    with (
        session_for(url) as session,
        session.get(url, headers=headers, timeout=timeout_s, allow_redirects=False, stream=True) as response,
    ):
        status = response.status_code
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
            raise GoneError(f"GET /{path} returned HTTP {status}")
        if status != HTTPStatus.OK:
            raise StatusError(f"GET /{path} returned HTTP {status}", status)
        body = bytearray()
        until = time.monotonic() + WHOLE_S
        for piece in response.iter_content(PIECE_BYTES):
            body += piece
            if len(body) > MOST_BYTES or time.monotonic() > until:
                raise ValueError(f"GET /{path} did not end within {MOST_BYTES >> 20} MB and {WHOLE_S:.0f} s")
    return body
