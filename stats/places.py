"""A target seen from several places: it counts as down only where most of them see it down.

The rule: time is cut into the cells of the roll-ups. A place sees a cell as it was for most of the time that it
decided there; a place that decided nothing has no vote. A cell is down when more than half of the places with a vote
see it down, else up. It stands for as many seconds as the place that decided most of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from stats.strip import Bar


def seen_by_most(places: Sequence[Sequence[Bar]]) -> list[Bar]:
    """The bars of one window seen from each place, cell by cell, as one: all have the same cells, oldest first."""
    return [_cell(cells) for cells in zip(*places, strict=True)]


def _cell(cells: Iterable[Bar]) -> Bar:
    listed = list(cells)
    voting = [bar for bar in listed if bar.up_s + bar.down_s > 0]
    down = sum(bar.down_s > bar.up_s for bar in voting)
    seconds = max((bar.up_s + bar.down_s for bar in voting), default=0.0)
    is_down = down * 2 > len(voting)
    return Bar(
        listed[0].since,
        listed[0].until,
        0.0 if is_down else seconds,
        seconds if is_down else 0.0,
        0.0 if voting else max((bar.not_counted_s for bar in listed), default=0.0),
        sum(bar.probes for bar in listed),
        tuple(sum((Counter(dict(bar.seen)) for bar in listed), Counter()).most_common()),
        next((bar.error for bar in listed if bar.error), None),
    )


def share_up(bars: Iterable[Bar]) -> float | None:
    """Seconds up of the decided ones, 0 to 1; null when none was decided."""
    listed = list(bars)
    up_s, down_s = sum(bar.up_s for bar in listed), sum(bar.down_s for bar in listed)
    return up_s / (up_s + down_s) if up_s + down_s else None
