"""The one clock, and the lengths of time in its unit."""

from __future__ import annotations

import time

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000


def now_ms() -> int:
    """This moment, in milliseconds UTC."""
    return time.time_ns() // 1_000_000
