"""The health of the collectors: what each did lately, and whether it succeeded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median

from stats.status_bars import Bar
from store.schema import Run


@dataclass(frozen=True)
class Activity:
    """One collector at one location over its runs, oldest first. `duration_s`: the median of a run."""

    collector: str
    location: str
    runs: Sequence[Run]

    @property
    def last(self) -> Run:
        return self.runs[-1]

    @property
    def rows(self) -> int:
        """How many rows they recorded."""
        return sum(run.rows for run in self.runs)

    @property
    def skipped(self) -> int:
        """How many probes were due and not made."""
        return sum(run.skipped for run in self.runs)

    @property
    def failed(self) -> list[Run]:
        """The runs with an error, oldest first."""
        return [run for run in self.runs if run.error is not None]

    @property
    def failed_count(self) -> int:
        """How many runs had an error: a row of an hour stands for several."""
        return sum(run.count for run in self.failed)

    @property
    def duration_s(self) -> float:
        """The median time from a run's beginning to its end."""
        return median(max(0, run.ended_at - run.started_at) for run in self.runs) / 1_000


def activities(runs: Iterable[Run]) -> list[Activity]:
    """Each collector at each location, by name."""
    ordered = sorted(runs, key=lambda run: (run.collector, run.location, run.started_at))
    return [
        Activity(collector, location, list(mine))
        for (collector, location), mine in groupby(ordered, key=lambda run: (run.collector, run.location))
    ]


def run_bars(runs: Iterable[Run], since: int, until: int, most: int) -> list[Bar]:
    """Bars of equal length over a window: runs that succeeded count as up, those with an error as down. `probes`
    are runs.
    """
    width = max(1, -(-(until - since) // most))
    counts = [[0, 0] for _ in range(most)]
    for run in runs:
        if since <= run.started_at < until:
            counts[(run.started_at - since) // width][run.error is not None] += run.count
    return [
        Bar(since + n * width, since + (n + 1) * width, float(good), float(bad), 0.0, good + bad)
        for n, (good, bad) in enumerate(counts)
    ]
