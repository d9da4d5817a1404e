"""A window of any length for about the same cost: whole blocks and days where it holds them, hours else."""

from __future__ import annotations

from typing import Any

from store.protocol import Selection, Store
from store.rollups import BLOCK_MS, COLUMNS, DAY_MS, Step

HOURS_UP_TO_MS = 2 * DAY_MS
"""Windows of up to two days are told by the hour: their strips have bars of minutes."""
DAYS_UP_TO_MS = 45 * DAY_MS
"""Windows of up to 45 days are told by the day: a small line of blocks would have two points."""


def rollups_of(
    store: Store,
    targets: tuple[str, ...],
    since: int,
    until: int,
    *,
    coarse: bool = False,
    columns: tuple[str | None, ...] = COLUMNS,
) -> list[tuple[Any, ...]]:
    """What the probes of these targets (none: of all) came to from `since`, which is when an hour began, until `until`
    (milliseconds UTC): rows of `Store.rollups` that do not overlap. Where no chart over time is asked for, the `coarse`
    ones of a long window are fewer.
    """
    steps: list[tuple[Step, int]] = [("day", DAY_MS)]
    if coarse and until - since > DAYS_UP_TO_MS:
        steps.append(("block", BLOCK_MS))
    if until - since <= HOURS_UP_TO_MS:
        steps = []
    rows: list[tuple[Any, ...]] = []
    finer: Step = "hour"
    before, after = since, until
    for step, ms in steps:
        first, last = -(-before // ms) * ms, after // ms * ms
        if last <= first:
            break
        for began, ended in ((before, first), (last, after)):
            if began < ended:
                rows += store.rollups(finer, Selection(began, ended, targets), columns)
        before, after, finer = first, last, step
    return [*rows, *store.rollups(finer, Selection(before, after, targets), columns)]
