"""Rows in the order of a key, one bounded query after another.

A query that stays open while somebody reads its rows holds a transaction, and SQLite cannot empty its write-ahead log
meanwhile. Here each query is over before its first row is handed out, however slow the reader is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Values = tuple[Any, ...]


@dataclass(frozen=True)
class KeyRange:
    """The rows whose first key columns are `equal` to these values and whose next ones come after `beyond`."""

    equal: Values = ()
    beyond: Values = ()

    def columns(self, key: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
        """The columns of `key` that `equal` and `beyond` are values of."""
        middle = len(self.equal)
        return key[:middle], key[middle : middle + len(self.beyond)]


def in_batches(
    fetch: Callable[[KeyRange], list[Values]], key_of: Callable[[Values], Values], group: int, size: int
) -> Iterator[Values]:
    """All rows in order of their key. `fetch` returns the first rows of a range, at most `size`.

    The rest of a group (the rows with the same first `group` key columns) and the groups after it are separate ranges:
    an index finds each of them at once, which it does not for a comparison of whole keys on every engine.
    """
    part = KeyRange()
    while True:
        rows = fetch(part)
        yield from rows
        if len(rows) >= size:
            last = key_of(rows[-1])
            part = KeyRange(last[:group], last[group:])
        elif part.equal:
            part = KeyRange(beyond=part.equal)
        else:
            return
