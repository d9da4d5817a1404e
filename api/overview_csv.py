"""`/api/overview.csv`: the overview's rows as a file, filtered and sorted as they are on the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast, get_args
from urllib.parse import urlencode

from starlette.requests import Request

from api.endpoint import Answer
from api.errors import ApiError
from api.parameters import choice, duration_ms, one, time_range
from pages.queries import access, cache
from pages.queries.overview_rows import NOT_UP, ORDERS, Layout, Order, RowFilter, filter_rows, rows, sort_rows
from pages.queries.overview_rows import Row as OverviewRow
from pages.queries.source import store_url
from pages.queries.time_range import TimeRange
from routing.workload import Workload
from stats.incidents import Status
from store.clock import now_ms
from store.formats import csv_chunks, iso
from store.table import Integer, Moment, Real, Row, Table, Text, columns_of

PATH = "/api/overview.csv"
PARAMETERS = (
    *("range", "from", "to", "find", "state", "sort", "reverse", "by_location"),
    *("prompt", "output", "cached_tokens", "ticket"),
)
MOST_TOKENS = 10_000_000


@dataclass(frozen=True, slots=True)
class Line(Row):
    """One target at one location, in a range. Shares are 0 to 1; `request_s` and `request_usd` are of one request of
    the viewer's workload.
    """

    target: Text
    location: Text
    model: Text
    provider: Text | None
    tags: Text | None
    state: Text
    state_since: Moment | None
    uptime: Real | None
    uptime_low: Real | None
    uptime_high: Real | None
    coverage: Real
    deciding_probes: Integer
    ttft_p50_ms: Real | None
    ttft_p95_ms: Real | None  # null where few probes were measured
    ttft_probes: Integer
    tokens_per_second_p50: Real | None
    throughput_probes: Integer
    context_tokens: Integer | None
    usd_per_million_input: Text | None
    usd_per_million_output: Text | None
    request_s: Real | None
    request_usd: Real | None
    error_budget_left: Real | None
    last_probe_at: Moment | None


TABLE = Table("overview", Line, ("target", "location"), columns_of(Line), "last_probe_at", "target", "derived")


def link(window: TimeRange, row_filter: RowFilter, layout: Layout, size: Workload | None) -> str:
    """The address of the file, relative to the dashboard's pages."""
    query = _query_of(window) | {"find": row_filter.text, "state": row_filter.status}
    query |= {} if layout.order == ORDERS[0] else {"sort": layout.order}
    query |= {"reverse": "yes" if layout.is_reversed else "", "by_location": "yes" if layout.by_location else ""}
    if size is not None:
        numbers = (size.prompt_tokens, size.output_tokens, size.cached_tokens)
        query |= dict(zip(("prompt", "output", "cached_tokens"), map(str, numbers), strict=True))
    text = urlencode({name: value for name, value in query.items() if value})
    ticket = {"ticket": access.ticket(_purpose(text))} if access.guard() == "login" else {}
    return f"{PATH[1:]}?{text}" + (f"&{urlencode(ticket)}" if ticket else "")


def _query_of(window: TimeRange) -> dict[str, str]:
    if window.is_live:
        return {"range": f"{(window.until - window.since) // 1_000}s"}
    return {"from": _utc(window.since), "to": _utc(window.until)}


def _utc(moment: int) -> str:
    return iso(moment).replace("+00:00", "Z")


def overview_csv(request: Request) -> Answer:
    """Every row that passes the filter, in the page's order but without its groups."""
    url, now = store_url(), now_ms()
    layout = Layout(
        cast(Order, choice(request, "sort", ORDERS, ORDERS[0])),
        is_reversed=_is_yes(request, "reverse"),
        by_location=_is_yes(request, "by_location"),
    )
    states = (NOT_UP, *get_args(Status))
    row_filter = RowFilter(one(request, "find") or "", choice(request, "state", states, ""))
    size = _workload(request)
    targets = [target for target in cache.targets(url) if target.state != "removed"]
    matching = filter_rows(rows(url, targets, _window(request, now), now), row_filter, by_location=layout.by_location)
    lines = (TABLE.values(_line(row, size, now)) for row in sort_rows(matching, layout, size, now))
    text = "".join(chunk for chunk, _ in csv_chunks(TABLE, lines))
    headers = {"Content-Disposition": f'attachment; filename="{TABLE.name}.csv"'}
    return Answer(text.encode(), "text/csv; charset=utf-8", headers=headers)


def ticket_for(request: Request) -> str:
    """The purpose that a ticket in this request must have."""
    return _purpose(urlencode([pair for pair in request.query_params.multi_items() if pair[0] != "ticket"]))


def _purpose(query: str) -> str:
    return f"{PATH}?{query}"


def _window(request: Request, now: int) -> TimeRange:
    """`range` ends now, as the page's live ranges do; without it, `from` and `to`."""
    span = duration_ms(request, "range")
    if span is None:
        return time_range(request)
    if one(request, "from") or one(request, "to"):
        raise ApiError("range ends now: send either range, or from and to")
    return TimeRange(now - span, now, True, "")


def _is_yes(request: Request, name: str) -> bool:
    return choice(request, name, ("yes", "no"), "no") == "yes"


def _workload(request: Request) -> Workload | None:
    """Null where the query has no number of it."""
    given = [_tokens(request, name) for name in ("prompt", "output", "cached_tokens")]
    if given == [None, None, None]:
        return None
    usual = Workload()
    prompt = usual.prompt_tokens if given[0] is None else given[0]
    return Workload(prompt, usual.output_tokens if given[1] is None else given[1], min(given[2] or 0, prompt))


def _tokens(request: Request, name: str) -> int | None:
    text = one(request, name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and int(text[:9]) <= MOST_TOKENS):
        raise ApiError(f"{name}={text[:50]!r} is no number of tokens: write a whole number up to {MOST_TOKENS}")
    return int(text)


def _line(row: OverviewRow, size: Workload | None, now: int) -> Line:
    target, model, estimate = row.target, row.model, row.estimate(size, now)
    low, high = row.uptime.interval or (None, None)
    return Line(
        target=target.name,
        location=target.location,
        model=target.model,
        provider=target.provider,
        tags=target.tags,
        state=row.state.status,
        state_since=row.state.since,
        uptime=row.uptime.share,
        uptime_low=low,
        uptime_high=high,
        coverage=row.uptime.coverage,
        deciding_probes=row.uptime.probes,
        ttft_p50_ms=row.ttft.p50,
        ttft_p95_ms=None if row.ttft.is_small else row.ttft.p95,
        ttft_probes=row.ttft.count,
        tokens_per_second_p50=row.speed.p50,
        throughput_probes=row.speed.count,
        context_tokens=model.context_tokens if model else None,
        usd_per_million_input=model.usd_per_million_input if model else None,
        usd_per_million_output=model.usd_per_million_output if model else None,
        request_s=estimate.seconds if estimate else None,
        request_usd=estimate.usd if estimate else None,
        error_budget_left=row.budget.left if row.budget else None,
        last_probe_at=row.last_at,
    )
