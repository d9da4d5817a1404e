"""Streamlit's static files, compressed, and its document with preload links."""

from __future__ import annotations

import mimetypes
from functools import cache
from hashlib import sha256
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.encodings import accepted_encodings
from pages.shell import frontend
from pages.shell.base_path import path_below_base
from pages.shell.copies import ENCODINGS, Copies

FOLDER = Path(__file__).resolve().parents[2] / "data" / "cache"
_FOR_EVER = "public, immutable, max-age=31536000"
"""As Streamlit serves its files, because their names contain hashes."""


class StaticFiles:
    """ASGI middleware. Requests for a part of a file, or without an accepted encoding, are passed on to Streamlit."""

    def __init__(self, app: ASGIApp, folder: Path = FOLDER) -> None:
        self._app = app
        self._copies = Copies(frontend.ROOT, folder, frontend.text_files())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a static file or a page's document, and pass on any other."""
        if scope["type"] == "lifespan":
            self._copies.start(frontend.first_files())
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            path, asked = path_below_base(scope["path"]), Headers(scope=scope)
            if path in frontend.page_paths():
                await _page(path, asked)(scope, receive, send)
                return
            if path is not None and self._copies.knows(path):
                response = None if "range" in asked else self._file(path, asked)
                await (response or _with_vary(self._app))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _file(self, name: str, asked: Headers) -> Response | None:
        for encoding in accepted_encodings(asked.get("accept-encoding", ""), ENCODINGS):
            if body := self._copies.get(name, encoding):
                return _response(body, encoding, mimetypes.guess_type(name)[0], _FOR_EVER, asked)
        return None


def _page(path: str, asked: Headers) -> Response:
    encoding = next(iter(accepted_encodings(asked.get("accept-encoding", ""), ENCODINGS)), None)
    return _response(_document(path, encoding), encoding, "text/html", "no-cache", asked)


@cache
def _document(path: str, encoding: str | None) -> bytes:
    plain = frontend.document(path)
    return plain if encoding is None else ENCODINGS[encoding].compress(plain)


def _response(body: bytes, encoding: str | None, media_type: str | None, keep: str, asked: Headers) -> Response:
    """The bytes, or 304 for a client that has them."""
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": keep, "Vary": "Accept-Encoding"}
    if tag in asked.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if encoding is not None:
        headers["Content-Encoding"] = encoding
    return Response(body, headers=headers, media_type=media_type)


def _with_vary(app: ASGIApp) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_vary(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).add_vary_header("Accept-Encoding")
            await send(message)

        await app(scope, receive, send_with_vary)

    return answer
