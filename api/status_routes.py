"""The routes of the public status page: rendered once for all who ask, and there when the store is not."""

from __future__ import annotations

import asyncio
import gzip
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from hashlib import sha256
from urllib.parse import parse_qsl

from markupsafe import Markup
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from api import status_page
from api.encodings import accepted_encodings
from pages.queries import access, source
from pages.queries.public_status import PublicStatus, load_public_status
from store import StoreError
from store.clock import now_ms

FRESH_S = 10.0
"""The page is rendered at most once in this time."""
PREVIOUS_S = 60.0
"""Up to this age the previous page is sent while the next one is rendered; who finds an older one waits."""
PATIENCE_S, HURRIED_S = 5.0, 1.0
"""How long somebody waits for a page before the last one is sent, however old; and after one that never came."""
ACCESS_S = 1.0
"""For how long an answer to who may see the page holds."""
_NOT_PUBLIC = (
    "The status page is not public. Sign in to the dashboard to see it there, or set UPTOKEN_PUBLIC_STATUS=yes where "
    "the dashboard runs (docs/security.md)\n"
)
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Page:
    """A page as it is sent: as it is and compressed, with the headers that both have."""

    body: bytes
    zipped: bytes
    etag: bytes
    headers: tuple[tuple[bytes, bytes], ...]

    @classmethod
    def of(cls, html: Markup, *, is_embedded: bool) -> Page:
        """Of a document, which other sites may frame where it `is_embedded`."""
        body = html.encode()
        etag = f'W/"{sha256(body).hexdigest()[:20]}"'.encode()
        framed = f"{status_page.policy()}; frame-ancestors " + ("*" if is_embedded else "'self'")
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"cache-control", f"max-age={FRESH_S:.0f}".encode()),
            (b"vary", b"Accept-Encoding"),
            (b"etag", etag),
            (b"content-security-policy", framed.encode()),
        ]
        if is_embedded:  # a frame has no button to reload it
            headers.append((b"refresh", b"60"))
        return cls(body, gzip.compress(body, 6), etag, tuple(headers))


@dataclass(frozen=True)
class Rendering:
    """The pages of one status. `begun` is when its reading began, of a monotonic clock in seconds."""

    status: PublicStatus
    begun: float
    is_late: bool = False
    """Whether the status could not be refreshed since."""
    _pages: dict[tuple[str | None, bool], Page] = field(default_factory=dict)

    def page(self, name: str | None, is_embedded: bool) -> Page | None:
        """The page of all (null), or of the target of this name; null where there is no such target."""
        page = self._pages.get((name, is_embedded))
        if page is not None:
            return page
        row = next((row for row in self.status.rows if row.name == name), None)
        if name is None:
            html = status_page.index_page(self.status, is_embedded=is_embedded, is_late=self.is_late)
        elif row is not None:
            html = status_page.target_page(self.status, row, is_embedded=is_embedded, is_late=self.is_late)
        else:
            return None
        page = self._pages[name, is_embedded] = Page.of(html, is_embedded=is_embedded)
        return page


class StatusSite:
    """ASGI app of the page of all targets and of each target's. One thread reads the store, however many ask."""

    def __init__(self, load: Callable[[], PublicStatus]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._last: Rendering | None = None
        self._tried_at = -FRESH_S
        self._running: Future[None] | None = None
        self._access = (-ACCESS_S, False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["method"] not in ("GET", "HEAD"):
            await PlainTextResponse("Method Not Allowed\n", 405, {"Allow": "GET, HEAD"})(scope, receive, send)
        elif not self._may_see():
            await PlainTextResponse(_NOT_PUBLIC, 403, {"Cache-Control": "no-store"})(scope, receive, send)
        elif (rendering := await self._current()) is None:
            await _failed(503, status_page.UNKNOWN)(scope, receive, send)
        elif page := rendering.page(scope["path_params"].get("target") or None, wants_embedded(scope["query_string"])):
            await _send_page(page, scope, send)
        else:
            await _failed(404, "There is no model of this name.")(scope, receive, send)

    def _may_see(self) -> bool:
        now = time.monotonic()
        if now - self._access[0] >= ACCESS_S:  # the secrets are read from their file each time
            self._access = (now, access.may_see_status())
        return self._access[1]

    async def _current(self) -> Rendering | None:
        """The newest pages, or the ones before while new ones are made; null when there never were any."""
        now, last = time.monotonic(), self._last
        if now - self._tried_at < FRESH_S and self._running is None:
            return last
        running = self._begin()
        if last is None or now - last.begun >= PREVIOUS_S:
            patience_s = HURRIED_S if last is not None and last.is_late else PATIENCE_S
            await asyncio.wait([asyncio.wrap_future(running)], timeout=patience_s)
            if not running.done():
                self._mark_late()
        return self._last

    def _begin(self) -> Future[None]:
        with self._lock:
            running = self._running
            if running is None:
                running = self._running = Future()
                threading.Thread(target=self._render, args=(running,), daemon=True, name="status page").start()
            return running

    def _render(self, done: Future[None]) -> None:
        begun = self._tried_at = time.monotonic()
        try:
            rendering = Rendering(self._load(), begun)
            rendering.page(None, False)
            self._last = rendering
        except StoreError:
            self._mark_late()
        except Exception:  # the page is there for the day on which everything else is broken
            _LOGGER.exception("the status page could not be rendered")
            self._mark_late()
        finally:
            self._running = None
            done.set_result(None)

    def _mark_late(self) -> None:
        """The same status as before, which says of itself that it is old."""
        if self._last is not None and not self._last.is_late:
            self._last = replace(self._last, is_late=True, _pages={})


def wants_embedded(query: bytes) -> bool:
    """Whether `?embed` is asked for."""
    return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)).get("embed") in ("", "true", "1", "yes")


async def _send_page(page: Page, scope: Scope, send: Send) -> None:
    asked = Headers(scope=scope)
    headers, body, status = list(page.headers), page.body, 200
    if page.etag.decode() in asked.get("if-none-match", ""):
        status, body = 304, b""
    elif accepted_encodings(asked.get("accept-encoding", ""), ("gzip",)):
        body = page.zipped
        headers.append((b"content-encoding", b"gzip"))
    if status != 304:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _failed(status: int, sentence: str) -> Response:
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": status_page.policy()}
    headers |= {"Retry-After": f"{FRESH_S:.0f}"} if status == 503 else {}
    return Response(status_page.failed_page(sentence), status, headers, "text/html; charset=utf-8")


async def _add_slash(request: Request) -> Response:
    """The page's links begin at its folder. The way there is relative, so that it is right behind a proxy's path."""
    return RedirectResponse(f"status/{'?' if request.url.query else ''}{request.url.query}", 308)


def routes(site: StatusSite) -> list[Route]:
    """The page of all, and of each target by its percent-encoded name."""
    return [Route("/status", _add_slash), Route("/status/{target:path}", site)]


ROUTES = routes(StatusSite(lambda: load_public_status(source.store_url(), now_ms())))
