"""What may still be sent today: the budget, the shared quota of free models, and a target's own limit.

The day's requests and cost are shared by all runs of a store, with what is set aside for probes under way; a run that
is killed leaves what it set aside, because its requests may have been billed. A new day, or a new shared file, begins
with what the store has; a day that a clock jumped to also with what was spent in the day that it came from.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from decimal import Decimal

from collectors.scheduler.lock import LockedError
from collectors.scheduler.schedule import day_began
from collectors.scheduler.shared_state import DaySpending, SharedState
from settings.targets import Config, ProbeTarget
from store import Spending, StoreError
from store.clock import now_ms
from store.schema import Budget


class DailyBudget:
    """Requests and USD of one UTC day. Safe to use from several threads and processes."""

    def __init__(
        self,
        config: Config,
        shared: SharedState,
        spent: Callable[[int], Mapping[str, Iterable[Spending]]],
        worst: Callable[[str, str], Decimal],
    ) -> None:
        """`spent` gives what the store has of the day that began at a moment, by location; `worst` the most that a
        target's probe costs, by the target's name and the probe's profile.
        """
        self._config = config
        self._shared = shared
        self._spent = spent
        self._worst = worst
        self._lock = threading.Lock()
        self._settled: list[tuple[int, str, int, Decimal]] = []
        self._elsewhere = DaySpending()

    def take_over(self, config: Config, worst: Callable[[str, str], Decimal]) -> None:
        """Keep to the budget and the quotas of another configuration from now on. What was spent stays spent."""
        self._config, self._worst = config, worst

    def reserve(self, target: ProbeTarget, at_most_usd: Decimal, now: int) -> str | None:
        """Set aside one request and its worst cost; returns why not, or null when it may be sent."""
        with self._shared.exclusive():
            self.start_day(now)
            reason = self._refusal(target, at_most_usd)
            if reason is None:
                self._shared.spending.requests[target.name] += 1
                self._shared.spending.usd += at_most_usd
            return reason

    def reserve_more(self, usd: Decimal, now: int) -> bool:
        """Set aside more for a request whose worst cost turned out to be higher; false when the budget has no room."""
        with self._shared.exclusive():
            self.start_day(now)
            has_room = self._usd + usd <= self._config.collector.usd_per_day
            self._shared.spending.usd += usd if has_room else 0
            return has_room

    def settle(self, at_most_usd: Decimal, cost_usd: float | None, reserved_at: int) -> None:
        """Put what it did cost in place of what was set aside; an unknown cost stays at its worst."""
        if cost_usd is not None:
            self._change("", 0, Decimal(str(cost_usd)) - at_most_usd, reserved_at)

    def cancel(self, target: ProbeTarget, at_most_usd: Decimal, reserved_at: int) -> None:
        """Give back what was set aside for a request that was not sent."""
        self._change(target.name, -1, -at_most_usd, reserved_at)

    def _change(self, name: str, requests: int, usd: Decimal, reserved_at: int) -> None:
        """Noted without the shared lock, which a probe must not wait for; applied the next time it is held."""
        with self._lock:
            self._settled.append((day_began(reserved_at), name, requests, usd))

    def row(self, now: int) -> Budget:
        """The day at a moment, as the store keeps it; of the quotas of several keys the one that is used most."""
        with self._shared.exclusive():
            self.start_day(now)
            free = (target for target in self._config.targets if target.is_free_variant)
            used = {target.api_key_env: self._free_requests(target) for target in free}
            settings = self._config.collector
            return Budget(
                self._shared.location,
                self._shared.spending.day,
                float(round(self._usd, 9)),
                float(settings.usd_per_day),
                max(used.values(), default=0),
                settings.free_requests_per_day,
                now,
            )

    def _all(self) -> list[DaySpending]:
        """The day at this location, at others on this machine, and at others that the store knew of."""
        mine = self._shared.spending
        return [mine, *(s for s in self._shared.spending_elsewhere.values() if s.day == mine.day), self._elsewhere]

    @property
    def _usd(self) -> Decimal:
        return sum((spending.usd for spending in self._all()), Decimal(0))

    def _requests(self, name: str) -> int:
        return sum(spending.requests.get(name, 0) for spending in self._all())

    def _free_requests(self, target: ProbeTarget) -> int:
        """What was sent today to all free variants that share this target's key."""
        return sum(
            self._requests(other.name)
            for other in self._config.all_targets
            if other.is_free_variant and other.api_key_env == target.api_key_env
        )

    def start_day(self, now: int) -> None:
        """Start a new day if one has begun, and apply what was settled. The shared state is held. Raises StoreError."""
        day, steps = day_began(now), self._shared.clock.steps if self._shared.clock is not None else 0
        if not self._shared.spending.day == self._elsewhere.day == day:
            found = self._known_spending(day)
            known = {self._shared.location, *(p for p, s in self._shared.spending_elsewhere.items() if s.day == day)}
            self._elsewhere = self._seeded(day, (s for place, s in found.items() if place not in known))
            if self._shared.spending.day != day:
                seeded, before = self._seeded(day, [found.get(self._shared.location, ())]), self._shared.spending
                self._shared.spending = _together(seeded, before) if before.steps != steps else seeded
        self._shared.spending.steps = steps
        with self._lock:
            settled, self._settled = self._settled, []
        for reserved_day, name, requests, usd in settled:
            if reserved_day == day:
                self._shared.spending.usd += usd
                self._shared.spending.requests[name] += requests

    def _known_spending(self, day: int) -> Mapping[str, Iterable[Spending]]:
        """What the store has of the day. A loop that cannot read it goes on: nothing was sent today but what the
        shared state has.
        """
        try:
            return self._spent(day)
        except StoreError:
            if self._shared.spending.day < 0:
                raise
            return {}

    def _seeded(self, day: int, found: Iterable[Iterable[Spending]]) -> DaySpending:
        seeded = DaySpending(day, requests=defaultdict(int))
        for spending in (one for place in found for one in place):
            seeded.requests[spending.target] += spending.requests
            seeded.usd += Decimal(str(spending.cost_usd))
            seeded.usd += spending.unpriced_requests * self._worst(spending.target, spending.profile)
        return seeded

    def _refusal(self, target: ProbeTarget, at_most_usd: Decimal) -> str | None:
        settings = self._config.collector
        if target.requests_per_day is not None and self._requests(target.name) >= target.requests_per_day:
            return f"its {target.requests_per_day} requests a day (requests_per_day) are used up"
        if target.is_free_variant and self._free_requests(target) >= settings.free_requests_per_day:
            return (
                f"the {settings.free_requests_per_day} requests a day that free models share "
                "(free_requests_per_day) are used up"
            )
        if at_most_usd and self._usd + at_most_usd > settings.usd_per_day:
            return (
                f"it could exceed the budget: ${self._usd:.4f} of ${settings.usd_per_day} (usd_per_day) are spent or "
                f"set aside, and it could cost ${at_most_usd:.4f}"
            )
        return None


class Reservation:
    """What is set aside for one probe in the budget of its day, from `DailyBudget.reserve` until it is settled."""

    def __init__(self, budget: DailyBudget, target: ProbeTarget, usd: Decimal, at: int) -> None:
        self._budget = budget
        self._target = target
        self._usd = usd
        self.at = at

    def raise_to(self, usd: Decimal) -> bool:
        """Set aside as much as this; false when the budget has no room for it."""
        more = usd - self._usd
        if more <= 0:
            return True
        with suppress(LockedError):
            if self._budget.reserve_more(more, now_ms()):
                self._usd += more
                return True
        return False

    def settle(self, cost_usd: float | None) -> None:
        """Book what the probe cost; when that is unknown, what was set aside."""
        self._budget.settle(self._usd, cost_usd, self.at)

    def cancel(self) -> None:
        """Give back what was set aside: nothing was sent."""
        self._budget.cancel(self._target, self._usd, self.at)


def _together(seeded: DaySpending, before: DaySpending) -> DaySpending:
    """A day that a clock jumped to: its own count may be a part of what was spent before, so the larger one counts."""
    names = seeded.requests.keys() | before.requests.keys()
    requests = {name: max(seeded.requests.get(name, 0), before.requests.get(name, 0)) for name in names}
    return DaySpending(seeded.day, max(seeded.usd, before.usd), defaultdict(int, requests))
