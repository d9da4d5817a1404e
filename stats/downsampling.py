"""Fewer points than a chart has pixels, without losing what stands out: every spike and every failure is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from store.outcomes import DOWN

MOST_POINTS = 800
"""A chart is at most about this many pixels wide."""
MOST_MARKS = 240
"""Marks on the floor of a chart are three pixels wide and more."""

Point = tuple[int, float | None]


def downsample(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """At most `most` of these (moments in milliseconds UTC, in order; a null value breaks the line): of each stretch
    of equal length its first, its lowest, its highest and its last, and a null where it has one.
    """
    if len(points) <= most:
        return list(points)
    began, ended = points[0][0], points[-1][0]
    stretches = max(1, most // 5)
    length = (ended - began) // stretches + 1
    kept: list[Point] = []
    for stretch in _grouped(points, began, length):
        known = [(value, place) for place, (_, value) in enumerate(stretch) if value is not None]
        breaks = [place for place, (_, value) in enumerate(stretch) if value is None]
        extremes = [min(known)[1], max(known)[1]] if known else []
        chosen = {0, len(stretch) - 1, *breaks[:1], *extremes}
        kept += [stretch[place] for place in sorted(chosen)]
    return kept


@dataclass(frozen=True)
class Mark:
    """Failures from `since` to `until` (milliseconds UTC) that share a mark: how many of which outcome, and what the
    first of them said, where that is known.
    """

    since: int
    until: int
    outcomes: tuple[tuple[str, int], ...]
    error: str | None = None

    @property
    def count(self) -> int:
        """All of them."""
        return sum(count for _, count in self.outcomes)


def marks(
    failures: Iterable[tuple[int, str, int]],
    since: int,
    until: int,
    most: int = MOST_MARKS,
    errors: Mapping[int, str] | None = None,
) -> list[Mark]:
    """Failures (moment in milliseconds UTC, outcome, how many) of a window as at most `most` marks; what is no failure
    is left out. `errors` are what was said, by moment.
    """
    said = errors or {}
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
            next((said[at] for at in sorted(moments) if at in said), None),
        )
        for _, (moments, counted) in sorted(cells.items())
    ]


def _grouped(points: Sequence[Point], began: int, length: int) -> Iterable[list[Point]]:
    stretch: list[Point] = []
    place = 0
    for point in points:
        here = (point[0] - began) // length
        if here != place and stretch:
            yield stretch
            stretch = []
        place = here
        stretch.append(point)
    if stretch:
        yield stretch
