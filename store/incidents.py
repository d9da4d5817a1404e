"""Incidents: stretches of confirmed failures, told from the probes of one series in their order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from store.schema import DOWN, UP

CONFIRMED_BY = 2


class Event(NamedTuple):
    """A probe of a series (milliseconds UTC), or a failure that many `times`, with nothing else between them."""

    started_at: int
    outcome: str
    error: str | None
    times: int = 1


@dataclass(frozen=True, slots=True)
class Stretch:
    """From the first failure to the first success after it (null: still going on), in milliseconds UTC."""

    began_at: int
    ended_at: int | None
    cause: str
    probes: int
    error: str | None

    def duration_s(self, now: int) -> float:
        """Seconds so far, or in all."""
        return ((self.ended_at if self.ended_at is not None else now) - self.began_at) / 1_000


def stretches(events: Iterable[Event]) -> Iterator[Stretch]:
    """The incidents in the events of one series, oldest first.

    Two failures in a row open one, which began with the first; the first success ends it. What is not counted neither
    opens, feeds nor ends one.
    """
    failures: list[Event] = []
    for event in events:
        if event.outcome in DOWN:
            failures.append(event)
        elif event.outcome in UP and failures:
            yield from _confirmed(failures, event.started_at)
            failures = []
    yield from _confirmed(failures, None)


def _confirmed(failures: list[Event], ended_at: int | None) -> Iterator[Stretch]:
    counts: Counter[str] = Counter()
    for event in failures:
        counts[event.outcome] += event.times
    if counts.total() >= CONFIRMED_BY:
        cause = counts.most_common(1)[0][0]
        error = next((event.error for event in reversed(failures) if event.outcome == cause and event.error), None)
        yield Stretch(failures[0].started_at, ended_at, cause, counts.total(), error)
