"""What every response says to browsers, and what Streamlit serves that is not for everybody."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pages.queries import access

FRAMES = "frame-ancestors 'self'"
_METRICS = "/_stcore/metrics"
_NO_METRICS = "Streamlit's metrics are served only where the dashboard has no login (docs/security.md)\n"


class Safeguards:
    """ASGI middleware: `Content-Security-Policy`, `X-Content-Type-Options` and `Referrer-Policy` on every response. A
    response that says itself who may frame it (the public status page, which has nothing to click on) keeps its word.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and add to its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"
                if "frame-ancestors" not in headers.get("content-security-policy", ""):
                    headers.append("Content-Security-Policy", FRAMES)  # of several policies a browser obeys all
            await send(message)

        if scope["path"].rstrip("/").endswith(_METRICS) and access.guard() != "none":
            await PlainTextResponse(_NO_METRICS, 403)(scope, receive, send_safely)
        else:
            await self._app(scope, receive, send_safely)
