"""`check`: is the configuration right, does each target answer, and what will a day cost?"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import ConfigPath, StoreUrl, location, store_url
from store.clock import now_ms

if TYPE_CHECKING:
    from rich.console import Console

    from collectors.http.adaptations import Change
    from collectors.scheduler.state import SchedulerState
    from settings.targets import Config, ProbeTarget
    from store import Store

DAY_S = 86_400
MAX_PARALLEL = 32
STOPPED = 1
BROKEN = "error in Uptoken"


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
    opened = _open_existing(store_url(store))
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
        answers = list(pool.map(lambda target: _probe_target(state, target), loaded.targets))
    total = Decimal(0)
    for target, answer in zip(loaded.targets, answers, strict=True):
        count, usd, note = _day(state, target)
        total += usd
        table.add_row(Text(target.name), Text(answer), f"{count:,.0f}", note)
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
            "the budget will stop probes before the end of the day: raise usd_per_day, or probe less often",
            highlight=False,
        )
    for warning in warnings:
        console.print(warning, highlight=False)
    return STOPPED if any(answer.startswith(BROKEN) for answer in answers) else 0


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


def _probe_target(state: SchedulerState, target: ProbeTarget) -> str:
    from collectors.http.own_limits import own_limit
    from collectors.http.redaction import root_cause, safe_error
    from collectors.probe import probe_once
    from collectors.scheduler.console import WORD, report_bug, verdict
    from collectors.scheduler.probing import ProbeSeries, make_probe
    from store.schema import Probe

    if target.waits_for_key:
        return f"waiting for a key: {target.where_key_belongs}"
    try:
        with state.concurrency.hold(target, threading.Event()):
            results = make_probe(state, probe_once, ProbeSeries(target, target.profile, target.every_s))
    except Exception as problem:  # noqa: BLE001  the other targets are to be reached, too
        if limit := own_limit(problem):
            return f"{WORD[None]}, offline: {limit}"
        report_bug(target.name, problem)
        return f"{BROKEN}: {safe_error(root_cause(problem))}"
    probe: Probe = next(result.row for result in results if isinstance(result.row, Probe))
    if probe.error is not None:
        return f"{WORD[verdict(probe.outcome)]}, {probe.outcome}: {probe.error}"
    if target.api == "embeddings":
        return f"up, a vector after {probe.total_ms or 0:.0f} ms"
    if probe.ttft_ms is None and probe.total_ms is None:
        return "up (no visible output: the tokens were hidden reasoning, or a filter removed the text)"
    if probe.ttft_ms is None:
        return "up (not streamed, so there is no time to first token)"
    return f"up, first token after {probe.ttft_ms:.0f} ms"


def _day(state: SchedulerState, target: ProbeTarget) -> tuple[float, Decimal, str]:
    """Probes a day, the most that they cost, and that in words."""
    if target.waits_for_key:
        return 0, Decimal(0), "nothing until it has a key"
    counts = {profile: DAY_S / every_s for profile, every_s in target.schedules}
    if target.requests_per_day is not None:
        counts = {profile: min(count, target.requests_per_day) for profile, count in counts.items()}
    if target.is_free_variant:
        quota = state.config.collector.free_requests_per_day
        counts = {profile: min(count, quota) for profile, count in counts.items()}
    usd = sum((state.max_probe_cost(target, p) * Decimal(n) for p, n in counts.items()), Decimal(0))
    usd += sum((day_usd for _, _, day_usd in _days_of_checks(state, target)), Decimal(0))
    if state.price(target) is None:
        if target.is_loopback:
            return sum(counts.values()), usd, "price unknown; on this machine"
        return sum(counts.values()), usd, f"${usd:.4f}, price unknown, assumed high"
    return sum(counts.values()), usd, f"${usd:.4f}" if usd else "free"


def _days_of_checks(state: SchedulerState, target: ProbeTarget) -> list[tuple[str, float, Decimal]]:
    """Of each kind of check that a target has: its name, requests a day and the most that they cost."""
    from collectors.contract import CheckCollector
    from collectors.registry import COLLECTORS

    days = []
    for name, collector in COLLECTORS.items():
        day = collector.day(target) if isinstance(collector, CheckCollector) else None
        if day is not None:
            days.append((name, day.requests, state.max_probe_cost(target, day.profile) * Decimal(day.requests)))
    return days


def _checks(state: SchedulerState, target: ProbeTarget) -> str:
    """What a target's checks come to in a day, beside its probes."""
    if target.waits_for_key:
        return ""
    return "; ".join(
        f"{name} checks take {requests:,.0f} requests a day" + (f", at most ${usd:.4f}" if usd else "")
        for name, requests, usd in _days_of_checks(state, target)
    )


def _open_existing(url: str) -> Store | None:
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
