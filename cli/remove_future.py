"""`remove-future`: undo what a clock that was ahead did to a store."""

from __future__ import annotations

import os
import sys
import time
from contextlib import nullcontext
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import StoreUrl, moment_or_age, store_url
from store.clock import now_ms

if TYPE_CHECKING:
    from store import Selection, Store
    from store.schema import Table

DOUBTFUL = 1
RECENT_MS = 2 * 86_400_000


def remove_future(
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove the rows. Without this, only print what would be removed.")
    ] = False,
    now: Annotated[
        str | None,
        typer.Option(metavar="T", help="The current time, when this machine's clock is wrong: 2026-11-24T12:00Z"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Where the rows are saved before they are removed. [default: beside the store]"
        ),
    ] = None,
    store: StoreUrl = None,
) -> int:
    """Remove the rows from the future that a clock which was ahead left, and record what it made the store refuse.

    Rows are from the future from ten minutes after now on. They are saved first, in files that `import` takes back.
    Raw probes that a wrong clock pruned come back from a backup alone; their roll-ups are still there.
    """
    from collectors.scheduler.lock import lock_path, nobody_writes
    from store import open_store

    url, given = store_url(store), moment_or_age(now)
    at = given if given is not None else now_ms()
    with nobody_writes(url) if yes else nullcontext():
        opened = open_store(url, read_only=not yes)
        try:
            if not _shown(opened, at):
                return 0
            doubt = None if given is not None else _doubt(opened, at)
            if doubt is not None:
                print(f"{doubt}: correct the clock, or give the time with --now", file=sys.stderr)
                return DOUBTFUL
            if yes:
                _remove(opened, at, output or lock_path(url).parent)
            else:
                print("nothing was changed: --yes saves these rows and removes them")
        finally:
            opened.close()
    return 0


def _shown(opened: Store, at: int) -> bool:
    """Say what would be done; false when that is nothing."""
    from store.formats import iso
    from store.horizon import horizon, late_rows

    late, kept_since = late_rows(opened, at), opened.kept_since()
    print(f"it is {iso(at)}; rows from {iso(horizon(at))} on are dated in the future")
    for table, rows in late.items():
        [(newest,)] = opened.read(table, columns=(table.time,), newest_first=True, limit=1)
        print(f"{table.name}: {rows:,} rows, up to {iso(newest)}")
    if kept_since > at:
        print(f"rows from before {iso(kept_since)} are refused as pruned; those of today on will be recorded again")
    if not late and kept_since <= at:
        print("no row in this store is dated in the future")
    return bool(late) or kept_since > at


def _remove(opened: Store, at: int, output: Path) -> None:
    from store import Selection
    from store.horizon import horizon, late_rows

    name = f"from-the-future-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(at / 1_000))}"
    names = chain((name,), (f"{name}-{number}" for number in count(2)))  # two within a second, or with the same --now
    folder = next(folder for name in names if not (folder := output / name).exists())
    late = late_rows(opened, at)
    for table in late:
        _save(opened, table, Selection(since=horizon(at)), folder)
    gone = opened.remove_from(horizon(at), at)
    saved = f"; they are saved in {folder}, and `import TABLE FILE` restores them" if late else ""
    print(f"{gone:,} rows were removed{saved}")


def _doubt(opened: Store, at: int) -> str | None:
    """Why it may be this machine's clock that is behind; null when nothing says so."""
    from store.horizon import horizon, late_probes

    if Path(__file__).stat().st_mtime * 1_000 > horizon(at):
        return f"this machine's clock may be behind: {__file__} has a later modification time"
    believed = [series.newest.started_at for series in opened.series(horizon(at))]
    if late_probes(opened, at) and max(believed, default=0) < at - RECENT_MS:
        return "this machine's clock may be behind: no probe was recorded in the last two days"
    return None


def _save(opened: Store, table: Table, late: Selection, folder: Path) -> None:
    from store.formats import write_rows

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{table.name}.jsonl"
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as stream:
        write_rows(table, opened.read(table, late), stream, "jsonl")
        stream.flush()
        os.fsync(stream.fileno())
