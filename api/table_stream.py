"""Rows as a stream that holds nothing once its client is gone, or has stopped reading."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
from anyio.to_thread import run_sync
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from store import Selection, StoreError, open_store
from store.formats import csv_chunks, marked_csv_chunks
from store.schema import Table

MOST_AT_ONCE = 4
IDLE_S = 60.0
"""How long a client may take for one piece."""
PIECE_BYTES = 65_536
_places = threading.BoundedSemaphore(MOST_AT_ONCE)
_LOGGER = logging.getLogger(__name__)


Chunks = Callable[[Table, Iterable[tuple[Any, ...]]], Iterator[tuple[str, int]]]


@dataclass(frozen=True)
class Form:
    """How rows become text, and what the response says of it."""

    chunks: Chunks
    media_type: str
    headers: dict[str, str] = field(default_factory=dict)


def csv_file(table: Table, *, has_mark: bool = False) -> Form:
    """As a CSV file that a browser saves, with a byte order mark for spreadsheets."""
    chunks = marked_csv_chunks if has_mark else csv_chunks
    return Form(chunks, "text/csv; charset=utf-8", {"Content-Disposition": f'attachment; filename="{table.name}.csv"'})


class Download:
    """ASGI response: the rows of a table. It opens the store when it is sent, and closes it however it ends."""

    def __init__(self, url: str, table: Table, selection: Selection, form: Form | None = None) -> None:
        self._url, self._table, self._selection = url, table, selection
        self._form = form if form is not None else csv_file(table)

    def head(self) -> Response:
        """The response without its body, made without the store."""
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} | self._form.headers
        response = Response(headers=headers, media_type=self._form.media_type)
        del response.headers["content-length"]  # the body's length is not known
        return response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, or say why not."""
        if not _places.acquire(blocking=False):
            words = f"{MOST_AT_ONCE} downloads are running, which is the limit: try again when one of them has ended\n"
            await PlainTextResponse(words, 503, {"Retry-After": "30"})(scope, receive, send)
            return
        try:
            await self._serve(scope, receive, send)
        finally:
            _places.release()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            store = await run_sync(partial(open_store, self._url, read_only=True))
        except StoreError as problem:
            await PlainTextResponse(f"{problem}\n", 503)(scope, receive, send)
            return
        pieces = self._pieces(self._form.chunks(self._table, store.read(self._table, self._selection)))
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_end_with_client, receive, tasks.cancel_scope)
                await self._send(pieces, send)
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await run_sync(pieces.close)
                await run_sync(store.close)

    async def _send(self, pieces: Iterator[bytes], send: Send) -> None:
        """Send all pieces. What ends early has no proper end, so that no client takes it for the whole table."""
        await send({"type": "http.response.start", "status": 200, "headers": self.head().raw_headers})
        try:
            while (piece := await run_sync(next, pieces, b"")) != b"":
                with anyio.fail_after(IDLE_S):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        except TimeoutError:
            _LOGGER.warning("a download of %s was ended: its client read nothing for %g s", self._table.name, IDLE_S)
        except StoreError as problem:
            _LOGGER.warning("a download of %s was ended: %s", self._table.name, problem)
        else:
            await send({"type": "http.response.body", "body": b""})

    @staticmethod
    def _pieces(chunks: Iterator[tuple[str, int]]) -> Generator[bytes, None, None]:
        """A slow client gets its time for each piece, so that they must be small."""
        for text, _ in chunks:
            data = text.encode()
            yield from (data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES))


async def _end_with_client(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
