"""A webhook: one POST of JSON, signed where the channel has a secret."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import time

import requests

from alerts.channels.contract import CONNECT_S, READ_S, WHOLE_S, SendError
from alerts.messages import Message
from settings.alerts import Channel
from settings.version import VERSION

SIGNATURE = "X-Uptoken-Signature"
MOST_BYTES = 65_536


def send(channel: Channel, message: Message) -> None:
    """POST the message. Anything but a 2xx is a failure, a redirect too. Raises SendError."""
    body = json.dumps(message.body, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", "User-Agent": f"uptoken/{VERSION}"}
    if channel.secret:
        headers[SIGNATURE] = signature(channel.secret, body)
    assert channel.url is not None
    try:
        with requests.Session() as session:
            session.verify = os.environ.get("SSL_CERT_FILE") or session.verify
            began = time.monotonic()
            response = session.post(
                channel.url,
                data=body,
                headers=headers,
                timeout=(CONNECT_S, READ_S),
                allow_redirects=False,
                stream=True,
            )
            with response:
                _drain(response, began)
                _refuse_failure(response)
    except requests.Timeout:
        raise SendError("it did not respond in time") from None
    except (requests.RequestException, OSError, ValueError) as problem:
        raise SendError(f"it could not be reached ({_reason(problem)})") from None


def signature(secret: str, body: bytes) -> str:
    """What the receiver computes, too: `sha256=` and the HMAC-SHA256 of the body in hexadecimal."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def _drain(response: requests.Response, began: float) -> None:
    """Read a little of the response: whoever sends a byte a second does not hold the channel for ever."""
    size = 0
    for chunk in response.iter_content(4_096):
        size += len(chunk)
        if size > MOST_BYTES or time.monotonic() - began > WHOLE_S:
            return


def _refuse_failure(response: requests.Response) -> None:
    if 200 <= response.status_code < 300:
        return
    after = response.headers.get("Retry-After", "")
    wait_s = float(after) if re.fullmatch(r"[0-9]{1,6}", after) else None
    raise SendError(f"it responded with HTTP {response.status_code}", wait_s)


def _reason(problem: Exception) -> str:
    """The innermost reason: requests puts the URL, which is a secret, into its messages."""
    inner: BaseException = problem
    while True:
        reason = getattr(inner, "reason", None) or (inner.args[-1] if inner.args else None)
        if not isinstance(reason, BaseException):
            break
        inner = reason
    return str(getattr(inner, "strerror", None) or type(inner).__name__)
