"""`check`: is the configuration right, does each target answer, and what will a day cost?"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import ConfigPath, StoreUrl, location, store_url
from cli.trial import cost_of_checks, cost_of_day, days_of_checks, try_target
from store.clock import now_ms

if TYPE_CHECKING:
    from rich.console import Console

    from collectors.http.adaptations import Change
    from collectors.scheduler.state import SchedulerState
    from settings.targets import Config, ProbeTarget
    from store import Store

MAX_PARALLEL = 32
STOPPED = 1


def check(
    config: ConfigPath = None,
    store: StoreUrl = None,
    health: Annotated[
        bool,
        typer.Option("--health", help="Do not probe: exit with 1 when the collector has stopped, for a supervisor."),
    ] = False,
) -> int:
    """Validate the configuration, reach each target with one probe, and say what a day will cost.

    Nothing is recorded. The probes count as little as any: a few tokens each.
    With --health it only looks at the store: 0 while the collector feeds it, 1 when it has stopped.
    """
    if health:
        return _health(store_url(store))
    from collectors.http.authorities import check_authorities
    from collectors.scheduler.console import console_for
    from collectors.scheduler.notices import short_intervals
    from collectors.scheduler.process_limits import raise_limits
    from collectors.scheduler.shared_state import SharedState
    from collectors.scheduler.state import SchedulerState
    from settings.targets import load

    loaded = load(config)
    check_authorities()
    console = console_for(sys.stdout)
    console.print(f"{loaded.path} is valid: {len(loaded.all_targets)} target(s){_disabled(loaded)}", highlight=False)
    shared = SharedState(None, location())
    limits = raise_limits(loaded)
    for warning in limits.warnings:
        console.print(warning, highlight=False)
    opened = open_existing(store_url(store))
    state = SchedulerState(loaded, opened, shared, keeps_connections=limits.keeps_connections)
    try:
        return _report(console, loaded, state, limits.max_parallel, short_intervals(loaded, _timer_step_s(store)))
    finally:
        state.close()
        shared.close()


def _timer_step_s(store: str | None) -> float | None:
    from collectors.scheduler.lock import lock_path
    from collectors.scheduler.shared_state import timer_step_s

    return timer_step_s(lock_path(store_url(store)), location())


def _report(console: Console, loaded: Config, state: SchedulerState, max_parallel: int, warnings: Iterable[str]) -> int:
    """Reach every target, and print what each answered and what a day costs. Returns the exit code."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("target", "answers", "probes a day", "max cost a day"):
        table.add_column(heading, justify="left" if heading in ("target", "answers") else "right")
    now = now_ms()
    rests = {
        target.name: state.shared.rate_limits.rest_reason(target, now) for target in loaded.targets
    }  # before they are reached
    with ThreadPoolExecutor(min(MAX_PARALLEL, max_parallel)) as pool:
        trials = list(pool.map(lambda target: try_target(state, target), loaded.targets))
    total = Decimal(0)
    for target, trial in zip(loaded.targets, trials, strict=True):
        day = cost_of_day(
            loaded, target, state.price(target), partial(state.max_probe_cost, target), state.context_tokens(target)
        )
        total += day.usd
        table.add_row(Text(target.name), Text(trial.words), f"{day.probes:,.0f}", day.words)
    for target in loaded.disabled:
        table.add_row(Text(target.name), "disabled", "0", "nothing")
    console.print(table)
    for target in loaded.targets:
        if checks := _checks(state, target):
            console.print(f"{target.name}: {checks}", highlight=False, markup=False)
    for target in loaded.targets:
        if differences := _differences(state, target, rests[target.name]):
            console.print(f"{target.name}: {differences}", highlight=False, markup=False)
    for line in _routes(loaded):
        console.print(line, highlight=False, markup=False)
    budget = loaded.collector.usd_per_day
    console.print(f"at most ${total:.4f} a day in all, and never more than ${budget} (usd_per_day)", highlight=False)
    if total > budget:
        console.print(
            "on such a day the budget stops probes before the end: raise usd_per_day, or probe less often",
            highlight=False,
        )
    for warning in warnings:
        console.print(warning, highlight=False)
    return STOPPED if any(trial.is_bug for trial in trials) else 0


def _disabled(loaded: Config) -> str:
    return f", {len(loaded.disabled)} of them disabled" if loaded.disabled else ""


def _routes(loaded: Config) -> list[str]:
    """What the relay offers, and what it lacks."""
    lines = []
    for route in loaded.routes:
        waiting = [target.name for target in route.targets if target.waits_for_key]
        without = f"; waiting for a key: {', '.join(waiting)}" if waiting else ""
        lines.append(f"route {route.model}: {', '.join(t.name for t in route.targets)} ({route.strategy}){without}")
    if loaded.relay is not None and loaded.relay.keys_problem:
        lines.append(f"the relay cannot start: {loaded.relay.keys_problem}")
    return lines


def _differences(state: SchedulerState, target: ProbeTarget, rest: str | None) -> str:
    """What is not the usual request: another API, what this target's server wants to be changed, and that it is to be
    left alone for now.
    """
    from collectors.http.redaction import safe_error

    changes = sorted(state.changes(target), key=_kind)
    parts = [f"api {target.api}"] if target.api != "chat" else []
    parts += [safe_error(describe_change(*change)) or "" for change in changes]
    return "; ".join([*parts, rest] if rest is not None else parts)


def _kind(change: Change) -> tuple[int, str]:
    """Names first, then what is left out, then values: in the same order now and from the store."""
    field, instead = change
    return (1 if instead is None else 0 if instead.startswith('"') else 2), field


def describe_change(field: str, instead: str | None) -> str:
    """A change of a request that its server wanted, in a few words."""
    if instead is None:
        return f"no {field}"
    value = json.loads(instead)
    if isinstance(value, str):
        return f"{value} instead of {field}"
    if field == "stream" and value is False:
        return "not streamed"
    return f"limit {value}" if "tokens" in field.lower() else f"{field} {instead}"


def _health(url: str) -> int:
    """Whether the store is fed. Raises StoreError where there is none."""
    from settings.durations import in_words
    from store import Selection, open_store
    from store.formats import iso
    from store.horizon import horizon, late_probes
    from store.schema import RUNS, TARGETS, Run, Target
    from store.staleness import last_seen, stale_since

    now = now_ms()
    opened = open_store(url, read_only=True)
    try:
        newest = [series.newest for series in opened.series(horizon(now))]
        runs = [Run(*row) for row in opened.read(RUNS, Selection(until=horizon(now)), newest_first=True, limit=50)]
        targets = [Target(*row) for row in opened.read(TARGETS)]
        late, kept_since = late_probes(opened, now), opened.kept_since()
    finally:
        opened.close()
    if late:
        print(f"{late:,} probes are dated in the future: see `python -m collectors remove-future`", file=sys.stderr)
    if kept_since > horizon(now):
        print(
            f"the store refuses every row from before {iso(kept_since)}: a clock was ahead, or this one is behind; see "
            "`python -m collectors remove-future`",
            file=sys.stderr,
        )
        return STOPPED
    stopped = stale_since(newest, runs, targets, now)
    last = last_seen(newest, runs, now)
    if last is None:
        print("nothing has been recorded yet", file=sys.stderr)
        return STOPPED
    if stopped is not None:
        print(f"the collector has stopped: nothing recorded for {in_words((now - stopped) // 1_000)}", file=sys.stderr)
        return STOPPED
    print(f"the collector is running: it last recorded something {in_words(max(0, now - last) // 1_000)} ago")
    return 0


def _checks(state: SchedulerState, target: ProbeTarget) -> str:
    """The requests and cost of a usual day of a target's checks, in words; empty without any."""
    if target.waits_for_key:
        return ""
    parts = []
    for name, days in days_of_checks(target, state.context_tokens(target)).items():
        usd = cost_of_checks(days, partial(state.max_probe_cost, target))
        count = sum(day.requests for day in days)
        parts.append(
            f"{name} checks take {count:,.0f} requests on a usual day" + (f", at most ${usd:.4f}" if usd else "")
        )
        parts += dict.fromkeys(day.note for day in days if day.note)
    return "; ".join(parts)


def open_existing(url: str) -> Store | None:
    """The store, for prices and for what servers refuse; null where there is none yet."""
    from store import StoreError, open_store
    from store.paths import refuse_unusable
    from store.url import parse_store_url

    path = parse_store_url(url).file
    if path is not None:
        refuse_unusable(path)
    try:
        return open_store(url, read_only=True)
    except StoreError:
        return None
