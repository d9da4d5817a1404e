"""`/api/v1/health`: 200 while the collector is live, else 503. The same question as `python -m collectors check`."""

from __future__ import annotations

from starlette.requests import Request

from api.endpoint import Answer
from api.rows import at_or_null
from pages.queries import cache
from pages.queries.source import store_url
from store import StoreError
from store.clock import now_ms
from store.staleness import last_seen, stale_since


def health(_request: Request) -> Answer:
    """`status` is `live`, `stopped`, `nothing_recorded` or `no_store`."""
    url, now = store_url(), now_ms()
    try:
        newest, runs, targets = cache.newest(url), cache.last_runs(url), cache.targets(url)
    except StoreError:
        return _answer("no_store", None)
    seen = last_seen(newest, runs, now)
    if seen is None:
        return _answer("nothing_recorded", None)
    return _answer("stopped" if stale_since(newest, runs, targets, now) is not None else "live", seen)


def _answer(status: str, seen: int | None) -> Answer:
    code = 200 if status == "live" else 503
    return Answer({"status": status, "last_seen_at": at_or_null(seen)}, status=code, max_age_s=0)
