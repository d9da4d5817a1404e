"""A target probed from several locations: it counts as down only where most of them see it down.

Time is split into the cells of the roll-ups. A location that decided nothing in a cell has no vote there. A cell is
down for the share of its time that more than half of the voting locations saw down, each at least; with one location
that is its own share. It stands for as many seconds as the location that decided most of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from stats.intervals import split_range
from stats.status_bars import Bar, bars_in
from stats.uptime import Uptime
from store.rollups import Rollup

PARTS = 24
"""Cells in a bar, at most: an hour in a day."""


@dataclass(frozen=True)
class Consensus:
    """The status bars and the uptime of a target as most locations see it."""

    bars: list[Bar]
    uptime: Uptime


def consensus(
    locations: Sequence[Sequence[Rollup]],
    since: int,
    until: int,
    began: int,
    every_s: float,
    most: int,
    *,
    now: int | None = None,
) -> Consensus:
    """From the roll-ups of each location, in a window (milliseconds UTC); `began`: when the first probe was made. What
    lies after `now` does not lower the coverage.
    """
    rollups_of_all = [rollup for rollups in locations for rollup in rollups]
    cell_ms = max((rollup.cell_ms for rollup in rollups_of_all), default=1)
    fine = split_range(rollups_of_all, since, until, most * PARTS, cell_ms, round(every_s * 1_000))
    cells = [_cell(cells) for cells in zip(*(bars_in(rollups, fine) for rollups in locations), strict=True)]
    up_s, down_s = sum(cell.up_s for cell in cells), sum(cell.down_s for cell in cells)
    deciding = [cell.up_s + cell.down_s for cell in cells if cell.up_s + cell.down_s]
    squares = sum(seconds * seconds for seconds in deciding)
    return Consensus(
        _merge_cells(cells, -(-len(cells) // most)),
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
        seen=_total_outcomes(seen),
    )


def _merge_cells(cells: Sequence[Bar], size: int) -> list[Bar]:
    """`size` cells in each bar; the first one may have fewer."""
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
            seen=_total_outcomes(group),
        )
        for group in groups
    ]


def _total_outcomes(bars: Sequence[Bar]) -> tuple[tuple[str, int], ...]:
    counts: Counter[str] = Counter()
    for bar in bars:
        counts.update(dict(bar.seen))
    return tuple(counts.most_common())
