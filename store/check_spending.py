"""What checks spent: their requests and cost, from their own tables. Roll-ups have those of probes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from store.capability_tables import CAPABILITIES
from store.clock import DAY_MS
from store.identity_tables import IDENTITY_CHECKS
from store.outcomes import MAY_BE_BILLED
from store.protocol import Selection, Store
from store.rollups import Spending
from store.workload_tables import SKIPPED, WORKLOADS

CHECKS = {IDENTITY_CHECKS: "identity", CAPABILITIES: "capabilities", WORKLOADS: "workloads"}
"""The tables of checks, and the profile whose highest price a request of unknown cost has."""


@dataclass(frozen=True, slots=True)
class CheckSpending:
    """What the checks of one target from one location spent in a UTC day, which began at `day` (milliseconds UTC)."""

    location: str
    day: int
    spending: Spending


def check_spending(store: Store, selection: Selection) -> list[CheckSpending]:
    """By location, day, target and table. Raises StoreError."""
    totals: dict[tuple[str, int, str, str], list[Any]] = {}
    for table, profile in CHECKS.items():
        counted = ("requests",) if "requests" in table.names else ()  # else each row is of one request
        columns = ("target", "location", "started_at", "outcome", "cost_usd", *counted)
        for name, location, at, outcome, usd, *given in store.read(table, selection, columns=columns):
            requests = given[0] if given else int(outcome != SKIPPED)
            total = totals.setdefault((location, at - at % DAY_MS, name, profile), [0, 0.0, 0])
            total[0] += requests
            total[1] += usd or 0.0
            total[2] += requests if usd is None and outcome in MAY_BE_BILLED else 0
    return [
        CheckSpending(location, day, Spending(name, profile, *total))
        for (location, day, name, profile), total in totals.items()
    ]
