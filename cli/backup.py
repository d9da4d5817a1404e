"""`backup`, `restore` and `repair`: the store's file, copied, put back, and saved from damage."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.options import StoreUrl, store_url
from cli.progress import counting

PAGES = "pages of 4 kB"


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The copy to make; it must not exist yet.")],
    store: StoreUrl = None,
) -> int:
    """Copy the store to a file, as it is at this moment, also while a collector writes it.

    The copy is checked before it gets its name. `restore` puts it back.
    """
    from store.backup import back_up, pages_of

    source = _file_of(store)
    with counting(lambda: pages_of(source), PAGES) as count:
        back_up(source, file, count)
    print(f"{source} was copied to {file} ({file.stat().st_size / 1e6:,.1f} MB)", file=sys.stderr)
    return 0


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `backup` or `repair` made.")],
    store: StoreUrl = None,
) -> int:
    """Put a copy in the store's place. The store that was there is kept beside it, under another name.

    The collector has to be stopped meanwhile; a dashboard goes on with what was restored.
    """
    from collectors.scheduler.lock import nobody_writes
    from store.backup import pages_of
    from store.backup import restore as put_back

    target = _file_of(store)
    with (
        nobody_writes(f"sqlite:///{target}"),
        counting(lambda: pages_of(file) if file.exists() else 0, PAGES) as count,
    ):
        aside = put_back(file, target, count)
    print(f"{target} was restored from {file}", file=sys.stderr)
    if aside is not None:
        print(f"the previous store is {aside}: `restore` it to undo this", file=sys.stderr)
    return 0


def repair(
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The new file. [default: the store's name and .repaired]")
    ] = None,
    store: StoreUrl = None,
) -> int:
    """Write what can be read of a damaged store to a new file, and say how much that is.

    The damaged file is not changed. Roll-ups and incidents are made anew from the probes.
    """
    from collectors.scheduler.lock import nobody_writes
    from store.backup import pages_of
    from store.repair import salvage

    source = _file_of(store)
    target = output or source.with_name(f"{source.name}.repaired")
    with (
        nobody_writes(f"sqlite:///{source}", only_reading=True),
        counting(lambda: pages_of(source) * 20 if source.exists() else 0, "rows, about") as count,
    ):
        found = salvage(source, target, count)
    for name, rows in found.rows.items():
        holes = found.holes.get(name, 0)
        damage = f", and {holes} place{'s' if holes > 1 else ''} could not be read" if holes else ""
        print(f"{name}: {rows:,} rows{damage}", file=sys.stderr)
    for name in found.holes.keys() - found.rows.keys():
        print(f"{name}: nothing could be read", file=sys.stderr)
    if found.dropped:
        print(f"{found.dropped:,} rows were invalid and were skipped", file=sys.stderr)
    print(f"{target} has the rows that could be read from {source}; to use it: restore {target}", file=sys.stderr)
    return 0


def _file_of(url: str | None) -> Path:
    """The file of a store; only SQLite's is one."""
    from store import StoreUrlError
    from store.url import parse_store_url

    parsed = parse_store_url(store_url(url))
    if parsed.file is None:
        raise StoreUrlError(
            f"this is for SQLite's files, and not for {parsed.engine}: a ClickHouse server has BACKUP and RESTORE"
        )
    return parsed.file
