"""Rows from the files that `export` writes, streamed, in bounded memory whatever a file holds."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from store.csv_dialect import detect_dialect
from store.formats import BATCH, FileError, form_of, moment
from store.schema import Column, Row, Table

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

LONGEST_TEXT = 131_072
"""Characters; the csv module's own limit for a field."""
LONGEST_RECORD = 4 * 1024 * 1024
LONGEST_SHOWN = 80
LARGEST_GROUP_BYTES = 512 * 1024 * 1024


class TextTooLongError(ValueError):
    """A text longer than the limit."""


def read_rows(table: Table, path: Path, say: Callable[[str], None] = lambda _: None) -> Iterator[Row]:
    """The rows of a file that `write_rows` wrote, streamed, in bounded memory whatever the file holds. `say` gets a
    sentence about a CSV file that a spreadsheet saved again.

    Raises FileError with line and reason.
    """
    form = form_of(path)
    readers: dict[str, Callable[[Table, Path], Iterator[tuple[int, dict[str, Any]]]]] = {
        "csv": partial(_csv_records, say=say),
        "jsonl": _jsonl_records,
        "parquet": _parquet_records,
    }
    try:
        for line, record in readers[form](table, path):
            try:
                yield table.row(**{column.name: _value(column, record.get(column.name)) for column in table.columns})
            except ValueError as problem:
                raise FileError(f"{path.name}, line {line}: {problem}") from problem
    except OSError as problem:
        raise FileError(f"{path} could not be read: {problem.strerror or problem}") from problem


class _Lines:
    """The lines of a file, with the number of the last one in `number`; no record may be longer than a row can be."""

    def __init__(self, file: TextIO, name: str) -> None:
        self._file = file
        self._name = name
        self.number = 0
        self._taken = 0

    def begin_record(self) -> None:
        self._taken = 0

    def __iter__(self) -> Iterator[str]:
        try:
            while line := self._file.readline(LONGEST_RECORD + 1):
                self.number += 1
                self._taken += len(line)
                if self._taken > LONGEST_RECORD:
                    raise FileError(
                        f"{self._name}, line {self.number}: more than {LONGEST_RECORD:,} characters without the end of "
                        "a row: is this a file that export wrote?"
                    )
                yield line
        except UnicodeDecodeError as problem:
            raise FileError(f"{self._name}, after line {self.number}: not UTF-8 text ({problem})") from problem


def _csv_records(table: Table, path: Path, say: Callable[[str], None]) -> Iterator[tuple[int, dict[str, Any]]]:
    texts = {column.name for column in table.columns if column.kind == "text"}
    dialect = detect_dialect(path)
    may_have_decimal_commas = dialect.separator != ","
    numbers = [column.name for column in table.columns if column.kind == "real" or column.name.startswith("usd_per_")]
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = _Lines(file, path.name)
        reader = csv.reader(lines, delimiter=dialect.separator, strict=True)
        try:
            header = next(reader, None)
            _check_names(table, header or [], f"{path.name}, line 1: the header")
            assert header is not None
            for fields in reader:
                lines.begin_record()
                if len(fields) != len(header):
                    raise FileError(
                        f"{path.name}, line {reader.line_num}: {len(fields)} fields, the header has {len(header)}; "
                        "is the file cut off?"
                    )
                record = {
                    name: None if field == "" else (field[1:] if name in texts and field[0] == "'" else field)
                    for name, field in zip(header, fields, strict=True)
                }
                if may_have_decimal_commas:
                    for name in numbers:
                        if text := record.get(name):
                            record[name] = dialect.plain_number(name, text, reader.line_num)
                yield reader.line_num, record
        except csv.Error as problem:
            raise FileError(f"{path.name}, line {reader.line_num}: {problem}") from problem
    if sentence := dialect.description():
        say(sentence)


def _jsonl_records(table: Table, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig") as file:
        lines = _Lines(file, path.name)
        for line in lines:
            lines.begin_record()
            try:
                record = json.loads(line)
            except RecursionError:
                raise FileError(f"{path.name}, line {lines.number}: not a JSON object (nested too deep)") from None
            except ValueError as problem:
                raise FileError(f"{path.name}, line {lines.number}: not a JSON object ({problem})") from problem
            if not isinstance(record, dict):
                raise FileError(f"{path.name}, line {lines.number}: not a JSON object")
            _check_names(table, list(record), f"{path.name}, line {lines.number}: the object")
            yield lines.number, record


def _parquet_records(table: Table, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            _check_names(table, file.schema_arrow.names, f"{path.name}: the schema")
            _check_types(table, file.schema_arrow, path.name)
            _check_sizes(file.metadata, path.name)
            there = set(file.schema_arrow.names)
        texts = [column.name for column in table.columns if column.kind == "text" and column.name in there]
        # repeated texts stay one object each: a small file can expand to many gigabytes
        with pq.ParquetFile(path, read_dictionary=texts) as file:
            for batch in file.iter_batches(BATCH):
                _check_texts(batch, number, path.name)
                columns = [_python_values(values) for values in batch.columns]
                for values in zip(*columns, strict=True):
                    number += 1
                    yield number, dict(zip(batch.schema.names, values, strict=True))
    except (pa.ArrowException, OSError, OverflowError, UnicodeDecodeError) as problem:
        if isinstance(problem, OSError) and problem.errno is not None:
            raise
        reason = str(problem).partition("\n")[0][:200]
        what = f"after row {number}: damaged" if number else "not a Parquet file"
        raise FileError(f"{path.name}: {what} ({reason})") from problem


def _python_values(values: Any) -> list[Any]:
    """A column's values, and each text of a dictionary once."""
    import pyarrow as pa

    if not isinstance(values, pa.DictionaryArray):
        return values.to_pylist()  # type: ignore[no-any-return]
    texts = values.dictionary.to_pylist()
    return [None if place is None else texts[place] for place in values.indices.to_pylist()]


def _check_types(table: Table, schema: pa.Schema, name: str) -> None:
    """Raises FileError for a column of another type than its kind, so that nothing nested is ever unpacked."""
    import pyarrow.types as types

    fits: dict[str, tuple[Callable[[Any], bool], ...]] = {
        "text": (types.is_string, types.is_large_string),
        "integer": (types.is_integer, types.is_floating),
        "real": (types.is_floating, types.is_integer),
        "flag": (types.is_boolean,),
        "moment": (types.is_timestamp, types.is_date, types.is_string, types.is_large_string),
    }
    for column in (column for column in table.columns if column.name in schema.names):
        kind = schema.field(column.name).type
        plain = kind.value_type if types.is_dictionary(kind) else kind
        if not types.is_null(plain) and not any(fit(plain) for fit in fits[column.kind]):
            raise FileError(f"{name}: the column {column.name} is {plain}, not {_KIND_NAMES[column.kind]}")


def _check_sizes(metadata: pq.FileMetaData, name: str) -> None:
    """Raises FileError for a row group that is too large: it is uncompressed in memory at once."""
    for number in range(metadata.num_row_groups):
        size = metadata.row_group(number).total_byte_size
        if size > LARGEST_GROUP_BYTES:
            raise FileError(
                f"{name}: row group {number + 1} is {size / 1e6:,.0f} MB uncompressed, the limit is "
                f"{LARGEST_GROUP_BYTES / 1e6:,.0f} MB: write the file in smaller row groups"
            )


def _check_texts(batch: pa.RecordBatch, before: int, name: str) -> None:
    """Raises FileError when a text of these rows is longer than the limit."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for field, values in zip(batch.schema, batch.columns, strict=True):
        texts = values.dictionary if isinstance(values, pa.DictionaryArray) else values
        if pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type):
            longest = pc.max(pc.binary_length(texts)).as_py() or 0
            if longest > 4 * LONGEST_TEXT:  # bytes
                raise FileError(
                    f"{name}, near row {before + 1}: {field.name}: a text of {longest:,} bytes, the limit is "
                    f"{LONGEST_TEXT:,} characters"
                )


def _check_names(table: Table, names: list[str], what: str) -> None:
    missing = [name for name in table.names if name not in names and name not in table.added]
    unknown = [name for name in names if name not in table.names]
    if missing or unknown or len(names) != len(set(names)):
        parts = []
        if missing:
            parts.append(f"lacks {', '.join(missing)}")
        if unknown:
            parts.append(f"has the unknown {', '.join(map(repr, unknown))}")
        parts = parts or ["repeats a column"]
        raise FileError(f"{what} {' and '.join(parts)}; {table.name} has {', '.join(table.names)}")


def _value(column: Column, value: Any) -> Any:
    if value is None or value == "":
        if column.nullable:
            return None
        raise ValueError(f"{column.name} is empty, but required")
    try:
        return _PARSERS[column.kind](value)
    except TextTooLongError as problem:
        raise ValueError(f"{column.name}: {problem}") from None
    except (ValueError, TypeError, OverflowError) as problem:
        raise ValueError(f"{column.name}: {_shown(value)} is not {_KIND_NAMES[column.kind]}") from problem


def _shown(value: Any) -> str:
    shown = repr(value) if isinstance(value, str | int | float) else type(value).__name__
    return shown if len(shown) <= LONGEST_SHOWN else f"{shown[:LONGEST_SHOWN]}…"


def _too_long(length: int) -> str:
    return f"a text of {length:,} characters is longer than the limit of {LONGEST_TEXT:,}"


def _parse_moment(value: Any) -> int:
    if isinstance(value, date):  # Parquet's; a datetime is one
        value = value.isoformat()
    if not isinstance(value, str):
        raise TypeError(value)
    return moment(value)


def _parse_flag(value: Any) -> bool:
    value = value.lower() if isinstance(value, str) else value  # a spreadsheet writes TRUE
    if value in (True, "true"):
        return True
    if value in (False, "false"):
        return False
    raise ValueError(value)


def _parse_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    if not value.isascii():
        value.encode()  # half a surrogate pair is not text
    if len(value) > LONGEST_TEXT:
        raise TextTooLongError(_too_long(len(value)))
    return value


def _parse_real(value: Any) -> float:
    number = float(value)
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError(value)
    return number


def _parse_integer(value: Any) -> int:
    number = int(value)
    if isinstance(value, bool) or not -(2**63) <= number < 2**63 or (isinstance(value, float) and number != value):
        raise ValueError(value)
    return number


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "text": _parse_text,
    "integer": _parse_integer,
    "real": _parse_real,
    "flag": _parse_flag,
    "moment": _parse_moment,
}
_KIND_NAMES = {
    "text": "text",
    "integer": "a whole number",
    "real": "a finite number",
    "flag": "true or false",
    "moment": "an ISO 8601 time",
}
