"""How many failures in a row each series has had: two are an incident, which the first success ends."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from collectors.scheduler.schedule import series_key
from store import Selection, Store
from store.incidents import CONFIRMED_BY
from store.outcomes import DOWN, UP
from store.schema import PROBES, Probe

INTERVALS_BACK = 3
SLACK_MS = 600_000


def needs_confirmation(outcome: str | None, failures: int) -> bool:
    """Whether a probe is repeated before its slot is decided: a failure, unless an incident is open already."""
    return outcome in DOWN and failures < CONFIRMED_BY


def failures_after(outcome: str | None, failures: int) -> int:
    """The failures in a row after one more probe. What is not counted changes nothing."""
    return failures + 1 if outcome in DOWN else 0 if outcome in UP else failures


def consecutive_failures(store: Store, newest: Sequence[Probe]) -> dict[str, int]:
    """The failures since the last success of the series that these newest probes are of, as far as a few intervals
    back show them: what is not found there is confirmed once more. Raises StoreError.
    """
    if not newest:
        return {}
    back_ms = round(INTERVALS_BACK * max(probe.stands_for_s for probe in newest) * 1_000) + SLACK_MS
    latest = max(probe.started_at for probe in newest)
    recent = [probe for probe in newest if probe.started_at >= latest - back_ms]  # not one that was removed a year ago
    since = min(probe.started_at for probe in recent) - back_ms
    wanted = {series_key(probe.target, probe.profile) for probe in recent}
    [location] = {probe.location for probe in recent}
    targets = tuple({probe.target for probe in recent})
    columns = ("target", "started_at", "location", "profile", "outcome")
    selection = Selection(since, latest + 1, targets)
    rows = sorted(store.read(PROBES, selection, columns=columns), key=lambda row: int(row[1]))
    counts: dict[str, int] = {}
    for series, found in itertools.groupby(
        sorted((row for row in rows if row[2] == location), key=_series), key=_series
    ):
        if series in wanted:
            outcomes = [row[4] for row in found if row[4] in DOWN or row[4] in UP]
            failed = itertools.takewhile(lambda outcome: outcome in DOWN, reversed(outcomes))
            counts[series] = min(CONFIRMED_BY, sum(1 for _ in failed))
    return counts


def _series(row: tuple[str, int, str, str, str]) -> str:
    return series_key(row[0], row[3])
