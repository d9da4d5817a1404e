"""Rows that wait in a file beside the store until they are written: an import, or what a run could not record.

A file gets its name once all of its rows are in it. From then on they are certain: they go into the store some at a
time, so that nobody waits long for it, and whoever comes next goes on with a file that was left half-way. Rows that are
there already stay as they are, so it does not matter how far the last one came.

JSON Lines: `{"table": …, "columns": […]}`, then an array for each row of that table, until the next one.
"""

from __future__ import annotations

import fcntl
import re
import secrets
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal

import orjson

from store.part_files import part_file, remove_leftovers_in
from store.protocol import Store, StoreError
from store.schema import TABLE_OF, TABLES, Row, Table

ROWS_AT_ONCE = 1_000
"""In one transaction: some 30 ms."""
PAUSE_SHARE = 0.25
"""Of the time that a transaction took: others who wait for the store get it in between."""
Kind = Literal["spool", "import"]
Count = Callable[[int], None]


def write_pending(
    beside: Path, kind: Kind, rows: Iterable[Row], *, most_bytes: int | None = None, count: Count = lambda _: None
) -> Path:
    """Write rows to a new file, which is named after the store that it lies beside. When the iterable raises, or there
    are more than `most_bytes`, nothing is left. Raises OSError, ValueError for a text that is not Unicode.
    """
    path = beside.with_name(f"{beside.name}.{kind}-{time.time_ns()}-{secrets.token_hex(4)}.jsonl")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with part_file(path) as part, part.open("wb") as file:
        table: Table | None = None
        for row in rows:
            if TABLE_OF[type(row)] is not table:
                table = TABLE_OF[type(row)]
                file.write(orjson.dumps({"table": table.name, "columns": table.names}) + b"\n")
            try:
                file.write(orjson.dumps(table.values(row)) + b"\n")
            except TypeError as problem:
                raise ValueError(f"a row of {table.name} cannot be stored: {problem}") from problem
            if most_bytes is not None and file.tell() > most_bytes:
                raise OSError(f"the rows take more than {most_bytes:,} bytes")
            count(1)
    return path


def pending_paths(beside: Path) -> list[Path]:
    """The files that wait for the store: first what runs could not record, each kind oldest first."""
    return [path for kind in ("spool", "import") for path in _paths(beside, kind)]


def sweep_pending(beside: Path) -> None:
    """Remove what dead processes left of such files. Each had a name of its own, so that no later one comes upon it."""
    remove_leftovers_in(beside.parent, rf"{re.escape(beside.name)}\.(spool|import)-.*")


def pending_bytes(beside: Path) -> int:
    """The size of the rows of earlier runs that could not be recorded yet."""
    return sum(path.stat().st_size for path in _paths(beside, "spool"))


def _paths(beside: Path, kind: str) -> list[Path]:
    start = f"{beside.name}.{kind}-"
    with suppress(FileNotFoundError):
        return sorted(
            path for path in beside.parent.iterdir() if path.name.startswith(start) and path.suffix == ".jsonl"
        )
    return []


class PendingFile:
    """A file that this process alone is importing."""

    def __init__(self, path: Path) -> None:
        """Raises OSError, BlockingIOError when another process imports it."""
        self.path = path
        self.read = 0
        self.new = 0
        self._table: Table | None = None
        self._columns: list[str] = []
        self._file: BinaryIO = path.open("rb")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            self._file.close()
            raise

    def step(self, store: Store) -> bool:
        """Write some of the rows; false when none was left, and the file is gone. Raises StoreError, and ValueError for
        a file that is not one of these.
        """
        began, at, table, columns = time.monotonic(), self._file.tell(), self._table, self._columns
        try:
            rows = self._some_rows()
            self.new += store.write(rows, on_conflict="ignore")
        except StoreError:
            self._file.seek(at)
            self._table, self._columns = table, columns
            raise
        self.read += len(rows)
        if not rows:
            self.path.unlink(missing_ok=True)
            self.close()
            return False
        time.sleep(PAUSE_SHARE * (time.monotonic() - began))
        return True

    def close(self) -> None:
        """Close the file and release its lock."""
        self._file.close()

    def _some_rows(self) -> list[Row]:
        rows: list[Row] = []
        while len(rows) < ROWS_AT_ONCE and (line := self._file.readline()):
            values: Any = orjson.loads(line)
            if isinstance(values, dict):
                self._table, self._columns = _header(values)
            elif self._table is None:
                raise ValueError("it does not begin with a table")
            else:
                rows.append(self._table.row(**dict(zip(self._columns, values, strict=True))))
        return rows


def _header(values: dict[str, Any]) -> tuple[Table, list[str]]:
    table = TABLES.get(values.get("table", ""))
    columns = values.get("columns")
    if table is None or not isinstance(columns, list) or not set(columns) <= set(table.names):
        raise ValueError(f"{values} is not a table of this Uptoken")
    return table, columns
