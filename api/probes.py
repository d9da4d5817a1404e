"""`/api/v1/probes`: single probes, as the CSV export has them, streamed; each page is a stretch of time.

A page ends where about `limit` probes are reached: `next` is the query of the next one, also in the `Link` header.
Within a page rows lie by target and time. Pages are half-open, so that no probe is in two of them or in none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.types import ASGIApp

from api.errors import ApiError
from api.parameters import choice, one, time_range
from api.table_stream import Download, Form
from pages.queries import cache
from pages.queries.source import base_path, store_url
from store import Selection
from store.formats import csv_chunks, iso, jsonl_chunks
from store.schema import PROBES, Table

PARAMETERS = ("target", "from", "to", "limit", "format")
PATH = "/api/v1/probes"
DEFAULT_LIMIT, MOST = 10_000, 100_000
FIRST_SPAN_MS = 3_600_000


def probes(request: Request) -> ASGIApp:
    """The probes of the targets that the query names (`target` may come several times; none: of all)."""
    url, window, limit = store_url(), time_range(request), _limit(request)
    form = choice(request, "format", ("json", "jsonl", "csv"), "json")
    names = tuple(dict.fromkeys(request.query_params.getlist("target")))
    unknown = set(names) - set(cache.first_at(url)) - {target.name for target in cache.targets(url)}
    if unknown:
        raise ApiError(f"there is no target {min(unknown)[:100]!r}: /api/v1/targets lists them", 404)
    store = cache.store(url)
    ends = _page_end(
        lambda since, until: store.count(PROBES, Selection(since, until, names)), window.since, window.until, limit
    )
    following = _next(request, names, ends, window.until, limit, form) if ends < window.until else None
    download = Download(url, PROBES, Selection(window.since, ends, names), _form(form, window.since, ends, following))
    return download.head() if request.method == "HEAD" else download


def _limit(request: Request) -> int:
    value = one(request, "limit")
    if value is None:
        return DEFAULT_LIMIT
    if not (value.isascii() and value.isdecimal() and 1 <= int(value[:9]) <= MOST):
        raise ApiError(f"limit={value[:50]!r} is none: write a whole number from 1 to {MOST}")
    return int(value)


def _page_end(count: Callable[[int, int], int], since: int, until: int, limit: int) -> int:
    """Where a page that begins at `since` ends (milliseconds UTC): as late as it can without more than `limit` rows,
    give or take half of them. Only a single millisecond may have more.
    """
    if count(since, until) <= limit:
        return until
    span = min(FIRST_SPAN_MS, until - since)
    while span < until - since and count(since, since + span) <= limit:
        span *= 2  # a gap, or few targets
    longest_fitting, shortest_not = 0, min(span, until - since)
    while shortest_not - longest_fitting > 1:
        middle = (longest_fitting + shortest_not) // 2
        rows = count(since, since + middle)
        if rows > limit:
            shortest_not = middle
        else:
            longest_fitting = middle
            if rows > limit // 2:
                break
    return since + max(1, longest_fitting)


def _next(request: Request, names: tuple[str, ...], since: int, until: int, limit: int, form: str) -> str:
    query = [("from", iso(since)), ("to", iso(until)), *(("target", name) for name in names)]
    query += [
        (name, str(value)) for name, value in (("limit", limit), ("format", form)) if name in request.query_params
    ]
    return f"{base_path()}{PATH}?{urlencode(query)}"


def _form(form: str, since: int, until: int, following: str | None) -> Form:
    headers = {"Link": f'<{following}>; rel="next"'} if following else {}
    if form == "csv":
        return Form(csv_chunks, "text/csv; charset=utf-8", headers)
    if form == "jsonl":
        return Form(jsonl_chunks, "application/x-ndjson", headers)
    head = orjson.dumps({"from": iso(since), "to": iso(until), "next": following}).decode()
    return Form(partial(_json_chunks, head), "application/json", headers)


def _json_chunks(head: str, table: Table, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[str, int]]:
    """One JSON object: what `head` has, and the rows."""
    yield f'{head[:-1]},"{table.name}":[', 0
    between = ""
    for text, count in jsonl_chunks(table, rows):
        yield between + text.rstrip("\n").replace("\n", ",\n"), count  # no string in JSON has a line break of its own
        between = ",\n"
    yield "]}", 0
