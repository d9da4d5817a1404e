"""What time it is, as far as anything that deletes may believe it.

The system's clock is a claim: it may be set to anything at any moment. Beside it counts the time since the machine was
started, which nobody sets. From both, each run that holds the shared state keeps a `ClockState`:

- `agreed_ms` is a moment that has surely passed. It goes on with the time that was measured, and with nothing else.
- A clock that jumped against the measured time, or across a restart of the machine by more than a week, is in doubt.
  When it has been steady for a week of measured time, `agreed_ms` follows it, seven times as fast as time goes by: a
  collector that was off for two years prunes a week of its history a day, and a clock that is wrong for a week nothing.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

from store.clock import DAY_MS, now_ms
from store.horizon import MARGIN_MS

SURE_AFTER_MS = 7 * DAY_MS
"""A clock that has been steady for so long is believed. It is also the longest stop of a machine that is no doubt."""
CATCH_UP = 7
"""How much faster than time `agreed_ms` follows a clock that is believed again: so many days are pruned in a day."""
NOTED_EVERY_MS = 60_000


@dataclass(frozen=True)
class Reading:
    """One look at both clocks, in milliseconds: UTC, and since the start `boot` of the machine."""

    wall_ms: int
    boot_ms: int
    boot: str


@dataclass(frozen=True)
class ClockState:
    """What is kept from run to run. `offset_ms`: UTC less the time since the start, since the clock is steady;
    `steady_ms`: for how long it is, measured; `agreed_ms`: null before a clock was ever steady for long enough;
    `steps`: how many times the clock jumped; `stops`: while the machine was off nobody measured, so each stop is a pair
    of how long it was by the clock, and `steady_ms` then, and not believed for as long as a clock that jumped.
    """

    boot: str
    boot_ms: int
    offset_ms: int
    agreed_ms: int | None = None
    steady_ms: int = 0
    steps: int = 0
    stops: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Step:
    """The clock jumped by this much; across a restart of the machine (`is_restart`) it may have been off meanwhile."""

    by_ms: int
    is_restart: bool


def read_clocks() -> Reading:
    """Both clocks now."""
    return Reading(now_ms(), boot_ms(), _boot())


def boot_ms() -> int:
    """Milliseconds since the machine was started, time asleep included where the system counts it."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)) // 1_000_000


def observe(state: ClockState | None, now: Reading) -> tuple[ClockState, Step | None]:
    """The state after one more look, and the jump that it shows. The same state when there is nothing to note."""
    offset_ms = now.wall_ms - now.boot_ms
    if state is None:
        return ClockState(now.boot, now.boot_ms, offset_ms), None
    if state.boot != now.boot or now.boot_ms < state.boot_ms:
        by_ms = now.wall_ms - state.boot_ms - state.offset_ms
        fresh = replace(state, boot=now.boot, boot_ms=now.boot_ms, offset_ms=offset_ms)
        if -MARGIN_MS <= by_ms <= SURE_AFTER_MS:
            return replace(fresh, stops=(*_recent(state), (max(0, by_ms), state.steady_ms))), None
        return replace(fresh, steady_ms=0, stops=(), steps=state.steps + 1), Step(by_ms, is_restart=True)
    elapsed_ms = now.boot_ms - state.boot_ms
    by_ms = offset_ms - state.offset_ms
    if abs(by_ms) <= MARGIN_MS and elapsed_ms < NOTED_EVERY_MS:
        return state, None
    agreed_ms = None if state.agreed_ms is None else state.agreed_ms + elapsed_ms
    if abs(by_ms) > MARGIN_MS:
        jumped = ClockState(now.boot, now.boot_ms, offset_ms, agreed_ms, 0, state.steps + 1)
        return jumped, Step(by_ms, is_restart=False)
    fresh = replace(state, boot_ms=now.boot_ms, agreed_ms=agreed_ms, steady_ms=state.steady_ms + elapsed_ms)
    if fresh.steady_ms >= SURE_AFTER_MS:
        believed_ms = now.wall_ms - sum(stop_ms for stop_ms, _ in _recent(fresh))
        caught_up_ms = believed_ms if agreed_ms is None else agreed_ms + (CATCH_UP - 1) * elapsed_ms
        fresh = replace(fresh, agreed_ms=min(believed_ms, caught_up_ms))
    return fresh, None


def _recent(state: ClockState) -> tuple[tuple[int, int], ...]:
    return tuple((stop_ms, at) for stop_ms, at in state.stops if state.steady_ms - at < SURE_AFTER_MS)


def passed_ms(state: ClockState | None, now: Reading, newest_ms: int | None) -> int | None:
    """The moment that pruning may reckon from: it has surely passed, the clock says so, too, and so does the newest row
    (`newest_ms`, and what was measured since it was read). Null while that is not known.
    """
    if state is None or state.agreed_ms is None or newest_ms is None:
        return None
    return min(state.agreed_ms, now.wall_ms, newest_ms)


def describe(step: Step) -> str:
    """A jump in words, and what to do about it."""
    size = _in_words(abs(step.by_ms))
    if step.is_restart and step.by_ms > 0:
        return (
            f"{size} passed since the last run, if this machine's clock is right. Nothing is pruned until it has been "
            f"steady for 7 days, and then {CATCH_UP} days of history a day"
        )
    way = "forward" if step.by_ms > 0 else "back"
    return (
        f"the clock was set {way} by {size}. Rows are recorded with its time, and nothing is pruned until it has been "
        "steady for 7 days. If it is wrong, correct it: `python -m collectors remove-future` then shows the rows that "
        "it left"
    )


def _in_words(ms: int) -> str:
    return f"{ms / DAY_MS:,.0f} days" if ms >= 2 * DAY_MS else f"{ms / 60_000:,.0f} minutes"


def _boot() -> str:
    """A name for this start of the machine; where the system has none, this process's own."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"process {os.getpid()}"
