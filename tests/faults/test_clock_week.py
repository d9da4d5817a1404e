"""A week of clock faults, simulated: steps of minutes to years, both ways, at any moment, with restarts of the machine.

The store, the loop, the claims and the shared state are the real ones; the clocks are not, and a probe is a row.
"""

from __future__ import annotations

import io
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from collectors.contract import ProbeCollector, Result
from collectors.registry import COLLECTORS
from collectors.scheduler import clock, scheduler
from collectors.scheduler.claims import Planned
from collectors.scheduler.clock import Reading
from collectors.scheduler.console import ConsoleReport
from collectors.scheduler.plan import Plan, ProbeJob
from collectors.scheduler.schedule import TickWindow, schedule_of, series_key
from collectors.scheduler.shared_state import SharedState
from collectors.scheduler.state import SchedulerState
from settings.targets import Config
from store import Store, open_store
from store.horizon import MARGIN_MS, horizon
from store.schema import MODELS, PROBES, Model, Probe, Row
from tests.collectors.builders import config
from tests.factories import DAY, HOUR, MINUTE, NOON, model, probe
from tests.store.stores import HAS_CHDB, opened

pytestmark = pytest.mark.waits
KEEP_DAYS = 30
TICK = 2 * HOUR
WEEK = 7 * DAY // TICK
MEMORY = "/dev/shm"
"""Where a sync costs nothing: what is tested here has to do with clocks, and not with disks."""
STEPS = st.one_of(
    st.integers(-4 * 365 * DAY, 4 * 365 * DAY),
    st.integers(-3 * DAY, 3 * DAY),
    st.integers(-2 * MARGIN_MS, 2 * MARGIN_MS),
)


@dataclass(frozen=True)
class Fault:
    """From a tick on the clock is off by `shift`, for some ticks; `restarts`: the machine starts anew with it."""

    tick: int
    ticks: int
    shift: int
    restarts: bool


FAULTS = st.lists(
    st.builds(Fault, st.integers(0, WEEK - 1), st.integers(1, WEEK), STEPS, st.booleans()), min_size=1, max_size=6
)


class Machine:
    """The two clocks of a machine. True time goes on as it really does, and by leaps."""

    def __init__(self, true_ms: int) -> None:
        self.true_ms = true_ms
        self.shift = 0
        self.boots = 0
        self.booted_ms = true_ms - HOUR
        self._real = time.perf_counter_ns()

    def time_ns(self) -> int:
        return (self.true_ms + self.shift) * 1_000_000 + time.perf_counter_ns() - self._real

    def leap(self, ms: int, shift: int, *, restarts: bool) -> None:
        self.true_ms += ms
        self.shift = shift
        if restarts:
            self.boots, self.booted_ms = self.boots + 1, self.true_ms

    def reading(self) -> Reading:
        wall_ms = self.time_ns() // 1_000_000
        return Reading(wall_ms, wall_ms - self.shift - self.booted_ms, str(self.boots))


def _plan_probes(state: SchedulerState, _: ProbeCollector, window: TickWindow) -> Plan:
    """The real claims; a probe that is good at once, and what a model costs, which changes each day of the clock."""
    plan = Plan()
    for target in state.config.targets:
        series, schedule = series_key(target.name, "ping"), schedule_of(target.name, "ping", target.every_s)
        planned = state.shared.claims.plan(series, schedule, window, state.newest.get(series), state.shared.lives)
        if isinstance(planned, Planned):
            plan.jobs.append(_job(state, target.name, target.every_s, series, planned))
    return plan


def _job(state: SchedulerState, name: str, every_s: float, series: str, planned: Planned) -> ProbeJob:
    def run(_: threading.Event) -> list[Result]:
        assert state.shared.claims.begin(series, planned.claim)
        at = time.time_ns() // 1_000_000
        state.shared.claims.end(series, planned.claim, 1)
        rows: list[Row] = [probe(at, target=name, location="here", stands_for_s=every_s)]
        return [Result(row) for row in [*rows, model(at, model=name, usd_per_million_input=str(at // DAY))]]

    return ProbeJob(name, run, series=series, claim=planned.claim)


def _settings(tick: int) -> Config:
    return config({"every": f"{tick // 1_000}s"}, {"every": f"{tick // 1_000}s"}, retention_days=KEEP_DAYS)


@pytest.fixture(scope="module")
def settings_of_it() -> Config:
    return _settings(TICK)


def _run(machine: Machine, settings_of_it: Config, store: Store, folder: Path) -> None:
    """A run of a timer."""
    with (
        patch.object(time, "time_ns", machine.time_ns),
        patch.object(time, "time", lambda: machine.time_ns() / 1e9),
        patch.object(clock, "read_clocks", machine.reading),
        patch("collectors.scheduler.pruning.read_clocks", machine.reading),
        patch.object(scheduler, "plan_probes", _plan_probes),
        patch("collectors.scheduler.shared_state.read_clocks", machine.reading),
    ):
        shared = SharedState(folder / "lock", "here")
        one = scheduler.Scheduler(
            settings_of_it, store, "here", ConsoleReport(io.StringIO()), {"probe": COLLECTORS["probe"]}, shared
        )
        try:
            one.run_once()
        finally:
            one.close()


def _fault_at(faults: list[Fault], tick: int) -> Fault | None:
    """The one that began last of those that last."""
    return max((f for f in faults if f.tick <= tick < f.tick + f.ticks), key=lambda f: f.tick, default=None)


def _week(store: Store, folder: Path, settings_of_it: Config, faults: list[Fault], *, is_known: bool) -> None:
    tick_ms = round(settings_of_it.targets[0].every_s * 1_000)
    machine = Machine(NOON)
    history = [probe(NOON - n * HOUR, target="t0", location="here") for n in range(1, KEEP_DAYS * 24)]
    store.write(history)
    if is_known:  # a collector that ran well until now
        for _ in range(9):
            machine.leap(DAY, 0, restarts=False)
            _run(machine, settings_of_it, store, folder)
    right: list[int] = []
    shift = 0
    for tick in range(7 * DAY // tick_ms):
        fault = _fault_at(faults, tick)
        before, shift = shift, fault.shift if fault is not None else 0
        machine.leap(tick_ms, shift, restarts=fault is not None and fault.restarts and before != shift)
        before_run = machine.time_ns() // 1_000_000
        _run(machine, settings_of_it, store, folder)
        if not shift:
            right.append(before_run)
    machine.leap(tick_ms, 0, restarts=False)
    last = machine.time_ns() // 1_000_000
    _run(machine, settings_of_it, store, folder)
    right.append(last)
    _nothing_is_lost(store, history, machine.true_ms - KEEP_DAYS * DAY)
    _nothing_was_refused(store, right, tick_ms)
    _time_heals(machine, settings_of_it, store, folder)


def _nothing_is_lost(store: Store, history: list[Probe], oldest: int) -> None:
    there = {row[0] for row in store.read(PROBES, columns=("started_at",))}
    lost = [row.started_at for row in history if row.started_at >= oldest and row.started_at not in there]
    assert lost == [], "what is younger than it is kept is there"
    assert store.kept_since() <= oldest


def _nothing_was_refused(store: Store, right: list[int], tick_ms: int) -> None:
    """Each run whose clock was right recorded a probe of each target, unless its slot was decided by another."""
    for name in ("t0", "t1"):
        schedule = schedule_of(name, "ping", tick_ms / 1_000)
        rows = [at for at, target in store.read(PROBES, columns=("started_at", "target")) if target == name]
        slots = {schedule.slot_at(at + half) for at in rows for half in (0, tick_ms // 2, -tick_ms // 2)}
        missing = [at for at in right if schedule.slot_at(at) not in slots]
        assert missing == [], f"{name}: recorded as soon as the clock is right"
    newest = {s.newest.target: s.newest.started_at for s in store.series(horizon(right[-1]))}
    assert all(newest[name] >= right[-1] - tick_ms for name in ("t0", "t1"))
    prices = {
        row.model: row for values in store.read(MODELS) if (row := Model(*values)).valid_from < horizon(right[-1])
    }
    days = {str((right[-1] - back) // DAY) for back in (0, tick_ms)}
    assert {row.usd_per_million_input for row in prices.values()} <= days, "a price that changed is recorded"


def _time_heals(machine: Machine, settings_of_it: Config, store: Store, folder: Path) -> None:
    """After a fortnight with a clock that is right, what is too old is pruned again."""
    for _ in range(16):
        machine.leap(DAY, 0, restarts=False)
        _run(machine, settings_of_it, store, folder)
    pruned_until = machine.true_ms - (KEEP_DAYS + 2) * DAY
    left = [at for (at,) in store.read(PROBES, columns=("started_at",)) if NOON - KEEP_DAYS * DAY <= at < pruned_until]
    assert left == []


@settings(max_examples=10, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@example(faults=[Fault(56, 65, 89_001_424, restarts=True)], is_known=True)
@given(faults=FAULTS, is_known=st.booleans())
def test_a_week_of_clock_faults_loses_no_row_of_the_past_and_refuses_none_of_the_present(
    settings_of_it: Config, faults: list[Fault], is_known: bool
) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY if Path(MEMORY).is_dir() else None) as name:
        store = open_store(f"sqlite:///{name}/week.db")
        try:
            _week(store, Path(name), settings_of_it, faults, is_known=is_known)
        finally:
            store.close()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Store]:
    yield from opened("chdb", tmp_path)


@pytest.mark.skipif(not HAS_CHDB, reason="ClickHouse's engine is not installed")
def test_the_same_on_clickhouse(engine: Store, tmp_path: Path) -> None:
    """With a tick each six hours: each run takes 0.3 s there, and of each kind of fault there are several in each."""
    faults = [
        Fault(2, 6, 500 * DAY, restarts=False),
        Fault(10, 3, -3 * 365 * DAY, restarts=True),
        Fault(15, 1, 11 * MINUTE, restarts=False),
        Fault(20, 7, 90 * DAY, restarts=True),
    ]
    _week(engine, tmp_path, _settings(6 * HOUR), faults, is_known=True)
