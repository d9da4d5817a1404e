"""How long a target may rest because its server asked for it: the same for who probes and for who looks.

A rest is at most a day, whatever the server said: a header that is wrong costs no more than that, and a month's quota
that is used up costs one request a day. What a clock that was ahead noted is not believed (`store.horizon`).
"""

from __future__ import annotations

from store.horizon import horizon

LONGEST_REST_MS = 86_400_000


def resting_until(noted_at: int, until: int | None, now: int) -> int | None:
    """When a rest that was noted at a moment ends (milliseconds UTC); null when there is none, or it is over."""
    if until is None or noted_at >= horizon(now):
        return None
    end = min(until, noted_at + LONGEST_REST_MS)
    return end if now < end else None
