"""The files that rows are exported to: CSV, JSON Lines and Parquet, streamed in constant memory.

CSV is RFC 4180: a header, CRLF, ISO 8601 times with offset, an empty field for null. A text that a spreadsheet would
run as a formula is written behind an apostrophe, as is one that begins with an apostrophe, so that `store.import_files`
gets back exactly what was there.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal

from store.schema import Table

Format = Literal["csv", "jsonl", "parquet"]
FORMATS: tuple[Format, ...] = ("csv", "jsonl", "parquet")

BATCH = 2_000
FORMULA_STARTS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
"""What OWASP lists as able to start a formula in a spreadsheet, the full-width forms among them."""
_GUARDED = frozenset(FORMULA_STARTS + "'")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FileError(ValueError):
    """A file that is not what `export` wrote. The message names the line and what would be right."""


# -- moments


def iso(moment: int) -> str:
    """Milliseconds since the epoch as `2026-11-24T14:45:00.123+00:00`. Raises OverflowError outside years 1 to 9999."""
    days, rest = divmod(moment, 86_400_000)
    hours, rest = divmod(rest, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    seconds, millis = divmod(rest, 1_000)
    return f"{_day(days)}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}+00:00"


_days: dict[int, str] = {}


def _day(days: int) -> str:
    text = _days.get(days)
    if text is None:
        if len(_days) > 4_000:
            _days.clear()
        text = _days[days] = datetime.fromordinal(_EPOCH.toordinal() + days).strftime("%Y-%m-%d").rjust(10, "0")
    return text


def moment(text: str) -> int:
    """ISO 8601 to milliseconds since the epoch; a time without an offset is UTC. Raises ValueError."""
    parsed = datetime.fromisoformat(text)
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    since = parsed - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000 + since.microseconds // 1_000


def form_of(path: Path) -> Format:
    """The format that a file's name says. Raises FileError for a name that says none."""
    for form in FORMATS:
        if path.suffix.lower() == f".{form}":
            return form
    raise FileError(f"{path.name}: the name must end in .csv, .jsonl or .parquet")


# -- writing


def _text_out(values: tuple[Any, ...]) -> Iterable[Any]:
    if not any(value and value[0] in _GUARDED for value in values):
        return values
    return ["'" + value if value and value[0] in _GUARDED else value for value in values]


def _moment_out(values: tuple[Any, ...]) -> Iterable[Any]:
    return [None if value is None else iso(value) for value in values]


def _flag_out(values: tuple[Any, ...]) -> Iterable[Any]:
    return [None if value is None else ("true" if value else "false") for value in values]


def _as_it_is(values: tuple[Any, ...]) -> Iterable[Any]:
    return values


_CSV_OUT: dict[str, Callable[[tuple[Any, ...]], Iterable[Any]]] = {
    "text": _text_out,
    "moment": _moment_out,
    "flag": _flag_out,
    "integer": _as_it_is,
    "real": _as_it_is,
}


def _batches(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def csv_chunks(table: Table, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[str, int]]:
    """The CSV file of these rows (whole rows of `table`), in pieces of text, each with the number of its rows."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(table.names)
    converters = [_CSV_OUT[column.kind] for column in table.columns]
    yield _taken(buffer), 0
    for batch in _batches(rows):
        columns = zip(*batch, strict=True)
        writer.writerows(
            zip(*(convert(values) for convert, values in zip(converters, columns, strict=True)), strict=True)
        )
        yield _taken(buffer), len(batch)


def marked_csv_chunks(table: Table, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[str, int]]:
    """The same after a byte order mark, without which Excel does not read the file as UTF-8."""
    yield "\ufeff", 0
    yield from csv_chunks(table, rows)


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def jsonl_chunks(table: Table, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[str, int]]:
    """The JSON Lines file of these rows, in pieces of text, each with the number of its rows."""
    moments = [index for index, column in enumerate(table.columns) if column.kind == "moment"]
    flags = [index for index, column in enumerate(table.columns) if column.kind == "flag"]
    names = table.names
    for batch in _batches(rows):
        lines = []
        for row in batch:
            values = list(row)
            for index in moments:
                values[index] = None if values[index] is None else iso(values[index])
            for index in flags:
                values[index] = None if values[index] is None else bool(values[index])
            lines.append(json.dumps(dict(zip(names, values, strict=True)), ensure_ascii=False, allow_nan=False))
        yield "\n".join(lines) + "\n", len(batch)


def write_rows(
    table: Table,
    rows: Iterable[tuple[Any, ...]],
    stream: BinaryIO,
    form: Format,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Write whole rows of `table` to `stream`; `progress` gets the size of each batch. Returns the number of rows."""
    if form == "parquet":
        return _write_parquet(table, rows, stream, progress)
    total = 0
    for text, count in (csv_chunks if form == "csv" else jsonl_chunks)(table, rows):
        stream.write(text.encode())
        total += count
        progress(count)
    return total


def _write_parquet(
    table: Table, rows: Iterable[tuple[Any, ...]], stream: BinaryIO, progress: Callable[[int], None]
) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {
        "text": pa.string(),
        "integer": pa.int64(),
        "real": pa.float64(),
        "flag": pa.bool_(),
        "moment": pa.timestamp("ms", tz="UTC"),
    }
    schema = pa.schema([pa.field(column.name, types[column.kind], column.nullable) for column in table.columns])
    total = 0
    with pq.ParquetWriter(stream, schema) as writer:
        for batch in _batches(rows):
            columns = [
                pa.array(
                    [None if v is None else bool(v) for v in values] if column.kind == "flag" else values, field.type
                )
                for values, column, field in zip(zip(*batch, strict=True), table.columns, schema, strict=True)
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema), row_group_size=100_000)
            total += len(batch)
            progress(len(batch))
    return total
