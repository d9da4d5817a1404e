"""The table of requests with prompts of several sizes."""

from __future__ import annotations

from dataclasses import dataclass

from store.table import TABLES, Integer, Moment, Real, Row, Text, table

SIZE, FIRST, AGAIN = "size", "first", "again"
"""The kinds of request: a prompt of its own, the long prompt for the first time, and that prompt again."""
SKIPPED = "skipped"
"""The outcome of a request that was not sent."""


@table(
    "workloads",
    key=("target", "started_at", "location", "workload", "kind", "input_tokens"),
    time="started_at",
    owner="target",
    on_conflict="ignore",
)
@dataclass(frozen=True, slots=True)
class WorkloadRequest(Row):
    """One request of a workload of a target. Those of one run have the same `started_at`."""

    target: Text
    started_at: Moment  # of its run
    location: Text
    workload: Text  # its name in the configuration
    kind: Text  # size; first and again: the long prompt of the prompt cache
    input_tokens: Integer  # as configured
    outcome: Text  # as of a probe; skipped: it was not sent, `error` says why
    words: Integer | None = None  # random words in its prompt
    prompt_tokens: Integer | None = None
    cached_tokens: Integer | None = None
    completion_tokens: Integer | None = None
    http_status: Integer | None = None
    ttft_ms: Real | None = None
    total_ms: Real | None = None
    tokens_per_second: Real | None = None
    usd_per_million_input: Real | None = None  # the price that held for it
    usd_per_million_output: Real | None = None
    cost_usd: Real | None = None
    provider: Text | None = None
    served_model: Text | None = None
    error: Text | None = None


WORKLOADS = TABLES["workloads"]
