"""Fewer points than a chart has pixels, without losing what stands out: every spike and every failure is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from store.outcomes import DOWN

MOST_POINTS = 800
"""A chart is at most about this many pixels wide."""
MOST_MARKS = 240
"""Marks on the floor of a chart are three pixels wide and more."""

Point = tuple[int, float | None]


def downsample(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """At most `most` of these (moments in milliseconds UTC, in order; a null value breaks the line): of each interval
    its first, its lowest, its highest and its last, and a null where it has one.
    """
    if len(points) <= most:
        return list(points)
    began, ended = points[0][0], points[-1][0]
    length = (ended - began) // max(1, most // 5) + 1
    chosen: list[Point] = []
    for interval in _split(points, began, length):
        known = [(value, place) for place, (_, value) in enumerate(interval) if value is not None]
        breaks = [place for place, (_, value) in enumerate(interval) if value is None]
        extremes = [min(known)[1], max(known)[1]] if known else []
        chosen += [interval[place] for place in sorted({0, len(interval) - 1, *breaks[:1], *extremes})]
    return chosen


@dataclass(frozen=True)
class Mark:
    """Failures from `since` to `until` (milliseconds UTC) that share a mark: how many of which outcome, and the
    first error text, where one is known.
    """

    since: int
    until: int
    outcomes: tuple[tuple[str, int], ...]
    error: str | None = None

    @property
    def count(self) -> int:
        return sum(count for _, count in self.outcomes)


def marks(
    failures: Iterable[tuple[int, str, int]],
    since: int,
    until: int,
    most: int = MOST_MARKS,
    errors: Mapping[int, str] | None = None,
) -> list[Mark]:
    """Failures (moment in milliseconds UTC, outcome, how many) of a window as at most `most` marks; other outcomes
    are skipped. `errors` are the error texts, by moment.
    """
    texts = errors or {}
    length = (until - since) // most + 1
    cells: dict[int, tuple[list[int], Counter[str]]] = {}
    for at, outcome, count in failures:
        if outcome in DOWN and count and since <= at < until:
            moments, counted = cells.setdefault((at - since) // length, ([], Counter()))
            moments.append(at)
            counted[outcome] += count
    return [
        Mark(
            min(moments),
            max(moments),
            tuple(counted.most_common()),
            next((texts[at] for at in sorted(moments) if at in texts), None),
        )
        for _, (moments, counted) in sorted(cells.items())
    ]


def _split(points: Sequence[Point], began: int, length: int) -> Iterable[list[Point]]:
    return (list(interval) for _, interval in groupby(points, key=lambda point: (point[0] - began) // length))
