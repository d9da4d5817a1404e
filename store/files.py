"""The files that rows leave and enter by: CSV, JSON Lines and Parquet, streamed in constant memory.

CSV is RFC 4180: a header, CRLF, ISO 8601 times with offset, an empty field for null. A text that a spreadsheet would
run as a formula is written behind an apostrophe, as is one that begins with an apostrophe, so that `read_rows` gets
back exactly what was there.
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

from store.rows import Column, Row, Table

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
    """Write whole rows of `table` to `stream`; `progress` is told of each batch. Returns the number of rows."""
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


# -- reading


def form_of(path: Path) -> Format:
    """The format that a file's name says. Raises FileError for a name that says none."""
    for form in FORMATS:
        if path.suffix.lower() == f".{form}":
            return form
    raise FileError(f"{path.name}: the name must end in .csv, .jsonl or .parquet")


def read_rows(table: Table, path: Path) -> Iterator[Row]:
    """The rows of a file that `write_rows` wrote, streamed. Raises FileError (line and reason) or OSError."""
    form = form_of(path)
    readers = {"csv": _csv_records, "jsonl": _jsonl_records, "parquet": _parquet_records}
    for line, record in readers[form](table, path):
        try:
            yield table.row(**{column.name: _value(column, record.get(column.name)) for column in table.columns})
        except ValueError as problem:
            raise FileError(f"{path.name}, line {line}: {problem}") from problem


def _csv_records(table: Table, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    texts = {column.name for column in table.columns if column.kind == "text"}
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, None)
            _check_names(table, header or [], f"{path.name}, line 1: the header")
            assert header is not None
            for fields in reader:
                if len(fields) != len(header):
                    raise FileError(
                        f"{path.name}, line {reader.line_num}: {len(fields)} fields, the header has {len(header)}; "
                        "is the file cut off?"
                    )
                yield (
                    reader.line_num,
                    {
                        name: None if field == "" else (field[1:] if name in texts and field[0] == "'" else field)
                        for name, field in zip(header, fields, strict=True)
                    },
                )
        except csv.Error as problem:
            raise FileError(f"{path.name}, line {reader.line_num}: {problem}") from problem
        except UnicodeDecodeError as problem:
            raise FileError(f"{path.name}, after line {reader.line_num}: not UTF-8 text ({problem})") from problem


def _jsonl_records(table: Table, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                record = json.loads(line)
            except ValueError as problem:
                raise FileError(f"{path.name}, line {number}: not a JSON object ({problem})") from problem
            if not isinstance(record, dict):
                raise FileError(f"{path.name}, line {number}: not a JSON object")
            _check_names(table, list(record), f"{path.name}, line {number}: the object")
            yield number, record


def _parquet_records(table: Table, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except pa.ArrowException as problem:
        raise FileError(f"{path.name}: not a Parquet file ({problem})") from problem
    _check_names(table, file.schema_arrow.names, f"{path.name}: the schema")
    number = 0
    for batch in file.iter_batches(BATCH):
        for record in batch.to_pylist():
            number += 1
            yield number, record


def _check_names(table: Table, names: list[str], what: str) -> None:
    missing = [name for name in table.names if name not in names and name not in table.added]
    unknown = [name for name in names if name not in table.names]
    if missing or unknown or len(names) != len(set(names)):
        parts = []
        if missing:
            parts.append(f"lacks {', '.join(missing)}")
        if unknown:
            parts.append(f"has the unknown {', '.join(map(repr, unknown))}")
        parts = parts or ["names a column twice"]
        raise FileError(f"{what} {' and '.join(parts)}; {table.name} has {', '.join(table.names)}")


def _value(column: Column, value: Any) -> Any:
    if value is None or value == "":
        if column.nullable:
            return None
        raise ValueError(f"{column.name} is empty; it is needed")
    try:
        return _FROM[column.kind](value)
    except (ValueError, TypeError, OverflowError) as problem:
        raise ValueError(f"{column.name}: {value!r} is no {_SAID[column.kind]}") from problem


def _to_moment(value: Any) -> int:
    return moment(value if isinstance(value, str) else value.isoformat())


def _to_flag(value: Any) -> bool:
    if value in (True, "true"):
        return True
    if value in (False, "false"):
        return False
    raise ValueError(value)


def _to_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _to_real(value: Any) -> float:
    number = float(value)
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError(value)
    return number


def _to_integer(value: Any) -> int:
    number = int(value)
    if isinstance(value, bool) or not -(2**63) <= number < 2**63 or (isinstance(value, float) and number != value):
        raise ValueError(value)
    return number


_FROM: dict[str, Callable[[Any], Any]] = {
    "text": _to_text,
    "integer": _to_integer,
    "real": _to_real,
    "flag": _to_flag,
    "moment": _to_moment,
}
_SAID = {
    "text": "text",
    "integer": "whole number",
    "real": "finite number",
    "flag": "true or false",
    "moment": "ISO 8601 time",
}
