"""The slots of a target's schedule. Every moment is in milliseconds UTC, every interval in seconds.

A slot belongs to the schedule and not to the last probe: each is decided once, by a run of a timer that jitters or by a
loop that starts targets at their own moments.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

TOLERANCE = 4
"""A timer's run may decide a slot a quarter of the interval before it begins or after it has ended.

Two runs whose jitter is below a tenth of the interval, early or late, are up to a fifth apart from what they should be:
with less tolerance, slots that begin where the timer fires would be skipped here and doubled there.
"""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The slots of one profile of one target: each `interval_ms` long, numbered since 1970, the first at `phase_ms`."""

    phase_ms: int
    interval_ms: int

    def slot_at(self, moment: int) -> int:
        """The number of the slot that a moment lies in."""
        return (moment - self.phase_ms) // self.interval_ms

    def begins(self, slot: int) -> int:
        """When a slot begins."""
        return self.phase_ms + slot * self.interval_ms

    def timer_slot(self, decided: int | None, began_at: int | None, now: int) -> int | None:
        """The slot that a single run (cron, a systemd timer) decides now; null when there is none to decide.

        `decided` is the last slot that is decided, `began_at` when the probe that decided it began. A slot is decided
        early only when that was most of an interval ago: otherwise the timer is quick, and comes again.
        """
        current = self.slot_at(now)
        if decided is None:
            return current
        tolerance_ms = self.interval_ms // TOLERANCE
        if decided >= current:
            is_early = decided == current and now >= self.begins(current + 1) - tolerance_ms
            is_quick = began_at is not None and now - began_at < self.interval_ms - tolerance_ms
            return current + 1 if is_early and not is_quick else None
        if decided == current - 2 and now < self.begins(current) + tolerance_ms:
            return current - 1
        return current

    def loop_slot(self, decided: int | None, now: int) -> int:
        """The slot that a loop decides next, at its beginning, or at once when it has begun."""
        current = self.slot_at(now)
        return current if decided is None else max(current, decided + 1)


@dataclass(frozen=True, slots=True)
class TickWindow:
    """When a collector is asked: `now`, and how far ahead it may plan (milliseconds UTC); `all`: due or not.

    A single run plans nothing ahead: `until` is `now`.
    """

    now: int
    until: int
    all: bool = False

    @property
    def is_loop(self) -> bool:
        """Whether targets start at their own moments."""
        return self.until > self.now


def schedule_of(target: str, profile: str, every_s: float) -> Schedule:
    """Where the slots begin is fixed by the target's name, so that targets spread and restarts keep it."""
    interval_ms = _interval_ms(every_s)
    phase_ms = int.from_bytes(hashlib.sha256(series_key(target, profile).encode()).digest()[:8]) % interval_ms
    return Schedule(phase_ms, interval_ms)


def series_key(target: str, profile: str) -> str:
    """The name of a series within its location."""
    return f"{profile}\0{target}"


def next_tick(now: int, every_s: float) -> int:
    """The next multiple of `every_s` on the clock, strictly after `now`: ticks are aligned and do not drift."""
    interval = _interval_ms(every_s)
    return (now // interval + 1) * interval


def day_began(now: int) -> int:
    """The beginning of the UTC day, which budgets and quotas are counted by."""
    return now - now % 86_400_000


def _interval_ms(every_s: float) -> int:
    return max(1, round(every_s * 1_000))
