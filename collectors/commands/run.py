"""`run`: one tick over what is due, or tick after tick."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from collectors.commands.options import ConfigPath, StoreUrl, location, store_url
from collectors.commands.streams import forgive_output
from collectors.scheduler.durations import in_words, seconds

if TYPE_CHECKING:
    from collectors.scheduler.config import Config
    from collectors.scheduler.report import Report
    from collectors.scheduler.shared_state import SharedState
    from store import Store

BROKEN, INTERRUPTED = 1, 130
SHORT = 0.9
"""An interval below this share of the timer's step is too short for it."""


def run(
    every: Annotated[
        str | None,
        typer.Option(
            metavar="SECONDS",
            help="Keep running, with a tick at each multiple of this on the clock, until SIGTERM or Ctrl-C.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Run this collector alone: probe, local_servers, catalog, endpoint_stats, usage. May be repeated.",
        ),
    ] = None,
    config: ConfigPath = None,
    store: StoreUrl = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Probe every target, due or not; a slot that is decided already stays so."),
    ] = False,
) -> int:
    """Probe what is due, record it, and exit: for cron and systemd timers. With --every, keep running.

    A target that is down is a result, not an error: the exit code is 0 when everything seen was recorded. Runs may
    overlap: a target that another run is still probing is skipped and counted, all others are probed on time.
    """
    from collectors.http.authorities import check_authorities
    from collectors.registry import COLLECTORS
    from collectors.scheduler.config import load
    from collectors.scheduler.lock import LockedError, lock_path
    from collectors.scheduler.shared_state import SharedState
    from store import StoreError, open_store

    unknown = [name for name in only or [] if name not in COLLECTORS]
    if unknown:
        raise typer.BadParameter(_no_collector(unknown[0], config))
    interval_s = _interval(every)
    loaded = load(config)
    check_authorities()
    forgive_output()
    url = store_url(store)
    try:
        try:
            shared = SharedState(lock_path(url), location())
        except OSError as problem:
            raise StoreError(f"the collector's lock beside the store could not be made: {problem}") from problem
        with shared.exclusive():  # of two runs that begin at once, one makes or migrates the store
            opened = open_store(url)
        try:
            return _run(loaded, opened, shared, interval_s, only or [], everything)
        finally:
            opened.close()
    except LockedError as problem:
        if interval_s is not None:  # there is no next one, unless a supervisor sees that this one failed
            raise StoreError(f"{problem}: start this run again when that is over") from problem
        print(f"{problem}; this run leaves, and the next one goes on", file=sys.stderr)
        return 0


def _interval(every: str | None) -> float | None:
    if every is None:
        return None
    try:
        interval_s = float(every) if re.fullmatch(r"[0-9]+(\.[0-9]*)?", every) else seconds(every)
    except ValueError as problem:
        raise typer.BadParameter(str(problem), param_hint="--every") from None
    if not 1 <= interval_s <= 86_400:
        raise typer.BadParameter("it must be between 1 second and a day", param_hint="--every")
    return interval_s


def _run(
    loaded: Config, opened: Store, shared: SharedState, interval_s: float | None, only: list[str], everything: bool
) -> int:
    from collectors.scheduler.loop import Loop
    from collectors.scheduler.report import Report
    from collectors.scheduler.room import make_room

    on_terminal = sys.stdout.isatty()
    report = Report(bar=on_terminal and interval_s is None)
    room = make_room(sum(len(target.schedules) for target in loaded.targets), len(loaded.targets))
    loop = Loop(loaded, opened, location(), report, only, shared, room)
    caught: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        caught.append(number)
        loop.stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    _say_what_waits(loaded, report)
    for warning in room.warnings:
        report.say(warning)
    try:
        if interval_s is None:
            for warning in short_intervals(loaded, shared.timer_step_s()):
                report.say(warning)
            later = loop.once(everything=everything)
            if later is not None:
                wait_s = max(1.0, later / 1_000 - time.time())
                report.say(f"nothing is due; the next is in {in_words(round(wait_s))} (--all probes at once)")
        else:
            _warn_of_slow_ticks(loaded, interval_s, report)
            loop.every(interval_s, everything=everything)
    finally:
        report.summary()
        all_ended = loop.close()
    code = BROKEN if loop.broke else 0
    if caught and (interval_s is None or caught[0] == signal.SIGINT):
        code = INTERRUPTED
    if not all_ended:  # a thread that still connects somewhere would hold the process up to its time-out
        sys.stdout.flush()
        opened.close()
        os._exit(code)
    return code


def short_intervals(loaded: Config, step_s: float | None) -> list[str]:
    """What to change where a timer starts runs more rarely than targets are due; `step_s` is its usual step."""
    if step_s is None:
        return []
    short = [target for target in loaded.targets if target.every_s < SHORT * step_s and not target.waits_for_key]
    whole_s = round(step_s)
    return [
        f"{target.name} is to be probed every {target.every_s:g} s, but a run starts every {whole_s} s: "
        f"{target.every_s / whole_s:.0%} of its slots can be decided, and below 50% it gets no uptime. Set "
        f'every = "{whole_s}s" for it, start runs more often, or keep one running: run --every 5'
        for target in short
    ]


def _no_collector(name: str, config: ConfigPath) -> str:
    """What to say of an --only that is no collector: a target's name is a natural guess."""
    from collectors.registry import COLLECTORS
    from collectors.scheduler.config import ConfigError, load

    known = f"there is no collector {name!r}; there are {', '.join(COLLECTORS)}"
    try:
        target = next((target for target in load(config).all_targets if target.name == name), None)
    except ConfigError:
        return known
    if target is None:
        return known
    state = "" if target.enabled else " and it is disabled (enabled = false)"
    return f"{known}. {name!r} is a target{state}; to probe some targets only, disable the others"


def _say_what_waits(loaded: Config, report: Report) -> None:
    if not loaded.targets:
        which = "the only target is" if len(loaded.disabled) == 1 else f"all {len(loaded.disabled)} targets are"
        report.say(
            f"{which} disabled (enabled = false): nothing is probed. Set enabled = true for one in {loaded.path}"
        )
    for target in loaded.targets:
        if target.waits_for_key:
            report.say(f"waiting for a key: {target.name} is not probed before; {target.where_key_belongs}")


def _warn_of_slow_ticks(loaded: Config, interval_s: float, report: Report) -> None:
    quickest = min(loaded.targets, key=lambda target: target.every_s, default=None)
    if quickest is not None and quickest.every_s < interval_s:
        report.say(
            f"--every {interval_s:g} is longer than the interval of {quickest.name} ({quickest.every_s:g} s): "
            "it is probed once a tick, and its coverage will say so"
        )
