"""Flapping: a target that changes its state more than four times in an hour."""

from __future__ import annotations

from collections.abc import Iterable

from store.alert_tables import Alert
from store.clock import HOUR_MS, MINUTE_MS

MOST_CHANGES = 4
QUIET_MS = 30 * MINUTE_MS
"""Without a change for so long, it is over."""
STATES = ("down", "degraded")


def changes(alerts: Iterable[Alert], now: int) -> list[int]:
    """When a target's state changed in the last hour, oldest first: it went down or slow, or recovered."""
    moments = []
    for alert in alerts:
        if alert.kind in STATES:
            moments.append(alert.opened_at)
            if alert.closed_at is not None and alert.closed_by is None:
                moments.append(alert.closed_at)
    return sorted(moment for moment in moments if now - HOUR_MS < moment <= now)


def is_flapping(moments: list[int]) -> bool:
    """Whether these changes of an hour are too many."""
    return len(moments) > MOST_CHANGES


def is_over(moments: list[int], now: int) -> bool:
    """Whether it has been quiet for long enough."""
    return not moments or now - moments[-1] >= QUIET_MS
