"""Uptime of the relay's traffic, as the reference counts it. The relay imports this, so it does without numpy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from store.traffic import TrafficMinute

FEWEST_ATTEMPTS = 10
GOOD_SHARE = 0.8
"""Of OpenRouter's uptime (https://openrouter.ai/docs/guides/routing/provider-selection): a minute counts with at least
so many attempts, and is good when at least this share of them succeeded.
"""


@dataclass(frozen=True)
class TrafficUptime:
    """Uptime from traffic. `minutes` had enough attempts to count, `quiet_minutes` had some and too few."""

    minutes: int
    good_minutes: int
    quiet_minutes: int

    @property
    def share(self) -> float | None:
        """Good minutes of those that count, 0 to 1; null without one."""
        return self.good_minutes / self.minutes if self.minutes else None


def uptime(minutes: Iterable[TrafficMinute]) -> TrafficUptime:
    """The uptime of one target, or of several together, where each minute of each target counts."""
    counted = good = quiet = 0
    for minute in minutes:
        attempts = minute.ok + minute.failed
        if attempts < FEWEST_ATTEMPTS:
            quiet += attempts > 0
            continue
        counted += 1
        good += minute.ok / attempts >= GOOD_SHARE
    return TrafficUptime(counted, good, quiet)
