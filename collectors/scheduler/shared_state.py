"""What the overlapping runs of one store share: which slots are taken, what the day has cost, which
targets rest, when a timer ran.

A small JSON file beside the lock file, replaced as a whole while the lock is held. It survives a run that is killed.
Without it (it was removed, or cannot be written) the store's newest rows say what was done, a little less exactly.
"""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, astuple, dataclass, field
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from collectors.scheduler.claims import Claim, SlotClaims
from collectors.scheduler.clock import ClockState, Step, observe, read_clocks
from collectors.scheduler.lock import LockFile, new_run
from collectors.scheduler.rate_limit_state import RateLimitState, Rest
from store.clock import DAY_MS, now_ms

PLANNING_WAIT_S = 10.0
MOST_TIMER_RUNS = 12
FEWEST_TIMER_RUNS = 4
KEPT_MS = 7 * DAY_MS
"""The file keeps what removed locations and targets had for a week."""


@dataclass
class DaySpending:
    """Requests by target and USD of one UTC day at one location, with what is set aside for probes under way.

    `steps`: how often the clock had jumped when it was last looked at.
    """

    day: int = -1
    usd: Decimal = Decimal(0)
    requests: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    steps: int = 0


@dataclass
class CollectorRun:
    """When another collector than the probes last began, in which run, and whether its row is in the store."""

    at: int
    run: int
    recorded: bool = False


class SharedState:
    """One run's access to the shared file; without a lock file's path the state is this run's alone."""

    def __init__(self, lock_path: Path | None, location: str) -> None:
        """Become known as a living run. Raises OSError, LockedError."""
        self.run = new_run()
        self.location = location
        self.claims = SlotClaims(self.run)
        self.rate_limits = RateLimitState()
        self.spending = DaySpending()
        self.spending_elsewhere: dict[str, DaySpending] = {}
        self.collector_runs: dict[str, CollectorRun] = {}
        self.timer_runs: list[int] = []
        self.server_slots: dict[str, tuple[int, int]] = {}
        """How many requests a server works on at once, and when it was asked (milliseconds UTC)."""
        self.clock: ClockState | None = None
        self.clock_steps: list[Step] = []
        """Jumps of the clock that this run was the first to see."""
        self.problem: str | None = None
        self._guard = threading.RLock()
        self._holding = False
        self._content = b""
        """What the file holds, as far as this run knows. Its time of change is no sign: two runs may write in one tick
        of the kernel's clock, and the second file may have the first one's number.
        """
        self._sections: dict[str, Any] = {}
        self._lives: dict[int, bool] = {}
        self._folder = None if lock_path is not None else tempfile.TemporaryDirectory(prefix="uptoken-")
        self.lock_path = lock_path or Path(self._folder.name if self._folder else "") / "collector-lock"
        self._path = _state_path(self.lock_path)
        self._lock = LockFile(self.lock_path)
        self._lock.join(self.run)
        self._sweep()

    @contextmanager
    def exclusive(self, wait_s: float = PLANNING_WAIT_S) -> Iterator[None]:
        """Read the state, let the caller change it, write it; nobody else does meanwhile. Raises LockedError."""
        with self._guard:
            if self._holding:
                yield
                return
            with self._lock.exclusive(wait_s):
                self._holding = True
                try:
                    self._lives.clear()
                    self._load()
                    self._observe_clock()
                    yield
                    self._save()
                finally:
                    self._holding = False

    @property
    def spool_path(self) -> Path | None:
        """What rows that cannot be recorded are kept beside; null for a run that is alone."""
        return spool_path(self.lock_path) if self._folder is None else None

    def _observe_clock(self) -> None:
        self.clock, step = observe(self.clock, read_clocks())
        self.clock_steps += [step] if step is not None else []

    def lives(self, run: int) -> bool:
        """Whether a run's process is still there."""
        if run == self.run:
            return True
        if run not in self._lives:
            self._lives[run] = self._lock.lives(run)
        return self._lives[run]

    def timer_step_s(self) -> float | None:
        """The usual time between the starts of a timer's runs; null before there were a few."""
        return _step_s(self.timer_runs)

    def note_timer_run(self, now: int) -> None:
        """Remember that a single run began."""
        earlier = [at for at in self.timer_runs if at <= now]
        self.timer_runs = [*earlier[1 - MOST_TIMER_RUNS :], now]

    def close(self) -> None:
        """Let others know that this run is over."""
        self._lock.close()
        if self._folder is not None:
            self._folder.cleanup()

    # -- the file

    def _sweep(self) -> None:
        """Remove what runs left that were killed while they wrote the state."""
        start = f".{self._path.name}."
        for part in self._path.parent.iterdir():
            run = part.name[len(start) :] if part.name.startswith(start) else ""
            if run.isdigit() and not self.lives(int(run)):
                part.unlink(missing_ok=True)

    def _load(self) -> None:
        try:
            content = self._path.read_bytes()
            if content == self._content:
                return
            self._take_over(orjson.loads(content))
            self._content = content
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as problem:
            self.problem = f"{self._path} could not be read, so the store's newest rows are used instead: {problem}"

    def _take_over(self, sections: dict[str, Any]) -> None:
        section = sections.get(self.location, {})
        claims = {
            series: [_claim(values) for values in of_series] for series, of_series in section.get("claims", {}).items()
        }
        spending = {location: _spending(values["spending"]) for location, values in sections.items()}
        collector_runs = {name: CollectorRun(**run) for name, run in section.get("collector_runs", {}).items()}
        self.timer_runs = [int(at) for at in section.get("timer_runs", [])]
        self.server_slots = {str(name): (int(n), int(at)) for name, (n, at) in section.get("server_slots", {}).items()}
        self.spending = spending.pop(self.location, self.spending)
        self.spending_elsewhere = spending
        mine = {name: run for name, run in self.collector_runs.items() if run.run == self.run}
        self.collector_runs = collector_runs | mine
        clock = section.get("clock")
        self.clock = ClockState(**clock) if clock is not None else self.clock
        self.claims.merge(claims)
        self.rate_limits.merge(
            {str(name): _rest(values) for name, values in section.get("rests", {}).items()}, now_ms()
        )
        self._sections = sections

    def _save(self) -> None:
        day = self.spending.day
        if day >= 0:  # a container that starts under another name each time is another location each time
            for location, spending in self.spending_elsewhere.items():
                if spending.day <= day - KEPT_MS:
                    self._sections.pop(location, None)
            self.claims.forget_old(day - KEPT_MS)
        self._sections[self.location] = {
            "claims": {
                series: [astuple(claim) for claim in claims] for series, claims in self.claims.claims.items() if claims
            },
            "rests": {name: astuple(rest) for name, rest in self.rate_limits.recent_rests(now_ms()).items()},
            "spending": vars(self.spending) | {"usd": str(self.spending.usd)},
            "collector_runs": {name: asdict(run) for name, run in self.collector_runs.items()},
            "timer_runs": self.timer_runs,
            "server_slots": self.server_slots,
            "clock": asdict(self.clock) if self.clock is not None else None,
        }
        content = orjson.dumps(self._sections)
        if content == self._content:
            return
        part = self._path.with_name(f".{self._path.name}.{self.run}")
        try:
            part.touch(0o600)
            part.write_bytes(content)
            part.replace(self._path)
            self._content = content
        except OSError as problem:
            self.problem = f"{self._path} could not be written, so an overlapping run may probe twice: {problem}"
            with suppress(OSError):  # on a file system that became read-only, a file that is not there is an error
                part.unlink()


def timer_step_s(lock_path: Path, location: str) -> float | None:
    """As `SharedState.timer_step_s`, without locking or making anything."""
    try:
        return _step_s([int(at) for at in orjson.loads(_state_path(lock_path).read_bytes())[location]["timer_runs"]])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def spool_path(lock_path: Path) -> Path:
    """The store's file, or what stands for a server: rows that wait to be written are kept beside it."""
    return lock_path.with_name(lock_path.name.removesuffix(".collector-lock"))


def _state_path(lock_path: Path) -> Path:
    return lock_path.with_name(lock_path.name.removesuffix("-lock") + "-state")


def _step_s(runs: list[int]) -> float | None:
    if len(runs) < FEWEST_TIMER_RUNS:
        return None
    return median(b - a for a, b in itertools.pairwise(runs)) / 1_000


def _claim(values: list[Any]) -> Claim:
    run, number, first, last, at, interval_ms, state, row_at = values
    return Claim(int(run), int(number), int(first), int(last), int(at), int(interval_ms), state, int(row_at))


def _rest(values: list[Any]) -> Rest:
    noted_at, until, reason, server = values
    return Rest(int(noted_at), int(until), str(reason), str(server))


def _spending(values: dict[str, Any]) -> DaySpending:
    requests = {str(name): int(count) for name, count in values["requests"].items()}
    usd, steps = Decimal(values["usd"]), int(values.get("steps", 0))
    if not usd.is_finite():
        raise ValueError(f"{usd} USD")
    return DaySpending(int(values["day"]), usd, defaultdict(int, requests), steps)
