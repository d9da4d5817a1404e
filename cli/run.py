"""`run`: one tick over what is due, or tick after tick."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import ConfigPath, StoreUrl, location, store_url
from cli.streams import forgive_output
from settings.durations import in_words, seconds

if TYPE_CHECKING:
    from collectors.contract import Alerting, MakeAlerting
    from collectors.scheduler.config_watch import ConfigWatch
    from collectors.scheduler.shared_state import SharedState
    from settings.targets import Config
    from store import Store

BROKEN, INTERRUPTED = 1, 130


def run(
    every: Annotated[
        str | None,
        typer.Option(
            metavar="SECONDS",
            help="Keep running, with a tick at each multiple of this interval, until SIGTERM or Ctrl-C.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Run only this collector: probe, local_servers, catalog, endpoint_stats, usage. May be repeated.",
        ),
    ] = None,
    config: ConfigPath = None,
    store: StoreUrl = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Probe every target, due or not; slots that are already decided stay as they are."),
    ] = False,
) -> int:
    """Probe what is due, record it, and exit: for cron and systemd timers. With --every, keep running.

    A target that is down is a result, not an error: the exit code is 0 when everything seen was recorded. Runs may
    overlap: a target that another run is still probing is skipped and counted, all others are probed on time.
    """
    from collectors.http.authorities import check_authorities
    from collectors.registry import COLLECTORS
    from collectors.scheduler.config_watch import ConfigWatch
    from collectors.scheduler.lock import LockedError
    from settings.targets import load
    from store import StoreError

    unknown = [name for name in only or [] if name not in COLLECTORS]
    if unknown:
        raise typer.BadParameter(_no_collector(unknown[0], config))
    interval_s = _interval(every)
    if interval_s is not None and not _has_terminal():  # there it says that the terminal is gone
        # until the loop is made: a reload that comes while it starts must not end it
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    loaded = load(config)
    watch = ConfigWatch(loaded)
    check_authorities()
    forgive_output()
    try:
        with _shared_state(store_url(store)) as (opened, shared):
            return _run(loaded, watch, opened, shared, interval_s, only or [], everything)
    except LockedError as problem:
        if interval_s is not None:  # there is no next one, unless a supervisor sees that this one failed
            raise StoreError(f"{problem}: start this run again afterwards") from problem
        print(f"{problem}; this run exits, and the next one continues", file=sys.stderr)
        return 0


@contextmanager
def _shared_state(url: str) -> Iterator[tuple[Store, SharedState]]:
    """The store, and what the runs over it share."""
    from collectors.scheduler.lock import lock_path
    from collectors.scheduler.shared_state import SharedState
    from store import StoreError, open_store

    try:
        shared = SharedState(lock_path(url), location())
    except OSError as problem:
        raise StoreError(f"could not create the lock file beside the store: {problem}") from problem
    with shared.exclusive():  # of two runs that begin at once, one makes or migrates the store
        opened = open_store(url)
    try:
        yield opened, shared
    finally:
        opened.close()


def _interval(every: str | None) -> float | None:
    if every is None:
        return None
    try:
        interval_s = float(every) if re.fullmatch(r"[0-9]+(\.[0-9]*)?", every) else seconds(every)
    except ValueError as problem:
        raise typer.BadParameter(str(problem), param_hint="--every") from None
    if not 1 <= interval_s <= 86_400:
        raise typer.BadParameter("must be between 1 second and a day", param_hint="--every")
    return interval_s


def _run(
    loaded: Config,
    watch: ConfigWatch,
    opened: Store,
    shared: SharedState,
    interval_s: float | None,
    only: list[str],
    everything: bool,
) -> int:
    from collectors.registry import choose_collectors
    from collectors.scheduler.console import ConsoleReport
    from collectors.scheduler.notices import short_intervals
    from collectors.scheduler.scheduler import Scheduler

    on_terminal = sys.stdout.isatty()
    report = ConsoleReport(bar=on_terminal and interval_s is None)
    alerting = _alerting(opened, shared, interval_s)
    loop = Scheduler(loaded, opened, location(), report, choose_collectors(only), shared, watch, alerting)
    caught: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        caught.append(number)
        loop.stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    if interval_s is not None and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda _number, _frame: setattr(loop, "is_asked_to_reload", True))
    try:
        loop.report_notices(interval_s)
        if interval_s is None:
            for warning in short_intervals(loaded, shared.timer_step_s()):
                report.say(warning)
            later = loop.run_once(everything=everything)
            if later is not None:
                wait_s = max(1.0, later / 1_000 - time.time())
                report.say(f"nothing is due; the next probe is in {in_words(round(wait_s))} (--all probes at once)")
        else:
            loop.run_every(interval_s, everything=everything)
    finally:
        report.print_summary()
        all_ended = loop.close()
    code = BROKEN if loop.is_broken else 0
    if caught and (interval_s is None or caught[0] == signal.SIGINT):
        code = INTERRUPTED
    if not all_ended:  # a thread that still connects somewhere would hold the process up to its time-out
        sys.stdout.flush()
        opened.close()
        os._exit(code)
    return code


def _alerting(opened: Store, shared: SharedState, interval_s: float | None) -> MakeAlerting:
    """What makes the alerting of a configuration; it loads with the first channel."""

    def make(config: Config) -> Alerting | None:
        if not config.alerts.channels:
            return None
        from alerts.alerting import Alerting as Alerts

        lock_path = shared.lock_path.with_name(shared.lock_path.name.removesuffix("collector-lock") + "alerts-lock")
        return Alerts(config, opened, shared.location, lock_path, single=interval_s is None)

    return make


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _no_collector(name: str, config: ConfigPath) -> str:
    """What to say of an --only that is no collector: a target's name is a natural guess."""
    from collectors.registry import COLLECTORS
    from settings.targets import ConfigError, load

    known = f"there is no collector {name!r}; choose one of {', '.join(COLLECTORS)}"
    try:
        target = next((target for target in load(config).all_targets if target.name == name), None)
    except ConfigError:
        return known
    if target is None:
        return known
    state = "" if target.enabled else " and it is disabled (enabled = false)"
    return f"{known}. {name!r} is a target{state}; to probe only some targets, disable the others"
