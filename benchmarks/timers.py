"""Timers simulated over the product's scheduler: does every slot of every target get decided, and exactly once?

`Simulation` drives `collectors.scheduler.claims` and `.schedule` with a clock of its own: runs start when a jittering
timer starts them and overlap when a probe hangs; a loop ticks every five seconds. What a probe meets is told by its
slot, so that a timer and a loop meet the same.
"""

from __future__ import annotations

import heapq
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from benchmarks.tools import table
from collectors.scheduler.claims import Claim, Planned, SlotClaims, UnderWay
from collectors.scheduler.failures import failures_after, needs_confirmation
from collectors.scheduler.schedule import Schedule, TickWindow, next_tick, schedule_of, series_key

LOOP_TICK_S = 5.0
ATTEMPTS: dict[str, tuple[str, ...]] = {
    "ok": ("ok",),
    "flaky": ("server_error", "ok"),
    "refused": ("connection_error", "connection_error"),
    "hanging": ("timeout", "timeout"),
    "limited": ("rate_limited",),
    "broken": ("internal_error",),
}
"""How the first and the confirming probe of a slot end, by what the slot's server is like."""


@dataclass
class Decided:
    """What the deciding probes came to: by slot, how it ended; `probes`: how many were made."""

    outcome_of: dict[int, str] = field(default_factory=dict)
    times: Counter[int] = field(default_factory=Counter)
    probes: int = 0
    skipped: int = 0

    def note(self, claim: Claim, outcome: str) -> None:
        for slot in range(claim.first, claim.last + 1):
            self.outcome_of[slot] = outcome
            self.times[slot] += 1

    @property
    def is_exact(self) -> bool:
        """Every slot from the first to the last one was decided, and once."""
        slots = range(min(self.times), max(self.times) + 1)
        return len(self.times) == len(slots) and set(self.times.values()) == {1}

    def uptime(self, first: int, last: int) -> tuple[int, int]:
        """Slots up, and slots up or down."""
        outcomes = [self.outcome_of.get(slot, "") for slot in range(first, last + 1)]
        up = outcomes.count("ok")
        return up, up + sum(outcome in ("server_error", "connection_error", "timeout") for outcome in outcomes)


@dataclass
class Simulation:
    """One series of probes under one kind of scheduling. Moments are in milliseconds."""

    name: str
    every_s: float
    pattern: Callable[[int], str]
    timeout_s: float = 30.0
    confirm_after_s: float = 10.0
    answer_s: float = 0.4

    def timer(self, runs: Iterator[int]) -> Decided:
        """A process for each of these moments, which ends when its probe has."""
        decided, shared, numbers = Decided(), SlotClaims(-1), itertools.count()
        lives: dict[int, int] = {}
        self._failures, self._newest = 0, None
        under_way: list[tuple[int, int, Claim, str, int]] = []  # ends at, run, claim, how, failures then
        schedule = schedule_of(self.name, "ping", self.every_s)
        for now in runs:
            self._record(under_way, now, decided, lives, shared)
            number = next(numbers)
            run = SlotClaims(number)
            run.claims = shared.claims
            lives[number] = now
            plan = run.plan(self._series, schedule, TickWindow(now, now), self._newest, lives.__contains__)
            if isinstance(plan, Planned):
                start = plan.claim.at
                self._record(under_way, start, decided, lives, shared)
                if plan.waits and not run.begin(self._series, plan.claim, lives.__contains__):
                    decided.skipped += 1
                else:
                    heapq.heappush(under_way, self._probe(plan.claim, number, decided))
                    continue
            decided.skipped += isinstance(plan, UnderWay)
            del lives[number]
        self._record(under_way, 2**62, decided, lives, shared)
        return decided

    def loop(self, since: int, until: int) -> Decided:
        """One process that ticks every five seconds, or 24 times an interval where that is longer."""
        decided, claims = Decided(), SlotClaims(1)
        self._failures, self._newest = 0, None
        schedule = schedule_of(self.name, "ping", self.every_s)
        under_way: list[tuple[int, int, Claim, str, int]] = []
        now, tick_s = since, max(LOOP_TICK_S, self.every_s / 24)
        while now < until:
            window = TickWindow(now, next_tick(now, tick_s))
            plan = claims.plan(self._series, schedule, window, None, lambda run: run == 1)
            if isinstance(plan, Planned):
                self._record(under_way, plan.claim.at, decided, {}, claims)
                if claims.begin(self._series, plan.claim):
                    heapq.heappush(under_way, self._probe(plan.claim, 1, decided))
                else:
                    decided.skipped += 1
            now = window.until
        self._record(under_way, 2**62, decided, {}, claims)
        return decided

    @property
    def _series(self) -> str:
        return series_key(self.name, "ping")

    def _probe(self, claim: Claim, run: int, decided: Decided) -> tuple[int, int, Claim, str, int]:
        """When a probe that starts now will be over, and how. It knows of an incident what is recorded."""
        attempts = ATTEMPTS[self.pattern(claim.first)]
        failures, at = self._failures, claim.at
        outcome = attempts[0]
        for number, outcome in enumerate(attempts):
            decided.probes += 1
            at += round(1_000 * (self.timeout_s if outcome == "timeout" else self.answer_s))
            is_last = number + 1 == len(attempts) or not needs_confirmation(outcome, failures)
            failures = failures_after(outcome, failures)
            if is_last:
                break
            at += round(1_000 * self.confirm_after_s)
        return at, run, claim, outcome, failures

    def _record(
        self,
        under_way: list[tuple[int, int, Claim, str, int]],
        now: int,
        decided: Decided,
        lives: dict[int, int],
        claims: SlotClaims,
    ) -> None:
        """What has ended by now is in the store, and its process is gone."""
        while under_way and under_way[0][0] <= now:
            ended_at, run, claim, outcome, failures = heapq.heappop(under_way)
            claims.end(self._series, claim, ended_at - claim.at)
            claims.settle(self._series, claim, claim.at)
            claim.state = "recorded"
            self._failures, self._newest = failures, claim.at
            decided.note(claim, outcome)
            lives.pop(run, None)


def timer_moments(since: int, until: int, step_s: float, jitter: float, chance: random.Random) -> Iterator[int]:
    """When a timer fires: each step, up to `jitter` of it early or late."""
    step_ms = round(step_s * 1_000)
    for exact in range(since, until, step_ms):
        yield exact + round(chance.uniform(-jitter, jitter) * step_ms)


def mixed(seed: int) -> Callable[[int], str]:
    """Mostly good, with outages of minutes to hours of each kind."""

    def pattern(slot: int) -> str:
        stretch = random.Random(seed * 1_000_003 + slot // 40)
        if stretch.random() < 0.8:
            return "ok"
        kind = stretch.choice(["flaky", "refused", "hanging", "limited", "broken", "mixed"])
        return random.Random(seed * 7 + slot).choice(list(ATTEMPTS)) if kind == "mixed" else kind

    return pattern


def _simulate(names: int, days: int, jitter: float, seed: int) -> list[str]:
    began = time.perf_counter()
    slots = wrong = probes = skipped = 0
    for number in range(names):
        chance = random.Random(seed * 10_000 + number)
        every_s = 60.0
        since = 1_764_000_000_000 + chance.randrange(60_000)
        simulation = Simulation(f"target {seed} {number}", every_s, mixed(number))
        decided = simulation.timer(timer_moments(since, since + days * 86_400_000, every_s, jitter, chance))
        slots += len(decided.times)
        probes += decided.probes
        skipped += decided.skipped
        expected = days * 1_440
        wrong += not decided.is_exact or not expected - 1 <= len(decided.times) <= expected + 1
    took = time.perf_counter() - began
    return [
        f"{names} names, {days} d, a run a minute, jitter below {jitter:.0%}",
        f"{slots:,}",
        f"{probes:,}",
        f"{skipped:,}",
        f"{wrong}{'' if not wrong else ' NOT KEPT'}",
        f"{took:.0f} s",
    ]


def _two_hours() -> list[str]:
    """A server that hangs for two hours of a day: 22 of 24 hours are up, 91.67%."""
    schedule: Schedule = schedule_of("hang", "ping", 60.0)
    since = schedule.begins(schedule.slot_at(1_764_000_000_000)) + 5_000
    first = schedule.slot_at(since)
    simulation = Simulation("hang", 60.0, lambda slot: "hanging" if 300 <= slot - first < 420 else "ok")
    decided = simulation.timer(timer_moments(since, since + 86_400_000, 60.0, 0.09, random.Random(1)))
    up, counted = decided.uptime(first, first + 1_439)
    kept = (up, counted) == (1_320, 1_440)
    return [
        "a server that hangs for two hours of a day: uptime",
        f"{counted:,}",
        f"{decided.probes:,}",
        f"{decided.skipped:,}",
        f"{up / counted:.2%}{'' if kept else ' NOT KEPT'} (true: 91.67%)",
        "",
    ]


def main() -> str:
    """The table, as Markdown."""
    rows = [_simulate(400, 1, 0.0999, 1), _simulate(4, 365, 0.0999, 2), _two_hours()]
    headings = ("simulated timers", "slots", "probes", "skipped", "names with a slot decided not once", "took")
    return table(headings, rows)


if __name__ == "__main__":
    print(main())
