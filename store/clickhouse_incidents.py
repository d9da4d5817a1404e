"""Incidents in ClickHouse: told from the roll-ups by day and hour, and from the raw probes of those hours in which one
may have begun or ended.

Hours in the middle of an outage are not looked into: one of a year costs as little as one of a day, and their raw
probes may be pruned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from store.clock import DAY_MS, HOUR_MS
from store.incidents import Event, find_incidents
from store.outcomes import DOWN, UP
from store.rollups import BLOCK_MS, LAST_MS, STEP_MS, Step
from store.schema import INCIDENTS, Incident

Values = tuple[Any, ...]
NOT_READ = "\0"
"""In place of an error that is in a raw probe which was not looked at."""
_SERIES = "target, location, profile"
_FAILED, _GOOD = " + ".join(sorted(DOWN)), " + ".join(sorted(UP))


class Ask(Protocol):
    """Gives the rows of a query."""

    def __call__(self, sql: str, parameters: dict[str, Any]) -> Iterator[Values]:
        """Of a query with these parameters."""


@dataclass(frozen=True)
class IncidentQuery:
    """Asks for every incident that `since` <= t < `until` (milliseconds UTC) has a part of, however old it is.

    Raw probes from before `pruned_before` may be missing: an incident that began there began with that hour, and one
    that ended there is left out.
    """

    probes: str
    rollups: dict[Step, str]
    since: int
    until: int
    targets: tuple[str, ...]
    pruned_before: int

    def rows(self, ask: Ask) -> Iterator[Values]:
        """As the table of incidents has them, by series and beginning."""
        parameters = {"targets": list(self.targets)} if self.targets else {}
        events: dict[tuple[str, str, str], list[Event]] = defaultdict(list)
        read = set()
        for *series, at, outcome, error in ask(self._raw(), parameters):
            events[series[0], series[1], series[2]].append(Event(at, outcome, error))
            read.add((*series, at // HOUR_MS))
        for *series, outcome, at, count in ask(self._inside(), parameters):
            events[series[0], series[1], series[2]].append(Event(at, outcome, NOT_READ, count))
        ended_unseen = set()
        for *series, at, outcome, count in ask(self._edges_in_counts(), parameters) if self.pruned_before else ():
            if (*series, at // HOUR_MS) not in read:
                at -= outcome in UP  # before the failures of its hour
                events[series[0], series[1], series[2]].append(Event(at, outcome, None, count))
                ended_unseen |= {(*series, at)} if outcome in UP else set()
        for (target, location, profile), listed in sorted(events.items()):
            in_order = sorted(listed, key=lambda event: event.started_at)
            for found in find_incidents((target, location, profile), in_order):
                is_over = found.ended_at is not None and found.ended_at <= self.since
                is_unseen = (target, location, profile, found.ended_at) in ended_unseen
                if not is_over and not is_unseen and found.began_at < self.until:
                    yield INCIDENTS.values(self._with_error(found, ask))

    def _with_error(self, found: Incident, ask: Ask) -> Incident:
        if found.error != NOT_READ:
            return found
        sql = (
            f"SELECT error FROM {self.probes} WHERE target = {{target:String}} AND location = {{location:String}}"
            f" AND profile = {{profile:String}} AND started_at >= {found.began_at}"
            f" AND started_at < {found.ended_at or LAST_MS} AND outcome = '{found.cause}' AND error <> ''"
            f" ORDER BY {_SERIES}, started_at DESC LIMIT 1"
        )
        series = {"target": found.target, "location": found.location, "profile": found.profile}
        return replace(found, error=next((error for (error,) in ask(sql, series)), None))

    def _raw(self) -> str:
        """The failures of the hours in question, and of the successes only those that end something."""
        down = _words(DOWN)
        read = (
            f"SELECT {_SERIES}, started_at, toString(outcome) AS how, error, lagInFrame(toString(outcome)) OVER"
            f" (PARTITION BY {_SERIES} ORDER BY started_at ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before"
            f" FROM {self.probes} WHERE {self._chosen} AND outcome IN ({_words(UP | DOWN)})"
            f" AND {_within(f'SELECT * FROM ({self._hours()}) WHERE NOT is_inside', 'hour', 'started_at')}"
        )
        return f"SELECT {_SERIES}, started_at, how, error FROM ({read}) WHERE how IN ({down}) OR before IN ({down})"

    def _inside(self) -> str:
        """What the days and hours in the middle of each outage come to, at their beginning."""
        outage = f"sum(NOT is_inside) OVER (PARTITION BY {_SERIES} ORDER BY at ROWS BETWEEN UNBOUNDED PRECEDING"
        numbered = " UNION ALL ".join(
            f"SELECT *, ({ms}, {outage} AND CURRENT ROW)) AS outage FROM ({found})"
            for ms, found in ((DAY_MS, self._days()), (HOUR_MS, self._hours()))
        )
        return (
            f"SELECT {_SERIES}, part.1 AS outcome, min(at) AS first, sum(part.2) FROM ({numbered})"
            f" ARRAY JOIN {_counted(DOWN)} AS part WHERE is_inside AND part.2 > 0 GROUP BY {_SERIES}, outage, outcome"
        )

    def _edges_in_counts(self) -> str:
        """The other hours of the time whose raw probes may be pruned."""
        return (
            f"SELECT {_SERIES}, at, part.1, part.2 FROM ({self._hours()}) ARRAY JOIN {_counted(UP | DOWN)} AS part"
            f" WHERE NOT is_inside AND part.2 > 0 AND at < {self.pruned_before}"
        )

    @property
    def _chosen(self) -> str:
        return "target IN {targets:Array(String)}" if self.targets else "1"

    def _hours(self) -> str:
        edges = _within(f"SELECT * FROM ({self._days()}) WHERE NOT is_inside", "day", "at")
        return self._suspect("hour", f"{self.rollups['hour']} WHERE {self._chosen} AND {edges}")

    def _days(self) -> str:
        """The days to look through. What goes on at `since` began after the newest block before it that has a success,
        and what goes on at `until` ends in the next such block.
        """
        blocks = (
            f"SELECT {_SERIES}, maxIf(at, {_GOOD} > 0 AND at <= {self.since - BLOCK_MS}) AS first,"
            f" minIf(at, {_GOOD} > 0 AND at >= {self.until}) AS last FROM {self.rollups['block']} WHERE {self._chosen}"
            f" GROUP BY {_SERIES}"
        )
        bounded = f"{self.rollups['day']} INNER JOIN ({blocks}) AS bounds USING ({_SERIES})"
        return self._suspect(
            "day", f"{bounded} WHERE {self._chosen} AND at >= first AND (last = 0 OR at < last + {BLOCK_MS})"
        )

    def _suspect(self, step: Step, source: str) -> str:
        """Of each series the hours or days that had a failure, and the next one after each that had a probe which
        decides. `is_inside`: nothing but failures before, in and after it.
        """
        window = f"OVER (PARTITION BY {_SERIES} ORDER BY at ROWS BETWEEN 1 PRECEDING AND"
        name = self.rollups[step]
        sums = ", ".join(f"sum({name}.{outcome}) AS {outcome}" for outcome in sorted(UP | DOWN))
        counted = (
            f"SELECT {_SERIES}, at, {sums}, {_FAILED} AS failed, failed > 0 AND {_GOOD} = 0 AS is_down"
            f" FROM {source} GROUP BY {_SERIES}, at HAVING failed + {_GOOD} > 0"
        )
        beside = (
            f"SELECT *, lagInFrame(failed) {window} CURRENT ROW) AS before, sum(is_down) {window} 1 FOLLOWING) = 3"
            f" AS is_inside FROM ({counted})"
        )
        return f"SELECT * FROM ({beside}) WHERE failed > 0 OR before > 0"


def _counted(outcomes: frozenset[str]) -> str:
    pairs = (f"('{outcome}', {outcome})" for outcome in sorted(outcomes))
    return f"[{', '.join(pairs)}]"


def _words(outcomes: frozenset[str]) -> str:
    return ", ".join(repr(outcome) for outcome in sorted(outcomes))


def _within(found: str, step: Step, moment: str) -> str:
    """Whether a moment of a series lies in one of these hours or days."""
    ms = STEP_MS[step]
    return f"({_SERIES}, intDiv({moment}, {ms})) GLOBAL IN (SELECT {_SERIES}, intDiv(at, {ms}) FROM ({found}))"
