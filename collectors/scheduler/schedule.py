"""When a target is due. Every moment is in milliseconds UTC, every interval in seconds."""

from __future__ import annotations

import hashlib

EARLY_SHARE = 0.1
"""A timer that fires a little early or late is still on time: a tenth of the interval."""


def phase_ms(target: str, profile: str, every_s: float) -> int:
    """Where in its interval a target is probed: fixed by its name, so that targets spread and restarts keep it."""
    interval = _interval_ms(every_s)
    return int.from_bytes(hashlib.sha256(f"{profile}\0{target}".encode()).digest()[:8]) % interval


def slot_of(target: str, profile: str, every_s: float, moment: int) -> int:
    """The number of a target's slot that a moment lies in."""
    return (moment - phase_ms(target, profile, every_s)) // _interval_ms(every_s)


def next_due(target: str, profile: str, every_s: float, last: int | None, now: int) -> int:
    """The moment of the next probe: the first of the target's slots that begins at least half an interval after the
    last one. A target that was never probed, or whose slot has passed meanwhile, is due now (the moment is `now` or
    earlier). A last probe in the future, left by a clock that was set back, counts as none.
    """
    if last is None or last > now + _interval_ms(every_s):
        return now
    interval = _interval_ms(every_s)
    phase = phase_ms(target, profile, every_s)
    earliest = last + interval // 2
    return phase + -(-(earliest - phase) // interval) * interval


def is_due(target: str, profile: str, every_s: float, last: int | None, now: int) -> bool:
    """Whether a single run (cron, a systemd timer) probes now.

    Such a timer does not know the target's slots and jitters, so a probe is also due a whole interval after the last
    one, and up to a tenth of the interval early: a minutely timer makes one probe a run, never none and never two.
    """
    if last is None:
        return True
    due = min(next_due(target, profile, every_s, last, now), last + _interval_ms(every_s))
    return now >= due - EARLY_SHARE * _interval_ms(every_s)


def next_tick(now: int, every_s: float) -> int:
    """The next multiple of `every_s` on the clock, strictly after `now`: ticks are aligned and do not drift."""
    interval = _interval_ms(every_s)
    return (now // interval + 1) * interval


def day_began(now: int) -> int:
    """The beginning of the UTC day, which budgets and quotas are counted by."""
    return now - now % 86_400_000


def _interval_ms(every_s: float) -> int:
    return max(1, round(every_s * 1_000))
