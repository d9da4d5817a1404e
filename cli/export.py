"""`export`: rows as CSV, JSON Lines or Parquet, streamed."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from cli.options import StoreUrl, TableName, as_text, moment_or_age, store_url
from cli.progress import counting
from store import Selection, StoreError, open_store
from store.formats import FORMATS, Format, form_of, write_rows
from store.part_files import part_file
from store.schema import TABLES


def export(
    table: TableName,
    since: Annotated[
        str | None, typer.Option(metavar="T", help="Rows since this time: 2026-11-24, 2026-11-24T12:00Z, or 7d.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="T", help="Rows before this time.")] = None,
    target: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only rows of this target. May be repeated.")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="csv|jsonl|parquet", help="[default: FILE's extension, else csv]"),
    ] = None,
    bom: Annotated[
        bool, typer.Option("--bom", help="Begin a CSV file with a byte order mark: Excel reads it as UTF-8.")
    ] = False,
    output: Annotated[str, typer.Option(metavar="FILE|-", help="The file to write; - is standard output.")] = "-",
    store: StoreUrl = None,
) -> int:
    """Write rows to a file or to standard output, in constant memory, whatever their number.

    A file appears under its name only when it is whole. `import` takes it back.
    """
    chosen = TABLES.get(table)
    if chosen is None:
        raise typer.BadParameter(f"there is no table {table!r}; choose one of {', '.join(TABLES)}", param_hint="TABLE")
    selection = Selection(moment_or_age(since), moment_or_age(until), tuple(map(as_text, target or ())))
    written_form = _form(form, output)
    if bom and written_form != "csv":
        raise typer.BadParameter(f"only a CSV file has one, and this is {written_form}", param_hint="--bom")
    opened = open_store(store_url(store), read_only=True)
    try:
        with _destination(output) as stream, counting(lambda: opened.count(chosen, selection), "rows") as count:
            stream.write(codecs.BOM_UTF8 if bom else b"")
            total = write_rows(chosen, opened.read(chosen, selection), stream, written_form, count)
    finally:
        opened.close()
    print(f"{total:,} rows of {chosen.name} in {'standard output' if output == '-' else output}", file=sys.stderr)
    return 0


def _form(form: str | None, output: str) -> Format:
    if form is not None:
        for known in FORMATS:
            if form == known:
                return known
        raise typer.BadParameter(f"{form!r} is not a format; choose one of {', '.join(FORMATS)}", param_hint="--format")
    return form_of(Path(output)) if output != "-" and Path(output).suffix else "csv"


@contextmanager
def _destination(output: str) -> Iterator[BinaryIO]:
    """Standard output, or a file beside the wanted one that gets its name when it is whole."""
    if output == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(output)
    if path.exists() and not path.is_file():  # a device or a pipe is written to, and never replaced by a file
        try:
            with path.open("wb") as stream:
                yield stream
        except OSError as problem:
            raise StoreError(f"{path} could not be written: {problem.strerror or problem}") from problem
        return
    try:
        with part_file(path) as part, part.open("wb") as stream:
            yield stream
    except OSError as problem:
        raise StoreError(f"{path} could not be written: {problem.strerror or problem}") from problem
