"""What may still be sent today: the budget, the shared quota of free models, and a target's own limit.

It begins with what the store knows of the day, so that it holds across runs of a timer. One collector at a time
writes a store, so what it sends itself is all that can be added.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from decimal import Decimal

from collectors.scheduler.config import Config, ProbeTarget
from collectors.scheduler.schedule import day_began
from store import Spending
from store.rows import Budget


class Ledger:
    """Requests and USD of one UTC day. Safe to use from several threads."""

    def __init__(
        self, config: Config, spent: Callable[[int], Iterable[Spending]], worst: Callable[[str, str], Decimal]
    ) -> None:
        """`spent` tells what the store has of the day that began at a moment; `worst` the most that a target's probe
        costs, by the target's name and the probe's profile.
        """
        self._config = config
        self._spent = spent
        self._worst = worst
        self._lock = threading.Lock()
        self._day = -1
        self.requests: dict[str, int] = defaultdict(int)
        self.usd = Decimal(0)

    def reserve(self, target: ProbeTarget, at_most_usd: Decimal, now: int) -> str | None:
        """Set aside one request and its worst cost; returns why not, or null when it may be sent."""
        with self._lock:
            self._turn_page(now)
            reason = self._refusal(target, at_most_usd)
            if reason is None:
                self.requests[target.name] += 1
                self.usd += at_most_usd
            return reason

    def settle(self, at_most_usd: Decimal, cost_usd: float | None) -> None:
        """Put what it did cost in place of what was set aside; an unknown cost stays at its worst."""
        if cost_usd is None:
            return
        with self._lock:
            self.usd += Decimal(str(cost_usd)) - at_most_usd

    def standing(self, location: str, now: int) -> Budget:
        """How the day stands at a moment, as the store keeps it. Of the quotas of several keys it is the fullest."""
        with self._lock:
            self._turn_page(now)
            free = (target for target in self._config.targets if target.is_free_variant)
            used = {target.api_key_env: self._free_requests(target) for target in free}
            settings = self._config.collector
            return Budget(
                location,
                self._day,
                float(round(self.usd, 9)),
                float(settings.usd_per_day),
                max(used.values(), default=0),
                settings.free_requests_per_day,
                now,
            )

    def _free_requests(self, target: ProbeTarget) -> int:
        """What was sent today to all free variants that share this target's key."""
        return sum(
            self.requests[other.name]
            for other in self._config.targets
            if other.is_free_variant and other.api_key_env == target.api_key_env
        )

    def _turn_page(self, now: int) -> None:
        day = day_began(now)
        if day == self._day:
            return
        self._day = day
        self.requests.clear()
        self.usd = Decimal(0)
        for spending in self._spent(day):
            self.requests[spending.target] += spending.requests
            self.usd += Decimal(str(spending.cost_usd))
            self.usd += spending.unpriced_requests * self._worst(spending.target, spending.profile)

    def _refusal(self, target: ProbeTarget, at_most_usd: Decimal) -> str | None:
        settings = self._config.collector
        if target.requests_per_day is not None and self.requests[target.name] >= target.requests_per_day:
            return f"its {target.requests_per_day} requests of the day (requests_per_day) are used up"
        if target.is_free_variant and self._free_requests(target) >= settings.free_requests_per_day:
            return (
                f"the {settings.free_requests_per_day} requests a day that free models share "
                "(free_requests_per_day) are used up"
            )
        if at_most_usd and self.usd + at_most_usd > settings.usd_per_day:
            return (
                f"it could pass the budget: ${self.usd:.4f} of ${settings.usd_per_day} (usd_per_day) are spent or set "
                f"aside, and it could cost ${at_most_usd:.4f}"
            )
        return None
