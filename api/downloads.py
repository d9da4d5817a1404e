"""The dashboard's own HTTP routes: the export, streamed by the code that the command line uses."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from api.endpoint import credentials
from api.table_stream import Download, csv_file
from pages.queries import access
from pages.queries.source import store_url
from store import Selection
from store.schema import TABLES

PATH = "/api/export.csv"


def link(table: str, selection: Selection, *, has_mark: bool = False) -> str:
    """The URL of a download, relative to the page. `has_mark`: with a byte order mark, for spreadsheets."""
    query: list[tuple[str, str | int]] = [("table", table)]
    query += [("since", selection.since)] if selection.since is not None else []
    query += [("until", selection.until)] if selection.until is not None else []
    query += [("target", name) for name in selection.targets]
    query += [("bom", "yes")] if has_mark else []
    query_text = urlencode(query)
    return f"{PATH.removeprefix('/')}?{query_text}" + (
        f"&ticket={access.ticket(query_text)}" if access.guard() == "login" else ""
    )


def _export(request: Request) -> Response | Download:
    """`?table=probes&since=MS&until=MS&target=NAME…&bom=yes` as CSV, in constant memory."""
    query = request.query_params
    query_text = urlencode([(name, value) for name, value in query.multi_items() if name != "ticket"])
    if not access.may_download(query_text, query.get("ticket"), *credentials(request)):
        return PlainTextResponse("Log in to the dashboard and use the link on its Export page.\n", 403)
    table = TABLES.get(query.get("table", "probes"))
    if table is None:
        return PlainTextResponse(f"there is no such table; there are {', '.join(TABLES)}\n", 404)
    try:
        since, until = (_moment(query[key]) if key in query else None for key in ("since", "until"))
    except ValueError:
        return PlainTextResponse(_NO_MOMENT, 400)
    form = csv_file(table, has_mark=query.get("bom") == "yes")
    download = Download(store_url(), table, Selection(since, until, tuple(query.getlist("target"))), form)
    return download.head() if request.method == "HEAD" else download


def _moment(text: str) -> int:
    """Milliseconds UTC. Raises ValueError for what is no number, or outside of the years 1 to 9999."""
    if not _FIRST_MS <= (moment := int(text)) < _END_MS:
        raise ValueError
    return moment


_FIRST_MS, _END_MS = -62_135_596_800_000, 253_402_300_800_000
_NO_MOMENT = (
    "since and until are milliseconds since 1970-01-01T00:00:00Z, within the years 1 to 9999, as in 1795521600000\n"
)

ROUTES = [Route(PATH, _export)]
