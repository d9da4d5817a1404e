"""With a password set, a viewer who has not signed in gets the sign-in form and nothing of Streamlit's."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from urllib.parse import parse_qs, urlencode

import anyio
from anyio.to_thread import run_sync
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from pages.queries import sessions
from pages.shell import sign_in_form
from pages.shell.attempts import Attempts
from pages.shell.base_path import path_below_base
from settings.password import VARIABLE, PasswordError

_OPEN = ("_stcore/health",)
"""Open to supervisors, as it is with a login."""
_MOST_BYTES, _MOST_FIELDS = 8_192, 20
_AT_ONCE = 2
"""Checking a password takes 32 MiB and 0.2 s of a core."""
_AFTER = re.compile(r"[A-Za-z0-9_-]*(\?[\x21-\x7e]*)?")
_SIGN_IN = "Sign in to this dashboard first.\n"
_UNREADABLE = (
    "Nobody can sign in: the password file cannot be read. Ask the administrator to check the dashboard's log."
)
_LOGGER = logging.getLogger(__name__)


class PasswordGate:
    """ASGI middleware. `routes` are those of the API, each of which checks by itself who may read it."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app, self._routes = app, routes
        self._attempts = Attempts()
        self._tries: anyio.CapacityLimiter | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on the request of a viewer who signed in, and answer any other."""
        if scope["type"] not in ("http", "websocket") or not os.environ.get(VARIABLE):
            await self._app(scope, receive, send)
            return
        path = path_below_base(scope["path"])
        if path in ("login", "logout") and scope["type"] == "http":
            request = Request(scope, receive)
            response = await (self._sign_in(request) if path == "login" else self._sign_out(request))
            response.headers.update({"Content-Security-Policy": sign_in_form.policy(), "Cache-Control": "no-store"})
            await response(scope, receive, send)
        elif path in _OPEN or _is_signed_in(HTTPConnection(scope)) or self._is_api(scope):
            await self._app(scope, receive, send)
        else:
            await _refusal(path, scope)(scope, receive, send)

    def _is_api(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is not Match.NONE for route in self._routes)

    async def _sign_in(self, request: Request) -> Response:
        if request.method in ("GET", "HEAD"):
            after = _page_of(request.query_params.get("next", ""))
            if _is_signed_in(request):
                return RedirectResponse(after or "./", 303)
            return HTMLResponse(sign_in_form.sign_in_page(after))
        if request.method != "POST":
            return PlainTextResponse("Method Not Allowed\n", 405, {"Allow": "GET, HEAD, POST"})
        form = await _form(request)
        if form is None:
            return PlainTextResponse("The form is too large.\n", 413)
        after, address = _page_of(form.get("next", "")), request.client.host if request.client else ""
        if wait_s := self._attempts.take(address):
            wrong = f"Too many attempts. Try again in {wait_s:.0f} seconds."
            return HTMLResponse(sign_in_form.sign_in_page(after, wrong), 429, {"Retry-After": f"{wait_s + 1:.0f}"})
        try:
            is_right = await self._matches(form.get("password", ""))
        except PasswordError as problem:
            _LOGGER.error("%s", problem)
            return HTMLResponse(sign_in_form.sign_in_page(after, _UNREADABLE), 503)
        if not is_right:
            _LOGGER.warning("a sign-in from %s failed: the password was wrong", address)
            return HTMLResponse(sign_in_form.sign_in_page(after, "Wrong password."), 403)
        self._attempts.forget(address)
        response = RedirectResponse(after or "./", 303)
        _set_cookie(response, request, sessions.new_session(), sessions.SESSION_S)
        return response

    async def _matches(self, password: str) -> bool:
        if self._tries is None:  # made within the loop
            self._tries = anyio.CapacityLimiter(_AT_ONCE)
        found = sessions.password()
        return found is not None and await run_sync(found.matches, password, limiter=self._tries)

    async def _sign_out(self, request: Request) -> Response:
        if request.method != "POST":
            return HTMLResponse(sign_in_form.sign_out_page())
        sessions.end_session(request.cookies.get(sessions.COOKIE))
        response = RedirectResponse("login", 303)
        _set_cookie(response, request, "", 0)
        return response


def _is_signed_in(connection: HTTPConnection) -> bool:
    return sessions.is_signed_in(connection.cookies.get(sessions.COOKIE))


def _set_cookie(response: Response, request: Request, value: str, seconds: int) -> None:
    """`Secure` where the browser uses HTTPS: a proxy states that in X-Forwarded-Proto, which uvicorn reads."""
    response.set_cookie(
        sessions.COOKIE,
        value,
        max_age=seconds,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )


def _refusal(path: str | None, scope: Scope) -> Response:
    """Redirect from a page's address to the form, which leads back, and refuse anything else. The redirect is relative,
    because a proxy may serve the dashboard below a path.
    """
    is_read = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
    if path is not None and is_read and "." not in path and not path.startswith("_"):
        query = scope["query_string"].decode("latin-1")
        after = _page_of(f"{path}?{query}" if query else path)
        base = scope["path"].rpartition("/")[2] if not path and not scope["path"].endswith("/") else ""
        location = f"{base}/login" if base else "../" * path.count("/") + "login"
        location += f"?{urlencode({'next': after})}" if after else ""
        return RedirectResponse(location, 303, {"Cache-Control": "no-store"})
    return PlainTextResponse(_SIGN_IN, 401, {"Cache-Control": "no-store"})


def _page_of(text: str) -> str:
    """The path and query of a page, relative to the form; empty for any other address."""
    is_page = len(text) < 4_000 and _AFTER.fullmatch(text) and text.partition("?")[0] not in ("login", "logout")
    return text if is_page else ""


async def _form(request: Request) -> dict[str, str] | None:
    """The fields of a form; null when it is too large, or has too many fields."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_BYTES:
            return None
    try:
        found = parse_qs(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return None
    return {name: values[0] for name, values in found.items()}
