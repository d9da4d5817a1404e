"""When the collectors that read lists are due, in all runs of a location together."""

from __future__ import annotations

from collectors.contract import CollectorContext, PeriodicCollector
from collectors.scheduler.plan import Plan
from collectors.scheduler.schedule import TickWindow
from collectors.scheduler.shared_state import CollectorRun
from collectors.scheduler.state import SchedulerState
from store.horizon import horizon

RETRY_S = 300.0


def plan_periodic(state: SchedulerState, name: str, collector: PeriodicCollector, window: TickWindow) -> Plan:
    """The jobs of a collector when it is due. The shared state is held. Raises StoreError.

    A collector that is due counts as run: an overlapping run leaves it to this one.
    """
    every_s = collector.every_s(state.config)
    if every_s is None:
        return Plan()
    every_ms = _interval_ms(state, name, every_s)
    last = _last_run_at(state, name, window.now)
    if last is not None and not window.all and last <= window.now < last + every_ms:
        return Plan(next_at=last + every_ms)
    state.last_run_at[name] = window.now
    state.shared.collector_runs[name] = CollectorRun(window.now, state.shared.run)
    context = CollectorContext(state.config, window.now, state.store, state.served_models, state.price)
    return Plan(collector.plan_jobs(context), next_at=window.now + every_ms)


def _interval_ms(state: SchedulerState, name: str, every_s: float) -> int:
    """After a run that failed, five minutes at most: a server that was just starting should not lack its facts for
    hours.
    """
    return round((min(every_s, RETRY_S) if name in state.failed else every_s) * 1_000)


def _last_run_at(state: SchedulerState, name: str, now: int) -> int | None:
    """When the collector last ran, in this run or in another one that recorded it or still may."""
    known, last = state.shared.collector_runs.get(name), state.last_run_at.get(name)
    if known is not None and known.at < horizon(now) and (known.recorded or state.shared.lives(known.run)):
        return max(known.at, last if last is not None else known.at)
    return last
