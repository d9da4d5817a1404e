"""A target seen from several places: it counts as down only where most of them see it down.

The rule: time is cut into the cells of the roll-ups. A place that decided nothing in a cell has no vote there. A cell
is down for the share of its time that more than half of the places with a vote saw down, each at least; of one place
that is its own. It stands for as many seconds as the place that decided most of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from stats.status_bars import Bar, bars_in
from stats.stretches import cut
from stats.uptime import Uptime
from store.rollups import Rollup

PARTS = 24
"""Cells in a bar, at most: an hour in a day."""


@dataclass(frozen=True)
class SeenByMost:
    """How a target did as most places see it: its bars, and its uptime."""

    bars: list[Bar]
    uptime: Uptime


def seen_by_most(
    places: Sequence[Sequence[Rollup]],
    since: int,
    until: int,
    began: int,
    every_s: float,
    most: int,
    *,
    now: int | None = None,
) -> SeenByMost:
    """Of the stretches of each place, in a window (milliseconds UTC); `began`: when any of them first looked. `now`:
    what of the window lies after it is not missing yet.
    """
    every = [rollup for rollups in places for rollup in rollups]
    cell_ms = max((rollup.cell_ms for rollup in every), default=1)
    fine = cut(every, since, until, most * PARTS, cell_ms, round(every_s * 1_000))
    cells = [_cell(cells) for cells in zip(*(bars_in(rollups, fine) for rollups in places), strict=True)]
    up_s, down_s = sum(cell.up_s for cell in cells), sum(cell.down_s for cell in cells)
    deciding = [cell.up_s + cell.down_s for cell in cells if cell.up_s + cell.down_s]
    squares = sum(seconds * seconds for seconds in deciding)
    return SeenByMost(
        _merged(cells, -(-len(cells) // most)),
        Uptime(
            window_s=max(0.0, (min(until, now or until) - max(since, began)) / 1_000),
            up_s=up_s,
            down_s=down_s,
            not_counted_s=sum(cell.not_counted_s for cell in cells),
            probes=len(deciding),
            weight=(up_s + down_s) ** 2 / squares if squares else 0.0,
        ),
    )


def _cell(seen: Sequence[Bar]) -> Bar:
    voting = [bar for bar in seen if bar.up_s + bar.down_s > 0]
    seconds = max((bar.up_s + bar.down_s for bar in voting), default=0.0)
    shares = sorted((bar.down_share for bar in voting), reverse=True)
    down_s = seconds * shares[len(shares) // 2] if shares else 0.0
    return Bar(
        seen[0].since,
        seen[0].until,
        seconds - down_s,
        down_s,
        0.0 if voting else max((bar.not_counted_s for bar in seen), default=0.0),
        seen=_together(seen),
    )


def _merged(cells: Sequence[Bar], size: int) -> list[Bar]:
    """`size` cells in each bar, but for the first one, so that the last is whole."""
    first = len(cells) % size
    groups = [list(cells[:first])] if first else []
    groups += [list(cells[place : place + size]) for place in range(first, len(cells), size)]
    return [
        Bar(
            group[0].since,
            group[-1].until,
            sum(cell.up_s for cell in group),
            sum(cell.down_s for cell in group),
            sum(cell.not_counted_s for cell in group),
            seen=_together(group),
        )
        for group in groups
    ]


def _together(bars: Sequence[Bar]) -> tuple[tuple[str, int], ...]:
    counts: Counter[str] = Counter()
    for bar in bars:
        counts.update(dict(bar.seen))
    return tuple(counts.most_common())
