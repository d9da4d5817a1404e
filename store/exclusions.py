"""Which probes an exclusion concerns. Their rows change: `outcome` becomes `paused`, and `measured_outcome` keeps what
was measured, so that every reader counts them alike, and that it can be undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from store.formats import iso
from store.outcomes import PAUSED
from store.protocol import StoreError
from store.schema import PROBES, Exclusion

Values = tuple[Any, ...]
_OUTCOME, _MEASURED = PROBES.names.index("outcome"), PROBES.names.index("measured_outcome")


@dataclass(frozen=True, slots=True)
class Span:
    """`since` <= t < `until` of one target, in milliseconds UTC."""

    target: str
    since: int
    until: int


def refuse_pruned(exclusions: Iterable[Exclusion], since: int) -> None:
    """Raises StoreError when raw probes that an exclusion concerns are pruned: from before `since`."""
    early = next((each for each in exclusions if each.began_at < since), None)
    if early is not None:
        raise StoreError(
            f"the raw probes of {early.target!r} from before {iso(since)} are pruned, and their roll-ups cannot be "
            "taken apart: nothing was changed; give a range that begins later"
        )


def spans_to_restore(undone: Iterable[Exclusion], standing: Iterable[Exclusion]) -> list[Span]:
    """The parts of undone exclusions that no standing one covers."""
    kept = list(standing)
    spans = []
    for exclusion in undone:
        parts = [(exclusion.began_at, exclusion.ends_at)]
        for other in kept:
            if other.target == exclusion.target:
                parts = [rest for part in parts for rest in _without(part, other)]
        spans += [Span(exclusion.target, since, until) for since, until in parts]
    return spans


def _without(part: tuple[int, int], other: Exclusion) -> list[tuple[int, int]]:
    since, until = part
    before, after = (since, min(until, other.began_at)), (max(since, other.ends_at), until)
    return [rest for rest in (before, after) if rest[0] < rest[1]]


def exclude_values(values: Iterable[Values], standing: Sequence[Exclusion]) -> list[Values]:
    """Rows of `probes` that come after their range was excluded, as those that were there."""
    return [_excluded(row) if _concerns(standing, row) else row for row in values]


def _concerns(standing: Sequence[Exclusion], row: Values) -> bool:
    target, started_at = row[:2]
    return (
        row[_OUTCOME] != PAUSED
        and row[_MEASURED] is None
        and any(each.target == target and each.began_at <= started_at < each.ends_at for each in standing)
    )


def _excluded(row: Values) -> Values:
    changed = list(row)
    changed[_MEASURED], changed[_OUTCOME] = row[_OUTCOME], PAUSED
    return tuple(changed)
