"""Errors as a client sees them, in one form, whichever server made them; and the outcome of an attempt that failed."""

from __future__ import annotations

import math
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

Api = Literal["chat", "completions", "embeddings", "messages"]

ERROR_TYPES: dict[str, str] = {
    "timeout": "timeout",
    "rate_limited": "rate_limit_exceeded",
    "connection_error": "provider_unavailable",
    "server_error": "provider_unavailable",
    "stream_error": "provider_unavailable",
    "invalid_response": "provider_unavailable",
    "empty": "provider_unavailable",
    "caller_error": "provider_unavailable",
    "not_found": "provider_unavailable",
    "offline": "provider_unavailable",
    "internal_error": "server",
}
"""What OpenRouter's API calls an outcome (`APIErrorType` of its client)."""
TYPES_OF_STATUS: dict[int, str] = {
    400: "invalid_request",
    401: "authentication",
    402: "payment_required",
    403: "permission_denied",
    404: "not_found",
    408: "timeout",
    413: "payload_too_large",
    422: "unprocessable",
    429: "rate_limit_exceeded",
}


class ProblemError(Exception):
    """A request that gets no model's response. The message is for its client; it is never recorded."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        error_type: str | None = None,
        provider: str | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.error_type = error_type or TYPES_OF_STATUS.get(status, "server")
        self.provider = provider
        self.retry_after_ms = retry_after_ms

    def body(self, api: Api | None = None) -> bytes:
        """The JSON that the client gets: OpenRouter's form, which the `openai` SDK reads too; for `messages`
        Anthropic's beside it.
        """
        metadata: dict[str, Any] = {"error_type": self.error_type}
        if self.provider is not None:
            metadata["provider_name"] = self.provider
        error = {"code": self.status, "message": self.message, "type": self.error_type, "metadata": metadata}
        outer = {"type": "error"} if api == "messages" else {}
        return orjson.dumps({**outer, "error": error})

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that belong to it."""
        if self.retry_after_ms is None:
            return []
        seconds = str(max(1, math.ceil(self.retry_after_ms / 1_000))).encode()
        return [(b"retry-after", seconds), (b"retry-after-ms", str(self.retry_after_ms).encode())]


class Gone(Exception):  # noqa: N818  no error of anybody's
    """The client left, or reads nothing."""


@dataclass(frozen=True)
class Failure:
    """Why an attempt gave the client nothing. `code` is what may be recorded: an outcome's word or an HTTP status,
    never a server's text; `message` is for the client alone.
    """

    outcome: str
    message: str
    status: int | None = None
    """The upstream's own."""
    retry_after_ms: int | None = None
    is_final: bool = False
    """The request itself is at fault, so that no other endpoint is tried."""

    @property
    def code(self) -> str:
        """What the row of the attempt says."""
        return self.outcome if self.status is None else f"HTTP {self.status}"

    @property
    def client_status(self) -> int:
        """The status that a client gets when nothing survives."""
        if self.is_final and self.status is not None:
            return self.status
        if self.outcome == "timeout" and self.status is None:
            return 504
        is_passed = self.status in (408, 409, 429) or (self.status or 0) >= 500
        if self.outcome == "rate_limited":
            return 429
        return self.status if is_passed and self.status is not None else 502


def report_failure(problem: BaseException) -> None:
    """Write down where a bug of ours is: its type and its place, never its words, which may hold what passed."""
    frames = traceback.extract_tb(problem.__traceback__)
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-4:]]
    print(
        f"the relay failed: {type(problem).__name__} at {' < '.join(reversed(places))}; this is a bug in Uptoken",
        file=sys.stderr,
        flush=True,
    )
