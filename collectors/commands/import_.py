"""`import`: take back what `export` wrote."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from collectors.commands.options import StoreUrl, TableName, store_url
from collectors.commands.progress import counting
from store import StoreError, open_store
from store.files import read_rows
from store.rows import TABLES, Row

BYTES_A_ROW = 160
"""For the bar's total alone: a CSV row is about this long."""


def import_(
    table: TableName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .csv, .jsonl or .parquet file that export wrote.")],
    store: StoreUrl = None,
) -> int:
    """Add the rows of a file that `export` wrote, all of them or none.

    A row that is there already is left alone, so that the same file can be imported twice.
    """
    chosen = TABLES.get(table)
    if chosen is None:
        raise typer.BadParameter(f"there is no table {table!r}; there are {', '.join(TABLES)}", param_hint="TABLE")
    if chosen.is_made:
        raise typer.BadParameter(f"{table} is made from the probes: import these, and it is there", param_hint="TABLE")
    if not file.is_file():
        raise typer.BadParameter(f"there is no file {file}", param_hint="FILE")
    opened = open_store(store_url(store))
    read = 0

    def counted(rows: Iterator[Row]) -> Iterator[Row]:
        nonlocal read
        for row in rows:
            read += 1
            if read % 1_000 == 0:
                count(1_000)
            yield row

    try:
        with counting(lambda: file.stat().st_size // BYTES_A_ROW, "rows, about") as count:
            new = opened.write(counted(read_rows(chosen, file)), keep=True)
    except OSError as problem:
        raise StoreError(f"{file} could not be read: {problem.strerror or problem}") from problem
    finally:
        opened.close()
    print(f"{read:,} rows read, {new:,} new, {read - new:,} were there already", file=sys.stderr)
    return 0
