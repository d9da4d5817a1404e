"""`/api/v1/targets/{name}/series`: one number over time.

Steps begin at multiples of their length since 1970 (UTC); the first and the last are cut to the range. A step without
a sample has null, and nothing is interpolated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request

from api.endpoint import Answer
from api.errors import ApiError
from api.parameters import choice, duration_ms, time_range
from api.rows import at_or_null
from api.targets import asked
from pages.queries import cache
from pages.queries.series import StepError, SteppedRollups, stepped_rollups
from pages.queries.source import store_url
from pages.queries.target_history import THROUGHPUT
from pages.queries.time_range import TimeRange
from stats.samples import nan_to_null, quantile_table, samples_by_place
from stats.summary import Summary, summary
from store.clock import DAY_MS, HOUR_MS, MINUTE_MS
from store.rollups import SKETCHED, Rollup

PARAMETERS = ("metric", "stat", "from", "to", "step", "profile", "location")
STATS = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99, "min": 0.0, "max": 1.0}
MOST_POINTS = 5_000
STEPS_MS = (MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS, DAY_MS)
GOOD_POINTS = 120
_COUNTED: dict[str, Callable[[Summary], float | None]] = {
    "success_rate": lambda total: total.success_rate().share,
    "probes": lambda total: total.requests,
    "failed": lambda total: total.success_rate().failed,
    "prompt_tokens": lambda total: total["prompt_tokens"],
    "completion_tokens": lambda total: total["completion_tokens"],
    "cost_usd": lambda total: total.cost_usd,
}
METRICS = (*SKETCHED, "uptime", *_COUNTED)


def target_series(request: Request, name: str) -> Answer:
    """The points of a metric; of the profile `ping`, and of `throughput` for the output speed."""
    url, window = store_url(), time_range(request)
    targets = asked(request, url, name)
    metric = choice(request, "metric", METRICS, "ttft_ms")
    stat = _stat(request, metric)
    if metric == "uptime" and len(targets) > 1:
        raise ApiError(f"uptime over time is of one location: add location={targets[0].location}, or another one")
    profile = choice(request, "profile", ("ping", THROUGHPUT), _profile(metric))
    step_ms, stepped = _stepped(url, name, window, duration_ms(request, "step"))
    places = {target.location for target in targets}
    rollups = [each for each in stepped.rollups if each.profile == profile and each.location in places]
    since, until = stepped.window.since, stepped.window.until
    edges = [since, *range(since - since % step_ms + step_ms, until, step_ms), until]
    steps = [rollup.began // step_ms - since // step_ms for rollup in rollups]
    asked_since = max(since, cache.first_at(url).get(name, until))
    values = _values(rollups, steps, edges, metric, stat, asked_since)
    return Answer(
        {
            "target": name,
            "metric": metric,
            "stat": stat,
            "profile": profile,
            "from": at_or_null(since),
            "to": at_or_null(until),
            "step_s": step_ms / 1_000,
            "points": [
                {"from": at_or_null(began), "n": count, "value": value}
                for began, (count, value) in zip(edges, values, strict=False)
            ],
        }
    )


def _stepped(url: str, name: str, window: TimeRange, asked_ms: int | None) -> tuple[int, SteppedRollups]:
    """The length of the steps, and the roll-ups in them. Unless a length was requested, hours where finer steps are no
    longer stored.
    """
    step_ms = asked_ms or _good_step(window.until - window.since)
    _refuse_too_many(window.since, window.until, step_ms)
    try:
        return step_ms, stepped_rollups(url, name, window.since, window.until, step_ms)
    except StepError as problem:
        if asked_ms is not None:
            raise ApiError(str(problem)) from None
        return HOUR_MS, stepped_rollups(url, name, window.since, window.until, HOUR_MS)


def _stat(request: Request, metric: str) -> str | None:
    if metric in SKETCHED:
        return choice(request, "stat", tuple(STATS), "p50")
    if "stat" in request.query_params:
        raise ApiError(f"{metric} has no stat: leave stat out; {', '.join(SKETCHED)} have one")
    return None


def _profile(metric: str) -> str:
    return THROUGHPUT if metric == "tokens_per_second" else "ping"


def _good_step(range_ms: int) -> int:
    return next((step for step in STEPS_MS if range_ms <= step * GOOD_POINTS), DAY_MS)


def _refuse_too_many(since: int, until: int, step_ms: int) -> None:
    count = (until - since) // step_ms + 2
    if count > MOST_POINTS:
        raise ApiError(f"step would make {count:,} points: choose a longer one, so that there are {MOST_POINTS:,}")


def _values(
    rollups: Sequence[Rollup],
    steps: Sequence[int],
    edges: Sequence[int],
    metric: str,
    stat: str | None,
    asked_since: int,
) -> list[tuple[int, Any]]:
    """How many samples each step has, and its value."""
    count = len(edges) - 1
    if stat is not None:
        listed = samples_by_place(rollups, steps, count, metric)
        quantiles = nan_to_null(quantile_table(listed, (STATS[stat],))[:, 0])
        return [(each.count, value) for each, value in zip(listed, quantiles, strict=True)]
    by_step: dict[int, list[Rollup]] = defaultdict(list)
    for place, rollup in zip(steps, rollups, strict=True):
        by_step[place].append(rollup)
    totals = [summary(by_step[place]) for place in range(count)]
    if metric == "uptime":
        each = [
            total.uptime(max(began, asked_since), ended)
            for total, began, ended in zip(totals, edges, edges[1:], strict=False)
        ]
        return [(uptime.probes, uptime.share) for uptime in each]
    return [(total.requests, _COUNTED[metric](total)) for total in totals]
