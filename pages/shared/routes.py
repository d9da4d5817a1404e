"""The dashboard's own HTTP routes: the export, streamed by the code that the command line uses."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from pages.shared import access
from pages.shared.source import store_url
from store import Selection, StoreError, open_store
from store.files import csv_chunks
from store.rows import TABLES

PATH = "/api/export.csv"


def link(table: str, selection: Selection) -> str:
    """The URL of a download, relative to the page."""
    query: list[tuple[str, str | int]] = [("table", table)]
    query += [("since", selection.since)] if selection.since is not None else []
    query += [("until", selection.until)] if selection.until is not None else []
    query += [("target", name) for name in selection.targets]
    told = urlencode(query)
    return f"{PATH.removeprefix('/')}?{told}" + (f"&ticket={access.ticket(told)}" if access.guard() == "login" else "")


def _export(request: Request) -> Response:
    """`?table=probes&since=MS&until=MS&target=NAME…` as CSV, in constant memory."""
    query = request.query_params
    told = urlencode([(name, value) for name, value in query.multi_items() if name != "ticket"])
    if not access.may_download(told, query.get("ticket")):
        return PlainTextResponse("log in to the dashboard, and take the link from its Export page\n", 403)
    table = TABLES.get(query.get("table", "probes"))
    if table is None:
        return PlainTextResponse(f"there is no such table; there are {', '.join(TABLES)}\n", 404)
    try:
        since, until = (int(query[key]) if key in query else None for key in ("since", "until"))
        selection = Selection(since, until, tuple(query.getlist("target")))
    except ValueError:
        return PlainTextResponse("since and until are milliseconds since 1970-01-01T00:00:00Z\n", 400)
    try:
        store = open_store(store_url(), read_only=True)
    except StoreError as problem:
        return PlainTextResponse(f"{problem}\n", 503)

    def body() -> Iterator[bytes]:
        try:
            for text, _ in csv_chunks(table, store.read(table, selection)):
                yield text.encode()
        finally:
            store.close()

    headers = {"Content-Disposition": f'attachment; filename="{table.name}.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(body(), media_type="text/csv; charset=utf-8", headers=headers)


ROUTES = [Route(PATH, _export)]
