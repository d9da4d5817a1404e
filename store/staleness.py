"""Is the store fed? From the newest probes and runs: the dashboard's banner and a supervisor's check ask the same."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from statistics import median

from store.horizon import horizon
from store.outcomes import ALERTS
from store.schema import RELAY, Probe, Run, Target

SLACK_S = 15.0
"""A tick in which a target suddenly hangs is recorded so much later than two of the default intervals."""


def last_seen(newest: Iterable[Probe], runs: Iterable[Run], now: int) -> int | None:
    """When a probe began or a run ended last (milliseconds UTC), rows from the future left aside; null before the
    first.
    """
    moments = [probe.started_at for probe in newest] + _ended(runs)
    return max((at for at in moments if at < horizon(now)), default=None)


def stale_since(newest: Sequence[Probe], runs: Sequence[Run], targets: Iterable[Target], now: int) -> int | None:
    """When something was last seen (milliseconds UTC), if the collector has stopped; null while it runs.

    It has stopped when neither a probe nor a run came for two of the shortest intervals and a little.
    A timer that runs more rarely than that is held to its own rhythm, the median step between its last runs.
    """
    intervals = [target.every_s for target in targets if target.state == "active"]
    moments = sorted(at for at in _ended(runs) if at < horizon(now))
    last = last_seen(newest, runs, now)
    if last is None or not intervals:
        return None
    steps = [(after - before) / 1_000 for before, after in itertools.pairwise(moments)]
    rhythm_s = max(min(intervals), median(steps) if len(steps) >= 3 else 0.0)
    return last if now - last > (2 * rhythm_s + SLACK_S) * 1_000 else None


def _ended(runs: Iterable[Run]) -> list[int]:
    """When runs of collectors ended: a relay goes on whether or not anything is probed, and messages have no rhythm."""
    return [run.ended_at for run in runs if run.collector not in (RELAY, ALERTS)]
