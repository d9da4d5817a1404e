"""`rename`: a target's new name, for its history, too."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import ConfigPath, StoreUrl, as_text, store_url
from cli.target_names import known_names, no_target
from store.clock import HOUR_MS

if TYPE_CHECKING:
    from store import Store

TAKEN_OVER_S, STRAYS_S, POLL_S = 20.0, 5.0, 0.25


def rename(
    old: Annotated[str, typer.Argument(metavar="OLD", help="Its name until now.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its name from now on.")],
    merge: Annotated[
        bool, typer.Option("--merge", help="Put both histories together where NEW has one of its own.")
    ] = False,
    config: ConfigPath = None,
    store: StoreUrl = None,
) -> int:
    """Rename a target: in targets.toml, with comments kept, and everything that the store has of it.

    A collector that runs applies the changed file and goes on under the new name. The command may be repeated, and may
    come after you have changed targets.toml yourself: it moves what is still under the old name. Collectors on other
    machines have their own targets.toml: change it there, too, and repeat the command.
    """
    from cli.changing import changing
    from collectors.scheduler.lock import LockFile, lock_path

    old, new, url = as_text(old), as_text(new), store_url(store)
    if old == new or not new.strip():
        raise typer.BadParameter("give two different names")
    runs = LockFile(lock_path(url))
    is_running = runs.any_run() is not None
    runs.close()
    with changing(url) as opened:
        known = known_names(opened, config, removed=True)
        if old not in known:
            raise typer.BadParameter(no_target(old, known), param_hint="OLD")
        if not merge:
            _refuse_two_histories(opened, old, new)
        is_changed = _rename_in_file(config, old, new)
        if is_running and is_changed:
            _wait_for_collector(opened, old)
    rows = _move(url, old, new, for_s=STRAYS_S if is_running else 0.0)
    print(f"{old} is {new} now: {rows:,} rows moved{', and targets.toml was changed' if is_changed else ''}")
    return 0


def _rename_in_file(config: Path | None, old: str, new: str) -> bool:
    from settings.editing import config_path, rename_target

    path = config_path(config)
    if not path.exists():
        print(f"there is no {path} here: change the name where the collector's file is", file=sys.stderr)
        return False
    return rename_target(path, old, new)


def _move(url: str, old: str, new: str, *, for_s: float) -> int:
    """Move what is there, and for a while what a running collector still records under the old name."""
    from cli.changing import changing

    until, rows = time.monotonic() + for_s, 0
    while True:
        with changing(url, derives=True) as opened:
            if not rows or _has_rows(opened, old):
                rows += opened.rename_target(old, new)
        if time.monotonic() >= until:
            return rows
        time.sleep(POLL_S)


def _has_rows(opened: Store, name: str) -> bool:
    return any(series.newest.target == name for series in opened.series())


def _wait_for_collector(opened: Store, old: str) -> None:
    from store.schema import TARGETS, Target

    until = time.monotonic() + TAKEN_OVER_S
    while time.monotonic() < until:
        rows = [Target(*row) for row in opened.read(TARGETS)]
        if all(row.state == "removed" for row in rows if row.name == old):
            return
        time.sleep(POLL_S)
    print(
        f"the running collector has not applied the changed file: while it probes {old!r}, new rows appear under that "
        "name; repeat this command afterwards",
        file=sys.stderr,
    )


def _refuse_two_histories(opened: Store, old: str, new: str) -> None:
    """Raises typer.BadParameter when both were probed at the same time. What was moved by a call that was interrupted
    is under both names, and is no other history.
    """
    from store import Selection
    from store.schema import PROBES

    last = max((series.newest.started_at for series in opened.series() if series.newest.target == old), default=None)
    if last is None:
        return
    columns = ("started_at", "location", "profile")
    before = last - HOUR_MS  # for an hour both may be recorded, when targets.toml was changed first
    own = set(opened.read(PROBES, Selection(until=before, targets=(new,)), columns=columns))
    if own and own - set(opened.read(PROBES, Selection(until=before, targets=(old,)), columns=columns)):
        raise typer.BadParameter(f"{new!r} has a history of its own: --merge puts both together", param_hint="NEW")
