"""`import`: take back what `export` wrote."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.options import StoreUrl, TableName, store_url
from cli.progress import counting
from collectors.scheduler.lock import lock_path, writing
from collectors.scheduler.shared_state import spool_path
from collectors.scheduler.spool import Spool
from store import Store, StoreError, open_store
from store.formats import FileError
from store.import_files import read_rows
from store.pending import ROWS_AT_ONCE, PendingFile, write_pending
from store.schema import TABLES, Table

BYTES_A_ROW = 160
"""For the bar's total alone: a CSV row is about this long."""


def import_(
    table: TableName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .csv, .jsonl or .parquet file that export wrote.")],
    store: StoreUrl = None,
) -> int:
    """Add the rows of a file that `export` wrote, all of them or none. A CSV file may have been saved again by a
    spreadsheet: with a byte order mark, semicolons or tabs between fields, and decimal commas.

    The file is read to its end before the first row goes into the store; then they go in some at a time, so that a
    collector is not held up. An import that is interrupted then is finished by the next `run` or `import`. A row
    that is there already is left alone, so that the same file can be imported twice.
    """
    chosen = TABLES.get(table)
    if chosen is None:
        raise typer.BadParameter(f"there is no table {table!r}; choose one of {', '.join(TABLES)}", param_hint="TABLE")
    if chosen.is_derived:
        raise typer.BadParameter(f"{table} is derived from the probes: import those instead", param_hint="TABLE")
    if not file.is_file():
        raise typer.BadParameter(f"there is no file {file}", param_hint="FILE")
    url = store_url(store)
    with writing(url):
        opened = open_store(url)
        try:
            beside = spool_path(lock_path(url))
            _finish_earlier(beside, opened)
            done = _import(chosen, file, beside, opened)
        finally:
            opened.close()
    print(f"{done.read:,} rows read, {done.new:,} new, {done.read - done.new:,} already present", file=sys.stderr)
    return 0


def _import(table: Table, file: Path, beside: Path, opened: Store) -> PendingFile:
    total = 0
    notes: list[str] = []

    def count_both(rows: int) -> None:
        nonlocal total
        total += rows
        if total % 1_000 == 0:
            count(1_000)

    with counting(lambda: file.stat().st_size // BYTES_A_ROW * 2, "rows read and written (estimate)") as count:
        try:
            path = write_pending(beside, "import", read_rows(table, file, notes.append), count=count_both)
        except FileError:
            raise
        except ValueError as problem:
            raise FileError(f"{file.name}: {problem}") from problem
        except OSError as problem:
            raise StoreError(
                f"{file} could not be read, or its rows not saved beside the store: {problem.strerror or problem}"
            ) from problem
        pending = PendingFile(path)
        print(*notes, sep="\n", end="\n" if notes else "", file=sys.stderr)
        try:
            while pending.step(opened):
                count(ROWS_AT_ONCE)
        except BaseException:  # an interrupt, too: say where the rest of the rows is, and go on with the error
            print(
                f"{pending.read:,} of {total:,} rows are in the store; the rest are in {path}, "
                "and will be imported by the next `run` or `import`",
                file=sys.stderr,
            )
            raise
    return pending


def _finish_earlier(beside: Path, opened: Store) -> None:
    """Take in what an import or a run left that was interrupted."""
    spool = Spool(beside, lambda text: print(text, file=sys.stderr))
    spool.import_rows(opened, float("inf"))
    spool.close()
