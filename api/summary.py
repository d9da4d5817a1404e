"""`/api/v1/targets/{name}/summary`: a range in numbers, by the functions that the pages ask.

Of a target that several locations probe, the uptime is the one of the model page's "All locations": down only where
most of them see it down. Counts, sums and percentiles are over all of them. `location=` chooses one.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from api.endpoint import Answer
from api.parameters import choice, time_range
from api.rows import at_or_null
from api.targets import asked
from pages.queries.source import store_url
from pages.queries.target_history import BARS, PARTS_OF_A_BAR, THROUGHPUT, TargetHistory, target_histories
from pages.queries.time_range import TimeRange
from stats.consensus import consensus
from stats.samples import Percentiles, percentiles
from stats.summary import summary
from stats.uptime import Uptime
from store.clock import now_ms
from store.rollups import Rollup
from store.schema import Target

PARAMETERS = ("from", "to", "profile", "location")
PROFILES = ("ping", THROUGHPUT, "all")


def target_summary(request: Request, name: str) -> Answer:
    """The summary of the range that the query names, of the profile `ping` unless it names another one."""
    url, window = store_url(), time_range(request)
    return Answer(summarize(url, asked(request, url, name), window, choice(request, "profile", PROFILES, "ping")))


def summarize(url: str, targets: list[Target], window: TimeRange, profile: str = "ping") -> dict[str, Any]:
    """One target at some locations, in a range. The uptime is that of the profile that decides it."""
    histories = histories_of(url, targets, window)
    rollups = [rollup for history in histories for rollup in _of(history, profile)]
    total = summary(rollups)
    return {
        "from": at_or_null(histories[0].since),
        "to": at_or_null(histories[0].until),
        "probes": total.requests,
        "uptime": uptime_as_json(uptime_of(histories)),
        "success_rate": total.success_rate().share,
        "ttft_ms": percentiles_as_json(percentiles(rollups, "ttft_ms")),
        "total_ms": percentiles_as_json(percentiles(rollups, "total_ms")),
        "tokens_per_second": percentiles_as_json(percentiles(rollups, "tokens_per_second")),
        "tokens": {"prompt": total["prompt_tokens"], "completion": total["completion_tokens"]},
        "cost_usd": total.cost_usd,
    }


def histories_of(url: str, targets: list[Target], window: TimeRange) -> list[TargetHistory]:
    """A target at each of some locations. Of several, the votes are counted in parts of a bar, as on the model page."""
    is_one = len(targets) == 1
    return target_histories(url, targets, window, now_ms(), parts=1 if is_one else PARTS_OF_A_BAR, coarse=is_one)


def uptime_of(histories: list[TargetHistory]) -> Uptime:
    """The uptime of a target, as most of its locations see it."""
    first = histories[0]
    if len(histories) == 1:
        return first.uptime()
    each = [history.of(history.target.profile) for history in histories]
    every_s = max(history.target.every_s for history in histories)
    return consensus(each, first.since, first.ends, first.first_at, every_s, BARS).uptime


def _of(history: TargetHistory, profile: str) -> list[Rollup]:
    return history.rollups if profile == "all" else history.of(profile)


def uptime_as_json(uptime: Uptime) -> dict[str, float | None]:
    """The value with its 95% interval, null below half coverage."""
    low, high = uptime.interval or (None, None)
    return {"value": uptime.share, "low": low, "high": high, "coverage": uptime.coverage}


def percentiles_as_json(values: Percentiles) -> dict[str, float | int | None]:
    """The percentiles over `n` samples."""
    return {
        "n": values.count,
        "p50": values.p50,
        "p75": values.p75,
        "p90": values.p90,
        "p95": values.p95,
        "p99": values.p99,
    }
