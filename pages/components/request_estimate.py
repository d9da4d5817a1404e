"""The duration and cost of one request of the viewer's workload, written the same on every page."""

from __future__ import annotations

from markupsafe import Markup

from pages.components import formatting
from pages.components.table import quiet
from routing.workload import RequestEstimate, Workload


def describe_workload(workload: Workload) -> str:
    """`2,000 in, 500 out`, and how much of it is cached."""
    size = f"{formatting.count(workload.prompt_tokens)} in, {formatting.count(workload.output_tokens)} out"
    return f"{size}, {formatting.count(workload.cached_tokens)} cached" if workload.cached_tokens else size


def estimate_seconds(estimate: RequestEstimate) -> str:
    """`8.70 s`, or `unknown`."""
    return formatting.UNKNOWN if estimate.seconds is None else formatting.seconds(estimate.seconds)


def estimate_usd(estimate: RequestEstimate, requests: int = 1) -> str:
    """`$0.00042` for this many requests, or `unknown`."""
    return formatting.UNKNOWN if estimate.usd is None else formatting.cost(estimate.usd * requests)


def request_estimate(estimate: RequestEstimate | None) -> Markup:
    """`8.70 s · $0.00042`, quieter; empty when no workload is set."""
    if estimate is None:
        return Markup()
    seconds, usd = estimate.seconds, estimate.usd
    if seconds is None and usd is None:
        return quiet(f"request: {formatting.UNKNOWN}")
    time = estimate_seconds(estimate) if seconds is not None else f"time {formatting.UNKNOWN}"
    cost = estimate_usd(estimate) if usd is not None else f"cost {formatting.UNKNOWN}"
    return quiet(f"{time} · {cost}")
