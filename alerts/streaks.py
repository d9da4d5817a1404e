"""Slots in a row that are all good or all bad."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from alerts.facts import Slot

LONGEST = 64
"""Slots that are looked at, at most."""


@dataclass(frozen=True, slots=True)
class Streak:
    """`count` slots in a row, from the one at `began_at` (or the failed first attempt before it) to `newest`."""

    is_good: bool
    count: int
    began_at: int
    newest: Slot


def newest_streak(slots: Sequence[Slot], judge: Callable[[Slot], bool | None], reach_ms: int) -> Streak | None:
    """The streak that the newest slot which counts is in; null when none counts.

    `judge` says whether a slot is good, and null for one that neither continues nor breaks a streak. What began more
    than `reach_ms` before that newest slot does not count.
    """
    newest: Slot | None = None
    is_good, count, began_at = False, 0, 0
    for slot in reversed(slots[-LONGEST:]):
        verdict = judge(slot)
        if verdict is None or (newest is None and not slot.decides):
            continue
        if newest is None:
            newest, is_good = slot, verdict
        if newest.at - slot.at > reach_ms or (slot.decides and verdict is not is_good):
            break
        if verdict is is_good:
            count, began_at = count + slot.decides, slot.at
    return None if newest is None else Streak(is_good, count, began_at, newest)
