"""Which slots are taken, by which run. Pure: the clock, the store's newest rows and who lives are passed in.

A run claims a slot before it probes. While the probe is under way, later slots of the series are added to the claim
instead of being probed, so that a probe that overruns decides the slots it covers.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from collectors.scheduler.schedule import Schedule, TickWindow

ClaimState = Literal["open", "ended", "recorded", "refused"]
"""`open`: planned or under way; `ended`: its rows wait to be written; `recorded`: they are in the store; `refused`: a
budget or a rest of its target forbade the probe.
"""


LONGEST_WAIT = 2
"""A run that comes before an exact timer would, and finds a probe under way, waits until then, for half an interval at
most: a probe that is about to end does not overrun. Before that it leaves the slot to a later run.
"""

LONGEST_MS = 3_600_000
"""No probe is under way for so long, its confirmation and its wait for a turn included: its run does not go on."""


@dataclass(slots=True)
class Claim:
    """The slots `first` to `last` (none when `last` is smaller) that one probe of a run decides.

    `at`: when it starts; `row_at`: once it has ended, when its last row began (milliseconds UTC).
    """

    run: int
    number: int
    first: int
    last: int
    at: int
    interval_ms: int
    state: ClaimState = "open"
    row_at: int = 0

    @property
    def slots(self) -> int:
        """How many slots it decides."""
        return max(0, self.last - self.first + 1)


@dataclass(frozen=True, slots=True)
class Planned:
    """A probe to make. `missed`: slots that this process was too late for; `waits`: another run is probing the series,
    which is to be looked at again when this one starts; `is_late`: a loop decides a slot that began before its tick.
    """

    claim: Claim
    missed: int
    waits: bool
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class UnderWay:
    """Due, but the last probe of the series is still under way in another run."""


@dataclass(frozen=True, slots=True)
class NotDue:
    """Nothing to do before `next_at` (milliseconds UTC)."""

    next_at: int


class SlotClaims:
    """The claims of all runs, as one run sees and changes them."""

    def __init__(self, run: int) -> None:
        self.run = run
        self.claims: dict[str, list[Claim]] = {}
        self._own: dict[int, Claim] = {}
        self._numbers = itertools.count()
        self._planned: set[str] = set()
        self._under_way: dict[str, Claim] = {}
        self._took_ms: dict[int, int] = {}
        self._lock = threading.Lock()

    def plan(
        self, series: str, schedule: Schedule, window: TickWindow, newest: int | None, lives: Callable[[int], bool]
    ) -> Planned | UnderWay | NotDue:
        """Claim what is due. `newest`: when the series' newest row in the store began; `lives`: whether a run does."""
        latest = schedule.slot_at(max(window.now, window.until)) + 1
        held = [claim for claim in self.claims.get(series, []) if self._holds(claim, window.now, newest, lives)]
        claims = [claim for claim in held if claim.interval_ms == schedule.interval_ms and claim.last <= latest]
        others = [claim for claim in held if claim.interval_ms != schedule.interval_ms and claim.at <= window.now]
        # a probe from before the interval was changed decides the slot that it began in
        newest = max([claim.at for claim in others] + ([newest] if newest is not None else []), default=None)
        decided = _decided(claims, schedule, newest, latest)
        slot = _slot(schedule, window, decided, max((claim.at for claim in claims), default=newest))
        under_way = self._keep(series, claims, others, decided)
        if slot is None and not window.all:
            return NotDue(schedule.begins((schedule.slot_at(window.now) if decided is None else decided) + 1))
        at = _start(schedule, window, slot, under_way)
        if at - window.now > schedule.interval_ms // LONGEST_WAIT and not window.is_loop:
            return NotDue(at)
        is_others = under_way is not None and under_way.run != self.run
        if under_way is not None and is_others and at <= window.now:
            under_way.last = under_way.last if slot is None else max(under_way.last, slot)
            return UnderWay()
        is_known = claims and series in self._planned  # else its slots were others, or it was not to be probed
        missed = slot - decided - 1 if slot is not None and decided is not None and is_known else 0
        is_late = slot is not None and window.is_loop and decided is not None and schedule.begins(slot) < window.now
        first, last = (slot, slot) if slot is not None else ((decided or 0) + 1, decided or 0)
        claim = self._claim(series, first, last, at, schedule.interval_ms)
        return Planned(claim, max(0, missed), is_others, is_late)

    def _keep(self, series: str, claims: list[Claim], others: list[Claim], decided: int | None) -> Claim | None:
        """Keep of a series' claims what is under way, which is returned, and what decided last; of those with another
        interval the newest until there is one with this interval.
        """
        kept = [claim for claim in claims if claim.state == "open" or claim.last == decided]
        latest = max((claim.at for claim in others), default=0)
        old = [claim for claim in others if claim.state == "open" or (not claims and claim.at == latest)]
        self.claims[series] = old + kept
        for claim in (*claims, *others):
            if claim.run == self.run and not any(claim is other for other in (*old, *kept)):
                self._own.pop(claim.number, None)
        return next((claim for claim in kept if claim.state == "open"), None)

    def _claim(self, series: str, first: int, last: int, at: int, interval_ms: int) -> Claim:
        claim = Claim(self.run, next(self._numbers), first, last, at, interval_ms)
        self._own[claim.number] = claim
        self._planned.add(series)
        self.claims[series].append(claim)
        return claim

    def _holds(self, claim: Claim, now: int, newest: int | None, lives: Callable[[int], bool]) -> bool:
        """A run that was killed, or is stopped and hangs, decided nothing unless its row had reached the store."""
        if claim.run == self.run or claim.state in ("recorded", "refused"):
            return True
        if claim.state == "open" and now - claim.at > LONGEST_MS:
            return False
        return lives(claim.run) or (newest is not None and newest >= claim.at)

    def begin(self, series: str, claim: Claim, lives: Callable[[int], bool] | None = None) -> bool:
        """Say that a probe starts. False when the last one of the series is still under way: it then decides the slots
        of this claim, too. `lives` is for a probe that waited for another run's, while the claims are held.
        """
        with self._lock:
            running = self._under_way.get(series)
            if running is None and lives is not None:
                others = (c for c in self.claims.get(series, []) if c.state == "open" and c.run != self.run)
                running = next((other for other in others if lives(other.run)), None)
            if running is None:
                self._under_way[series] = claim
                return True
            if running.interval_ms == claim.interval_ms:
                running.last = max(running.last, claim.last)
            self._forget(series, claim)
            return False

    def is_due(self, series: str, before: int) -> bool:
        """Whether a probe of this run is under way, or starts before a moment (milliseconds UTC)."""
        with self._lock:
            own = (claim for claim in self.claims.get(series, []) if claim.run == self.run and claim.state == "open")
            return any(claim.at <= before and claim.number not in self._took_ms for claim in own)

    def restart(self, claim: Claim, now: int) -> None:
        """Say that a probe starts only now: slots that passed while it waited for its turn are not decided by it."""
        with self._lock:
            claim.first, claim.at = max(claim.first, claim.last), now

    def end(self, series: str, claim: Claim, took_ms: int) -> None:
        """Say that the probe is over, and how long it took."""
        with self._lock:
            if claim.state == "open":
                self._took_ms[claim.number] = took_ms
            if self._under_way.get(series) is claim:
                del self._under_way[series]

    def settle(self, series: str, claim: Claim, row_at: int) -> None:
        """Fix which slots a probe that is over decides, while the claims are held: one more for each whole interval
        that it took, whether a run came by meanwhile or a timer was a little late, up to what others claimed.
        """
        with self._lock:
            took_ms = self._took_ms.pop(claim.number, 0)
            overrun = claim.first + max(0, took_ms - 1) // claim.interval_ms
            same = (c for c in self.claims.get(series, []) if c.interval_ms == claim.interval_ms)
            others = (c.first for c in same if c.first > claim.first and c.slots)
            if claim.slots:
                claim.last = max(claim.last, min(overrun, min(others, default=overrun + 1) - 1))
            claim.state, claim.row_at = "ended", row_at

    def drop(self, series: str, claim: Claim) -> None:
        """Give up a claim: its slots are open again."""
        with self._lock:
            self._forget(series, claim)

    def _forget(self, series: str, claim: Claim) -> None:
        self._own.pop(claim.number, None)
        self._took_ms.pop(claim.number, None)
        self.claims[series] = [kept for kept in self.claims.get(series, []) if kept is not claim]

    def merge(self, claims: dict[str, list[Claim]]) -> None:
        """Take over what other runs changed: their own claims, and the `last` of this run's."""
        with self._lock:
            for claim in itertools.chain.from_iterable(claims.values()):
                mine = self._own.get(claim.number) if claim.run == self.run else None
                if mine is not None:
                    mine.last = max(mine.last, claim.last)
            ours = {series: [c for c in found if c.run == self.run] for series, found in self.claims.items()}
            others = {series: [c for c in found if c.run != self.run] for series, found in claims.items()}
            self.claims = {name: others.get(name, []) + ours.get(name, []) for name in others.keys() | ours.keys()}

    def plan_only(self, wanted: set[str]) -> None:
        """Say which series are to be probed from now on: one that comes back later has missed nothing meanwhile."""
        self._planned &= wanted

    def forget_old(self, before: int) -> None:
        """Give up what began before a moment (milliseconds UTC) and what no target has asked for since."""
        found = {
            series: [c for c in claims if c.at + 2 * c.interval_ms >= before or self._is_open(c)]
            for series, claims in self.claims.items()
        }
        self.claims = {series: kept for series, kept in found.items() if kept}
        self._own = {c.number: c for kept in self.claims.values() for c in kept if c.run == self.run}

    def _is_open(self, claim: Claim) -> bool:
        return claim.run == self.run and claim.state == "open"

    def forget_lost(self, newest: Mapping[str, int | None], lives: Callable[[int], bool]) -> None:
        """Give up what was recorded in a store that was replaced since, or never reached it. `newest`: when the newest
        row of each of these series began, which was just read; null without any.
        """
        for series in self.claims.keys() & newest.keys():
            at, claims = newest[series], self.claims[series]
            at = -1 if at is None else at
            self.claims[series] = [
                c for c in claims if c.state == "refused" or at >= max(c.at, c.row_at) or lives(c.run)
            ]


def _decided(claims: list[Claim], schedule: Schedule, newest: int | None, latest: int) -> int | None:
    """The last slot that is decided or taken. A newest row that no claim explains decides the slot it lies in."""
    decided = max((claim.last for claim in claims), default=None)
    explained = any(claim.row_at >= newest or claim.state == "open" for claim in claims) if newest is not None else True
    if not explained and newest is not None:
        slot = schedule.slot_at(newest)
        if slot <= latest and (decided is None or slot > decided):  # a later one was left by a clock that was set back
            return slot
    return decided


def _start(schedule: Schedule, window: TickWindow, slot: int | None, under_way: Claim | None) -> int:
    """When a probe starts: in a loop at the beginning of its slot; in a single run now, or when an exact timer's run
    would come while another probe is under way.
    """
    if slot is None:
        return window.now
    if window.is_loop:
        return window.now if window.all else max(window.now, schedule.begins(slot))
    if under_way is None:
        return window.now
    return max(window.now, under_way.at + (slot - under_way.first) * schedule.interval_ms)


def _slot(schedule: Schedule, window: TickWindow, decided: int | None, began_at: int | None) -> int | None:
    if not window.is_loop or window.all:
        return schedule.timer_slot(decided, began_at, window.now)
    slot = schedule.loop_slot(decided, window.now)
    return slot if schedule.begins(slot) < window.until else None
