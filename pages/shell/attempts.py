"""A limit on how often a password may be tried."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass

MOST_ADDRESSES = 4_096


@dataclass(frozen=True)
class Limit:
    """`burst` attempts at once, then one more every `every_s` seconds."""

    burst: int
    every_s: float


PER_ADDRESS, OVERALL = Limit(5, 60.0), Limit(30, 6.0)
"""Overall that is 14,400 guesses a day, however many addresses they come from."""


class _Bucket:
    def __init__(self, limit: Limit, now: float) -> None:
        self._limit, self._left, self._at = limit, float(limit.burst), now

    def fill(self, now: float) -> float:
        """Add what has come back since the last call, and return what is left."""
        self._left = min(self._limit.burst, self._left + (now - self._at) / self._limit.every_s)
        self._at = now
        return self._left

    def wait_s(self, now: float) -> float:
        """Seconds until the next attempt is allowed."""
        return max(0.0, 1 - self.fill(now)) * self._limit.every_s

    def take(self) -> None:
        self._left -= 1


class Attempts:
    """Attempts by address; in IPv6 by /64 network, because one subscriber has all of its addresses."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._all = _Bucket(OVERALL, clock())
        self._of: dict[str, _Bucket] = {}

    def take(self, address: str) -> float:
        """Count an attempt and return 0, or return the seconds to wait before the next one."""
        now, name = self._clock(), _network(address)
        bucket = self._of.pop(name, None) or _Bucket(PER_ADDRESS, now)
        self._of[name] = bucket  # moved to the end: the first ones are dropped
        if len(self._of) > MOST_ADDRESSES:
            del self._of[next(iter(self._of))]
        wait = max(bucket.wait_s(now), self._all.wait_s(now))
        if wait == 0:
            bucket.take()
            self._all.take()
        return wait

    def forget(self, address: str) -> None:
        """Forgive an address its attempts, after the right password."""
        self._of.pop(_network(address), None)


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
