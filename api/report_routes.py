"""`/report/{name}`: a target's month as a page to print, for everyone who may read the API or has a link from the model
page.
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode

from starlette.requests import Request

from api import report_page
from api.endpoint import Answer
from api.errors import ApiError
from api.parameters import one, path_parts
from api.report import Month, load_report
from api.targets import asked
from pages.queries import access
from pages.queries.source import store_url
from store.clock import now_ms

PREFIX = "/report/"
PARAMETERS = ("month", "location", "ticket")
_MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])", re.ASCII)


def link(name: str, month: Month | None = None, location: str | None = None) -> str:
    """The address of a report, relative to the dashboard's pages; without a month, of the current one."""
    query = ({"month": str(month)} if month else {}) | ({"location": location} if location else {})
    purpose = _ticket_purpose(name, query)
    query |= {"ticket": access.ticket(purpose)} if access.guard() == "login" else {}
    return f"{PREFIX[1:]}{quote(name, safe='')}" + (f"?{urlencode(query)}" if query else "")


def report(request: Request) -> Answer:
    """The report of the query's month, over all locations unless the query names one."""
    name, url, now = _name(request), store_url(), now_ms()
    month = _month(one(request, "month"), now)
    targets, location = asked(request, url, name), one(request, "location")
    made = load_report(url, targets, month, now)
    near = [month.plus(step) for step in (-1, 1)]
    links = [
        # beside this page, and so without its folder
        (str(other), link(name, other, location).removeprefix(PREFIX[1:]))
        for other in near
        if Month.of(made.first_at) <= other <= Month.of(now)
    ]
    page = report_page.page(made, links)
    headers = {"Content-Security-Policy": f"{report_page.policy()}; frame-ancestors 'self'"}
    return Answer(str(page).encode(), "text/html; charset=utf-8", max_age_s=60, headers=headers)


def ticket_for(request: Request) -> str:
    """The purpose that a ticket in this request must have."""
    query = {key: value for key in ("month", "location") if (value := request.query_params.get(key))}
    return _ticket_purpose(_name(request), query)


def _ticket_purpose(name: str, query: dict[str, str]) -> str:
    return f"{PREFIX}{quote(name, safe='')}?{urlencode(query)}"


def _name(request: Request) -> str:
    return "/".join(path_parts(request, PREFIX))


def _month(text: str | None, now: int) -> Month:
    if text is None:
        return Month.of(now)
    written = _MONTH.fullmatch(text)
    if written is None:
        raise ApiError(f"month={text[:50]!r} is not a month: write it as 2026-11")
    month = Month(int(written[1]), int(written[2]))
    if month > Month.of(now):
        raise ApiError(f"{month} is in the future (UTC)")
    return month
