"""A window of any length for about the same cost: whole days where it holds them, hours else."""

from __future__ import annotations

from typing import Any

from store.protocol import Selection, Store
from store.rollups import DAY_MS

HOURS_UP_TO_MS = 2 * DAY_MS
"""Windows of up to two days are told by the hour: their strips have bars of minutes."""


def rollups_of(store: Store, targets: tuple[str, ...], since: int, until: int) -> list[tuple[Any, ...]]:
    """What the probes of these targets (none: of all) came to from `since`, which is when an hour began, until `until`
    (milliseconds UTC): rows of `Store.rollups` that do not overlap.
    """
    first_day, last_day = -(-since // DAY_MS) * DAY_MS, until // DAY_MS * DAY_MS
    if until - since <= HOURS_UP_TO_MS or last_day <= first_day:
        return list(store.rollups("hour", Selection(since, until, targets)))
    rows = list(store.rollups("hour", Selection(since, first_day, targets)))
    rows += store.rollups("day", Selection(first_day, last_day, targets))
    rows += store.rollups("hour", Selection(last_day, until, targets))
    return rows
