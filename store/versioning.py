"""How a row of a table with a history meets the newest one of the same thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Values = tuple[Any, ...]


@dataclass(frozen=True)
class Meeting:
    """What follows: the newest row is closed at `closes_at` (null: it stays as it is), and the row is added or not."""

    closes_at: int | None
    adds: bool


def meet(newest: Values | None, row: Values, key_length: int) -> Meeting:
    """`newest` is the newest row that is not from the future, as it is now (`store.horizon.as_of`). The facts of a row
    begin behind its key, whose last column is `valid_from`, and `valid_to`.

    A row that changed closes the open one before it and is added; one that did not, or is older, does nothing. A row
    that is there already and comes with a `valid_to` is closed: the thing is gone. An import brings closed rows, too.
    """
    valid_from, valid_to = row[key_length - 1], row[key_length]
    if newest is None or newest[key_length] is not None:
        return Meeting(None, True)
    if valid_to is not None:
        is_same = newest[key_length - 1] == valid_from
        return Meeting(valid_to if is_same else None, not is_same)
    if newest[key_length + 1 :] == row[key_length + 1 :] or newest[key_length - 1] >= valid_from:
        return Meeting(None, False)
    return Meeting(valid_from, True)


def until_later(row: Values, later: Values | None, key_length: int) -> Values:
    """A row that is added: one that is still so ends where a `later` one from the future begins."""
    if later is None or row[key_length] is not None:
        return row
    return (*row[:key_length], later[key_length - 1], *row[key_length + 1 :])
