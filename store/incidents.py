"""Incidents: periods of confirmed failures, found in the probes of one series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from store.outcomes import DOWN, UP
from store.schema import Incident

CONFIRMED_BY = 2


class Event(NamedTuple):
    """A probe of a series (milliseconds UTC), or a failure that many `times`, with nothing else between them."""

    started_at: int
    outcome: str
    error: str | None
    times: int = 1


def find_incidents(series: tuple[str, str, str], events: Iterable[Event]) -> Iterator[Incident]:
    """The incidents in the events of one series (target, location, profile), oldest first.

    Two failures in a row open one, which began with the first; the first success ends it. What is not counted neither
    opens, continues nor ends one.
    """
    failures: list[Event] = []
    for event in events:
        if event.outcome in DOWN:
            failures.append(event)
        elif event.outcome in UP and failures:
            yield from _confirmed(series, failures, event.started_at)
            failures = []
    yield from _confirmed(series, failures, None)


def _confirmed(series: tuple[str, str, str], failures: list[Event], ended_at: int | None) -> Iterator[Incident]:
    counts: Counter[str] = Counter()
    for event in failures:
        counts[event.outcome] += event.times
    if counts.total() >= CONFIRMED_BY:
        cause = counts.most_common(1)[0][0]
        error = next((event.error for event in reversed(failures) if event.outcome == cause and event.error), None)
        yield Incident(*series, failures[0].started_at, ended_at, cause, counts.total(), error)
