"""The table of whether endpoints do what their catalog entries promise."""

from __future__ import annotations

from dataclasses import dataclass

from store.table import TABLES, Flag, Integer, Moment, Real, Row, Text, table

HOLDS, FAILS, NOT_TESTED = "holds", "fails", "not_tested"
ALL = "all"
"""The capability of a check that could not be made at all."""


@table(
    "capabilities",
    key=("target", "started_at", "location", "capability"),
    time="started_at",
    owner="target",
    on_conflict="ignore",
)
@dataclass(frozen=True, slots=True)
class CapabilityTest(Row):
    """One test of one capability of a target. `reason` is why it fails or was not tested, in Uptoken's own words."""

    target: Text
    started_at: Moment  # when its check began, which tests all of them
    location: Text
    capability: Text
    verdict: Text  # holds, fails, not_tested
    outcome: Text  # of its last request, as of a probe
    requests: Integer
    claimed: Flag | None = None  # what the catalog said then; null: nothing
    reason: Text | None = None
    provider: Text | None = None
    http_status: Integer | None = None
    prompt_tokens: Integer | None = None
    completion_tokens: Integer | None = None
    cost_usd: Real | None = None
    error: Text | None = None


CAPABILITIES = TABLES["capabilities"]
TEST_COLUMNS = CAPABILITIES.names[:10]
"""Without what a test cost and what its request said."""
