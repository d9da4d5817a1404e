"""The API's routes below Streamlit's `server.baseUrlPath`, which moves only the pages."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from pages.queries.source import base_path


class RoutesBelowBase:
    """ASGI middleware: serves `routes` below the base path as well as without it, whether or not a proxy passes the
    base path on.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app, self._routes = app, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        prefix = base_path()
        if scope["type"] == "http" and prefix and scope["path"].startswith(f"{prefix}/"):
            raw = scope.get("raw_path") or b""
            path, raw_path = scope["path"].removeprefix(prefix), raw.removeprefix(prefix.encode())
            inner = {**scope, "path": path, "raw_path": raw_path}
            if any(route.matches(inner)[0] is not Match.NONE for route in self._routes):
                scope = inner
        await self._app(scope, receive, send)
