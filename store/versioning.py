"""How a row of a table with a history is merged into the versions of the same thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Values = tuple[Any, ...]


@dataclass(frozen=True)
class VersionMerge:
    """What follows: the newest row is closed at `closes_at` (null: it stays as it is), and the row is added or not."""

    closes_at: int | None
    adds: bool


def merge_version(newest: Values | None, row: Values, key_length: int) -> VersionMerge:
    """`newest` is the newest row that is not from the future, as it is now (`store.horizon.as_of`). The facts of a row
    follow its key, whose last column is `valid_from`, and `valid_to`.

    A row that changed closes the open one before it and is added; one that did not, or is older, does nothing. A row
    that is there already and comes with a `valid_to` is closed: the thing is gone. An import brings closed rows, too.
    """
    valid_from, valid_to = row[key_length - 1], row[key_length]
    if newest is None or newest[key_length] is not None:
        return VersionMerge(None, True)
    if valid_to is not None:
        is_same = newest[key_length - 1] == valid_from
        return VersionMerge(valid_to if is_same else None, not is_same)
    if newest[key_length + 1 :] == row[key_length + 1 :] or newest[key_length - 1] >= valid_from:
        return VersionMerge(None, False)
    return VersionMerge(valid_from, True)


def close_before(row: Values, later: Values | None, key_length: int) -> Values:
    """A new row, closed where a `later` version from the future begins, if it is still open."""
    if later is None or row[key_length] is not None:
        return row
    return (*row[:key_length], later[key_length - 1], *row[key_length + 1 :])
