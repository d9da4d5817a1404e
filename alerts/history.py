"""The newest slots of a target: what rules look at, the same whether it was just seen or read from the store."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from operator import attrgetter

from alerts.facts import Slot
from stats.overload import is_believed
from store.horizon import horizon
from store.schema import Probe

_AT = attrgetter("at")
PROBE_COLUMNS = (
    "target",
    "started_at",
    "location",
    "profile",
    "outcome",
    "stands_for_s",
    "ttft_ms",
    "lag_ms",
    "answer_ok",
    "error",
)


class History:
    """Slots by time, as far back as `keep_ms` before the newest."""

    def __init__(self, keep_ms: int, slots: Iterable[Slot] = ()) -> None:
        self.keep_ms = keep_ms
        self.slots = sorted(slots, key=_AT)

    def add(self, slot: Slot, now: int) -> None:
        """Take a slot in. What lies in the future of a clock that was set back is dropped, as a restart would."""
        slots = self.slots
        while slots and slots[-1].at >= horizon(now):
            slots.pop()
        if slots and slot.at < slots[-1].at:
            insort(slots, slot, key=_AT)
        else:
            slots.append(slot)
        until = slots[-1].at - self.keep_ms
        if slots[0].at < until:
            del slots[: bisect_left(slots, until, key=_AT)]


def slot_of(probe: Probe) -> Slot:
    """A probe as rules see it."""
    return make_slot(
        probe.started_at,
        probe.outcome,
        probe.stands_for_s,
        probe.ttft_ms,
        probe.lag_ms,
        probe.answer_ok,
        probe.error,
    )


def make_slot(
    at: int,
    outcome: str,
    stands_for_s: float,
    ttft_ms: float | None,
    lag_ms: float | None,
    answer_ok: bool | None,
    error: str | None,
) -> Slot:
    """The same from columns of the store."""
    believed_ms = ttft_ms if is_believed(outcome, lag_ms) else None
    return Slot(at, outcome, stands_for_s, believed_ms, None if answer_ok is None else bool(answer_ok), error)
