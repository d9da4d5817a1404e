"""How every route of the API is answered: who may read it, its errors as JSON, `ETag` and 304, and its headers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import ApiError
from pages.queries import access, sessions
from store import StoreError

JSON = "application/json"
_SIGN_IN = (
    "this dashboard has a login: send a token of UPTOKEN_API_TOKENS as `Authorization: Bearer TOKEN` (docs/api.md)"
)
_CLOSED = "the dashboard listens on an open address without a login, so it shows nothing: see docs/security.md"
_METHODS = ["GET", "HEAD", "OPTIONS"]
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD",
    "Access-Control-Allow-Headers": "Authorization, If-None-Match",
    "Access-Control-Max-Age": "600",
}


@dataclass(frozen=True)
class Answer:
    """What a route answers: `content` is bytes, or what becomes JSON. A client may keep it for `max_age_s`."""

    content: Any
    media_type: str = JSON
    status: int = 200
    max_age_s: int = 5
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        """The bytes that are sent."""
        return self.content if isinstance(self.content, bytes) else orjson.dumps(self.content)


Handler = Callable[[Request], Answer | ASGIApp]


def route(
    path: str,
    handler: Handler,
    parameters: Sequence[str] | None = (),
    *,
    is_public: bool = False,
    ticket_for: Callable[[Request], str] | None = None,
) -> Route:
    """A route of the API. `handler` runs in a thread. `parameters` are all that its query may have (null: the handler
    calls `refuse_unknown` itself); `is_public`: everyone who may see the public status page may ask, and the
    handler checks `sees_everything`. `ticket_for`: the purpose of a `ticket` in the query that a page behind the login
    may have given out.
    """

    async def answer(request: Request) -> Response | ASGIApp:
        request.state.reach = access.reach(*credentials(request))
        ticket = request.query_params.get("ticket")
        if ticket and ticket_for is not None and access.may_download(ticket_for(request), ticket):
            request.state.reach = "everything"
        return await _respond(request, handler, parameters, is_public)

    return Route(path, _Endpoint(answer), methods=_METHODS)


class _Endpoint:
    """An ASGI app, because Starlette calls a function's result only where it is a `Response`."""

    def __init__(self, answer: Callable[[Request], Awaitable[Response | ASGIApp]]) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)


def credentials(request: Request) -> tuple[str | None, str | None]:
    """The `Authorization` header and the cookie of a session."""
    return request.headers.get("authorization"), request.cookies.get(sessions.COOKIE)


def sees_everything(request: Request) -> bool:
    """Whether who asks may see more than the public status page."""
    return bool(request.state.reach == "everything")


async def _respond(
    request: Request, handler: Handler, parameters: Sequence[str] | None, is_public: bool
) -> Response | ASGIApp:
    origin = _allowed_origin(request)
    if request.method == "OPTIONS":
        headers = _PREFLIGHT | _headers_for(origin) if origin else {}
        return Response(status_code=204, headers={"Allow": ", ".join(_METHODS)} | headers)
    if request.state.reach == "nothing" or (request.state.reach == "public" and not is_public):
        return _refusal(origin)
    try:
        if parameters is not None:
            refuse_unknown(request, parameters)
        answer = await run_in_threadpool(handler, request)
    except ApiError as problem:
        return error(str(problem), problem.status, _headers_for(origin))
    except StoreError as problem:
        said = str(problem) if sees_everything(request) else "the status is unknown right now"
        return error(said, 503, _headers_for(origin) | {"Retry-After": "5"})
    if not isinstance(answer, Answer):
        return _with_headers(answer, _headers_for(origin)) if origin else answer
    return _response(request, answer, origin)


def _with_headers(app: ASGIApp, headers: dict[str, str]) -> ASGIApp:
    async def streamed(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        await app(scope, receive, send_with_headers)

    return streamed


def refuse_unknown(request: Request, parameters: Sequence[str]) -> None:
    """Raises ApiError for a parameter that is none of these."""
    for name in request.query_params:
        if name not in parameters:
            takes = f"it takes {', '.join(parameters)}" if parameters else "it takes none"
            raise ApiError(f"there is no parameter {name[:50]!r} here: {takes}")


def _response(request: Request, answer: Answer, origin: str | None) -> Response:
    body = answer.body()
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    shared = "public" if request.state.reach == "public" else "private"
    headers = {
        "ETag": tag,
        "Cache-Control": f"{shared}, max-age={answer.max_age_s}" if answer.status == 200 else "no-store",
        "Vary": "Authorization, Cookie",
        "X-Content-Type-Options": "nosniff",
    }
    headers |= answer.headers | _headers_for(origin)
    if answer.status == 200 and _is_known(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return Response(body, answer.status, headers, answer.media_type)


def _is_known(shown: str | None, tag: str) -> bool:
    """Whether `If-None-Match` names the tag; a proxy that compresses makes it a weak one."""
    return shown is not None and any(each.strip().removeprefix("W/") in (tag, "*") for each in shown.split(","))


def error(message: str, status: int, headers: dict[str, str] | None = None) -> Response:
    """An error as JSON: `{"error": {"status": 400, "message": "…"}}`."""
    body = orjson.dumps({"error": {"status": status, "message": message}})
    always = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(body, status, always | (headers or {}), JSON)


def _refusal(origin: str | None) -> Response:
    if access.guard() == "closed":
        return error(_CLOSED, 403, _headers_for(origin))
    return error(_SIGN_IN, 401, {"WWW-Authenticate": 'Bearer realm="uptoken"'} | _headers_for(origin))


def _allowed_origin(request: Request) -> str | None:
    """The page that asks, where Streamlit's `server.corsAllowedOrigins` has it: none has by default."""
    origin = request.headers.get("origin")
    return origin if origin is not None and origin in access.allowed_origins() else None


def _headers_for(origin: str | None) -> dict[str, str]:
    return {"Access-Control-Allow-Origin": origin, "Vary": "Authorization, Cookie, Origin"} if origin else {}
