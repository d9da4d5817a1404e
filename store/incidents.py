"""Incidents: periods of confirmed failures, found in the probes of one series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from store.outcomes import DOWN, UP
from store.schema import Incident

CONFIRMED_BY = 2


def find_incidents(series: tuple[str, str, str], probes: Iterable[tuple[int, str, str | None]]) -> Iterator[Incident]:
    """The incidents in probes (`started_at`, `outcome`, `error`) of one series (target, location, profile), oldest
    first.

    Two failures in a row open one, which began with the first; the first success ends it. What is not counted neither
    opens, continues nor ends one.
    """
    failures: list[tuple[int, str, str | None]] = []
    for started_at, outcome, error in probes:
        if outcome in DOWN:
            failures.append((started_at, outcome, error))
        elif outcome in UP and failures:
            if len(failures) >= CONFIRMED_BY:
                yield _incident(series, failures, started_at)
            failures = []
    if len(failures) >= CONFIRMED_BY:
        yield _incident(series, failures, None)


def _incident(
    series: tuple[str, str, str], failures: list[tuple[int, str, str | None]], ended_at: int | None
) -> Incident:
    cause = Counter(outcome for _, outcome, _ in failures).most_common(1)[0][0]
    error = next((text for _, outcome, text in reversed(failures) if outcome == cause and text), None)
    return Incident(*series, failures[0][0], ended_at, cause, len(failures), error)
