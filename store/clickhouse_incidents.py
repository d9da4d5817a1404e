"""Incidents in ClickHouse: told from the roll-ups by day and hour, and from the raw probes of those hours in which one
may have begun or ended.

Hours in the middle of an outage are not looked into: one of a year costs as little as one of a day, and their raw
probes may be pruned. Days, hours and probes are three queries: nested in one they took the engine four times as long,
nearly all of it to plan, and where no day has a failure the first is enough.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

from store.batches import Values
from store.clickhouse_queries import keys_at_once
from store.clock import HOUR_MS
from store.incidents import Event, find_incidents
from store.outcomes import DOWN, UP
from store.rollups import BLOCK_MS, LAST_MS, STEP_MS, Series, Step
from store.schema import INCIDENTS, Incident

NOT_READ = "\0"
"""In place of an error that is in a raw probe which was not looked at."""
_SERIES = "target, location, profile"
_FAILED, _GOOD = " + ".join(sorted(DOWN)), " + ".join(sorted(UP))
_COUNTED = tuple(sorted(UP | DOWN))
Edge = tuple[str, str, str, int]
"""A series, and the number of an hour or day of it."""


class Ask(Protocol):
    """Gives the rows of a query."""

    def __call__(self, sql: str, parameters: dict[str, Any]) -> Iterator[Values]:
        """Of a query with these parameters."""


class Period(NamedTuple):
    """An hour or day of a series that had a failure, or that is the next one after such that had a probe which
    decides. `is_inside`: nothing but failures before, in and after it.
    """

    series: Series
    at: int
    counts: tuple[tuple[str, int], ...]
    is_inside: bool


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
        days = _periods(ask(self._days(), parameters))
        hours = _periods(_of_edges(ask, self._hours(), _edges(days, "day")))
        events: dict[Series, list[Event]] = defaultdict(list)
        read = set()
        for *series, at, outcome, error in _of_edges(ask, self._raw(), _edges(hours, "hour")):
            events[series[0], series[1], series[2]].append(Event(at, outcome, error))
            read.add((*series, at // HOUR_MS))
        for period in (*days, *hours):
            if period.is_inside:
                events[period.series] += (
                    Event(period.at, outcome, NOT_READ, count) for outcome, count in period.counts
                )
        ended_unseen = set()
        for period in hours:
            edge = (*period.series, period.at // HOUR_MS)
            if period.is_inside or period.at >= self.pruned_before or edge in read:
                continue
            for outcome, count in period.counts:
                at = period.at - (outcome in UP)  # before the failures of its hour
                events[period.series].append(Event(at, outcome, None, count))
                ended_unseen |= {(*period.series, at)} if outcome in UP else set()
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
            f" FROM {self.probes} WHERE {_at_edges('hour', 'started_at')} AND outcome IN ({_words(UP | DOWN)})"
        )
        return f"SELECT {_SERIES}, started_at, how, error FROM ({read}) WHERE how IN ({down}) OR before IN ({down})"

    def _hours(self) -> str:
        return self._suspect("hour", f"WHERE {_at_edges('day', 'at')}")

    def _days(self) -> str:
        """The days to look through. What goes on at `since` began after the newest block before it that has a success,
        and what goes on at `until` ends in the next such block.
        """
        chosen = "target IN {targets:Array(String)}" if self.targets else "1"
        blocks = (
            f"SELECT {_SERIES}, maxIf(at, {_GOOD} > 0 AND at <= {self.since - BLOCK_MS}) AS first,"
            f" minIf(at, {_GOOD} > 0 AND at >= {self.until}) AS last FROM {self.rollups['block']} WHERE {chosen}"
            f" GROUP BY {_SERIES}"
        )
        bounds = f"GLOBAL INNER JOIN ({blocks}) AS bounds USING ({_SERIES})"
        within = f"{chosen} AND at >= first AND (last = 0 OR at < last + {BLOCK_MS})"
        return self._suspect("day", f"{bounds} WHERE {within}")

    def _suspect(self, step: Step, which: str) -> str:
        """Of each series the hours or days that had a failure, and the next one after each that had a probe which
        decides.
        """
        name = self.rollups[step]
        sums = ", ".join(f"sum({name}.{outcome}) AS {outcome}" for outcome in _COUNTED)
        counted = (
            f"SELECT {_SERIES}, at, {sums}, {_FAILED} AS failed FROM {name} {which} GROUP BY {_SERIES}, at"
            f" HAVING failed + {_GOOD} > 0"
        )
        window = f"PARTITION BY {_SERIES} ORDER BY at ROWS BETWEEN 1 PRECEDING AND CURRENT ROW"
        beside = f"SELECT *, lagInFrame(failed) OVER ({window}) AS before FROM ({counted})"
        return f"SELECT {_SERIES}, at, {', '.join(_COUNTED)} FROM ({beside}) WHERE failed > 0 OR before > 0"


def _periods(suspects: Iterable[Values]) -> list[Period]:
    """Hours or days, oldest first. A failure and the next period are never left out, so that those beside one that had
    nothing but failures, if they had nothing else either, are the ones beside it in this list.
    """
    found = []
    for row in sorted(suspects):
        counts = tuple((outcome, count) for outcome, count in zip(_COUNTED, row[4:], strict=True) if count)
        found.append(Period(row[:3], row[3], counts, not any(outcome in UP for outcome, _ in counts)))
    series_down = [period.series if period.is_inside else None for period in found]
    beside = zip([None, *series_down], series_down, [*series_down[1:], None], strict=False)
    return [
        period._replace(is_inside=period.is_inside and before == period.series == after)
        for period, (before, _, after) in zip(found, beside, strict=True)
    ]


def _edges(periods: list[Period], step: Step) -> list[Edge]:
    """Where an outage may have begun or ended."""
    return [(*period.series, period.at // STEP_MS[step]) for period in periods if not period.is_inside]


def _of_edges(ask: Ask, sql: str, edges: list[Edge]) -> Iterable[Values]:
    """The rows of a query at these edges, few enough at once; the last of some is the first of the next, since a
    query tells by the row before one whether that one ends something.
    """
    count = keys_at_once(edges)
    some = (edges[start : start + count + 1] for start in range(0, len(edges), count))
    return dict.fromkeys(row for part in some for row in ask(sql, {"edges": part}))


def _words(outcomes: frozenset[str]) -> str:
    return ", ".join(repr(outcome) for outcome in sorted(outcomes))


def _at_edges(step: Step, moment: str) -> str:
    """Whether a moment of a series lies in one of the hours or days that `_of_edges` asks for."""
    numbered = f"{_SERIES}, intDiv({moment}, {STEP_MS[step]})"
    return f"({numbered}) IN {{edges:Array(Tuple(String, String, String, Int64))}}"
