"""Incidents: stretches of confirmed failures, told from the probes of one series in their order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from store.outcomes import DOWN, UP

CONFIRMED_BY = 2


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


def stretches(probes: Iterable[tuple[int, str, str | None]]) -> Iterator[Stretch]:
    """The incidents in probes (`started_at`, `outcome`, `error`) of one series, oldest first.

    Two failures in a row open one, which began with the first; the first success ends it. What is not counted neither
    opens, feeds nor ends one.
    """
    failures: list[tuple[int, str, str | None]] = []
    for started_at, outcome, error in probes:
        if outcome in DOWN:
            failures.append((started_at, outcome, error))
        elif outcome in UP and failures:
            if len(failures) >= CONFIRMED_BY:
                yield _stretch(failures, started_at)
            failures = []
    if len(failures) >= CONFIRMED_BY:
        yield _stretch(failures, None)


def _stretch(failures: list[tuple[int, str, str | None]], ended_at: int | None) -> Stretch:
    cause = Counter(outcome for _, outcome, _ in failures).most_common(1)[0][0]
    error = next((text for _, outcome, text in reversed(failures) if outcome == cause and text), None)
    return Stretch(failures[0][0], ended_at, cause, len(failures), error)
