"""What targets' probes came to in a range: the one way from the store to every page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import streamlit as st

from pages.queries import cache
from pages.queries.degraded import mark_degraded
from pages.queries.time_range import TimeRange
from stats import latency, status_bars, tokens
from stats.change_points import Shift, shifts
from stats.correctness import Answers
from stats.downsampling import Mark, marks
from stats.incidents import Incident, TargetState, configured_state, incidents, incidents_in, target_state
from stats.samples import Percentiles, Samples, percentiles, samples, samples_of
from stats.summary import Summary, summary
from stats.uptime import SuccessRate, Uptime
from store.clock import DAY_MS, HOUR_MS
from store.outcomes import DOWN
from store.rollup_plan import Range, available_range, raw_rollups, rollups_of
from store.rollups import Grid, Rollup, Series
from store.schema import Target

RAW_AT_MOST = 5_000
"""Probes of a range up to which the raw ones are read: their bars are as fine as the range wants. It takes 0.06 s, and
20,000 would take 0.3 s.
"""
PARTS_OF_A_BAR = 8
LEAST_CHARTED_MS = 600_000
HOURS_UP_TO_MS = 45 * DAY_MS
"""Up to here charts over time are drawn from hours: 1,080 of them, for up to 96 stretches."""
THROUGHPUT = "throughput"
BARS = 140
NEWEST = 1_000
"""Raw probes that are read for what no roll-up has a sketch of, and for what failures said."""


@dataclass(frozen=True)
class Gaps:
    """Inter-token latency: the medians, over `count` throughput probes, of each one's p50 and p99."""

    p50_ms: float
    p99_ms: float
    count: int


@dataclass(frozen=True)
class Fleet:
    """The incidents and states of targets, by series: read for all at once, when the first one is asked for."""

    url: str
    targets: tuple[Target, ...]
    since: int
    until: int
    read_until: int
    now: int

    @cached_property
    def incidents(self) -> dict[tuple[str, str, str], list[Incident]]:
        """Those that the range has a part of."""
        kept = defaultdict(list)
        for row in cache.incidents(self.url, _names(self.targets), self.since, self.read_until):
            kept[row.target, row.location, row.profile].append(row)
        newest = cache.newest_by_series(self.url)
        found = {}
        for target in self.targets:
            series = _series(target)
            all_of_them = incidents(kept[series], newest.get(series), self.now, target.every_s)
            found[series] = incidents_in(all_of_them, self.since, self.until)
        return found

    @cached_property
    def states(self) -> dict[tuple[str, str, str], TargetState]:
        """What they are now."""
        states = target_states(self.url, list(self.targets), self.now)
        return {_series(target): state for target, state in zip(self.targets, states, strict=True)}


@dataclass(frozen=True)
class TargetHistory:
    """How one target at one location did in a range. `since` and `until` are what the store can tell of it; a live
    range ends `now` (all in milliseconds UTC).
    """

    url: str
    target: Target
    since: int
    until: int
    now: int
    first_at: int
    rollups: list[Rollup]
    fleet: Fleet
    """All targets that were asked for with it."""

    @property
    def incidents(self) -> list[Incident]:
        """Those that the range has a part of."""
        return self.fleet.incidents[_series(self.target)]

    @property
    def state(self) -> TargetState:
        """What it is now."""
        return self.fleet.states[_series(self.target)]

    @property
    def asked_since(self) -> int:
        """A target that is younger than the range is not held to the time before it was there."""
        return max(self.since, self.first_at)

    @property
    def charted_since(self) -> int:
        """Where charts begin: a target's first minutes would be one point of a range that is mostly before it."""
        return max(self.since, min(self.asked_since, self.until - LEAST_CHARTED_MS))

    @cached_property
    def deciding(self) -> Summary:
        """Of the profile that votes."""
        return summary(self.of(self.target.profile))

    def of(self, profile: str) -> list[Rollup]:
        """The stretches of a profile."""
        return [rollup for rollup in self.rollups if rollup.profile == profile]

    def uptime(self) -> Uptime:
        """Of the profile that votes."""
        return self.deciding.uptime(self.asked_since, self.until)

    def success_rate(self) -> SuccessRate:
        """Of all requests."""
        return summary(self.rollups).success_rate()

    def answers(self) -> Answers:
        """Of the profile that votes."""
        return self.deciding.answers()

    def bars(self, most: int = BARS) -> list[status_bars.Bar]:
        """The strip; its last bar ends now, where the range does."""
        every_s = self.target.every_s
        began = status_bars.bars_begin_at(self.since, self.ends, self.first_at, every_s, most)
        bars = status_bars.status_bars(self.of(self.target.profile), began, self.ends, every_s, most)
        return status_bars.clip_bars(bars, self.until)

    def bars_with_errors(self, most: int = BARS) -> list[status_bars.Bar]:
        """The strip, with what failures said."""
        return status_bars.add_errors(self.bars(most), [f for f in self._failures if f.profile == self.target.profile])

    def samples(self, profile: str, column: str) -> Samples:
        """The values of a measured column."""
        return samples(self.of(profile), column)

    def percentiles(self, profile: str, column: str) -> Percentiles:
        """Of a measured column."""
        return percentiles(self.of(profile), column)

    def median_line(self, profile: str, column: str) -> list[float | None]:
        """Its trend, for a sparkline."""
        return latency.median_line(self.of(profile), column, self.charted_since, self.ends)

    def bands(self, profile: str, column: str) -> list[latency.Band]:
        """Its percentiles over time."""
        return latency.bands(self._fine(profile), column, self.charted_since, self.ends)

    def failures(self, profile: str) -> list[Mark]:
        """When it failed, in as many marks as a chart has room for: to the millisecond where raw probes tell it."""
        known = [failure for failure in self._failures if failure.profile == profile]
        kept = latency.failures(self._fine(profile))
        if sum(failure.outcome in DOWN for failure in known) < sum(count for _, _, count in kept):
            return marks(kept, self.since, self.until + HOUR_MS)
        said = {failure.started_at: failure.error for failure in known if failure.error}
        return marks(((f.started_at, f.outcome, 1) for f in known), self.since, self.until + HOUR_MS, errors=said)

    def first_answer(self) -> Percentiles | None:
        """When the first visible answer text came, of the newest probes; null where the model does not reason."""
        probes = [probe for probe in self._newest if probe.profile == self.target.profile]
        if not latency.is_reasoning(probes):
            return None
        known = [p.first_answer_ms for p in probes if p.is_believed and p.first_answer_ms is not None]
        return samples_of(known).percentiles()

    def gaps(self) -> Gaps | None:
        """The gaps between chunks of the newest throughput probes; null where none is known."""
        probes = [probe for probe in self._newest if probe.profile == THROUGHPUT and probe.is_believed]
        low = samples_of([probe.itl_p50_ms for probe in probes if probe.itl_p50_ms is not None]).percentiles()
        high = samples_of([probe.itl_p99_ms for probe in probes if probe.itl_p99_ms is not None]).percentiles()
        return Gaps(low.p50, high.p50, low.count) if low.p50 is not None and high.p50 is not None else None

    @property
    def newest_note(self) -> str:
        """What `first_answer` and `gaps` leave out, in words."""
        return f", of the newest {NEWEST:,d} in this range" if len(self._read_newest) == NEWEST else ""

    @cached_property
    def _read_newest(self) -> list[latency.MeasuredProbe]:
        return cache.newest_probes(self.url, self.target.name, cache.rounded(self.since), self.ends, NEWEST)

    @property
    def _newest(self) -> list[latency.MeasuredProbe]:
        return [probe for probe in self._read_newest if probe.location == self.target.location]

    @cached_property
    def _failures(self) -> list[status_bars.Failure]:
        found = cache.failures(self.url, self.target.name, cache.rounded(self.since), self.ends, NEWEST)
        return [f for f in found if f.location == self.target.location and f.started_at >= self.since]

    @property
    def ends(self) -> int:
        """Of a live range the same for a few seconds, so that what was read is in the cache, and bars fit into it."""
        return cache.rounded(self.until) + 5_000 if self.until == self.now else self.until

    def shifts(self, profile: str, column: str) -> list[Shift]:
        """When a measured column became another one."""
        return shifts(*latency.medians_over_time(self._fine(profile), column))

    def hours(self, profile: str) -> list[Rollup]:
        """What it came to by the hour; in a long range by the day."""
        return [rollup for rollup in self._hours if rollup.profile == profile]

    def tokens_per_day(self, zone: str) -> list[tokens.DayTokens]:
        """What the probes used: by day of the zone, in a long range by UTC day."""
        is_fine = all(rollup.length_ms <= HOUR_MS for rollup in self.rollups)
        return tokens.tokens_per_day(self.rollups, zone if is_fine else "UTC")

    def _fine(self, profile: str) -> list[Rollup]:
        """Hours where the range is told in days."""
        own = self.of(profile)
        return self.hours(profile) if any(rollup.length_ms > HOUR_MS for rollup in own) else own

    @cached_property
    def _hours(self) -> list[Rollup]:
        if self.until - self.since > HOURS_UP_TO_MS:
            return self.rollups
        found = _hours(self.url, self.target.name, self.since, self.until, self.until == self.now)
        return [rollup for rollup in found if rollup.location == self.target.location]


def target_history(url: str, target: Target, window: TimeRange, now: int) -> TargetHistory:
    """How a target did; `now` ends a live range (milliseconds UTC)."""
    [found] = target_histories(url, [target], window, now, parts=PARTS_OF_A_BAR)
    return found


def target_histories(
    url: str, targets: list[Target], window: TimeRange, now: int, *, parts: int = 1, coarse: bool = False
) -> list[TargetHistory]:
    """How targets did, in their order. `coarse` rows are fewer, for long ranges; `parts` of a bar each are told."""
    until = now if window.is_live else window.until
    ended = cache.rounded(until) + 5_000 if window.is_live else until
    told, rollups = _rollups(url, tuple(targets), window.since, ended, window.is_live, parts, coarse)
    mine: dict[tuple[str, str], list[Rollup]] = defaultdict(list)
    for rollup in rollups:
        mine[rollup.target, rollup.location].append(rollup)
    fleet = Fleet(url, tuple(targets), told.since, until, ended, now)
    first_at = cache.first_at(url)
    return [
        TargetHistory(
            url=url,
            target=target,
            since=told.since,
            until=until if window.is_live else told.until,
            now=now,
            first_at=first_at.get(target.name, now),
            rollups=mine[target.name, target.location],
            fleet=fleet,
        )
        for target in targets
    ]


def fleet_bars(histories: Sequence[TargetHistory], most: int = BARS) -> list[status_bars.Bar]:
    """The status bars of several targets together: each bar adds up the decided time of all. Needs at least one."""
    began = min(
        status_bars.bars_begin_at(one.since, one.ends, one.first_at, one.target.every_s, most) for one in histories
    )
    rollups = [rollup for one in histories for rollup in one.of(one.target.profile)]
    every_s, first = max(one.target.every_s for one in histories), histories[0]
    return status_bars.clip_bars(status_bars.status_bars(rollups, began, first.ends, every_s, most), first.until)


def target_states(url: str, targets: list[Target], now: int) -> list[TargetState]:
    """What each of the targets is now (milliseconds UTC), in their order."""
    last = cache.last_incidents(url, _names(targets), cache.rounded(now) + 5_000)
    newest = cache.newest_by_series(url)
    states = []
    for target in targets:
        series = _series(target)
        probe = newest.get(series)
        listed = incidents(last.get(series, []), probe, now, target.every_s)
        states.append(configured_state(target.state) or target_state(probe, listed, now, target.every_s))
    return mark_degraded(url, targets, states, now)


# not copied for each visitor: nobody changes it
@st.cache_resource(ttl=10, max_entries=8, show_spinner=False, hash_funcs={Target: hash})
def _rollups(
    url: str,
    targets: tuple[Target, ...],
    since: int,
    until: int,
    is_live: bool,
    parts: int,
    coarse: bool,
) -> tuple[Range, list[Rollup]]:
    """The one place that decides whether a range is read from raw probes or from roll-ups."""
    store = cache.store(url)
    told = available_range(store, Range(since, until))
    first_at = cache.first_at(url)
    began = max(told.since, min((first_at.get(target.name, until) for target in targets), default=until))
    if told == Range(since, until) and _probes_in(targets, until - began) <= RAW_AT_MOST:
        grids, names = _grids(targets, told, first_at, parts), tuple(sorted({target.name for target in targets}))
        other = _grid(told, told.since, 60.0, parts)
        return told, raw_rollups(store, names, told, lambda series: grids.get(series, other))
    ended = until + -until % HOUR_MS if is_live else told.until  # nothing lies behind now
    return told, rollups_of(store, _names(targets), Range(told.since, ended), coarse=coarse)


def _series(target: Target) -> tuple[str, str, str]:
    return (target.name, target.location, target.profile)


def _names(targets: Sequence[Target]) -> tuple[str, ...]:
    """What is asked of the store: nothing by name where nearly all is wanted."""
    names = sorted({target.name for target in targets})
    return tuple(names) if len(names) == 1 else ()


def _probes_in(targets: Iterable[Target], ms: int) -> float:
    """About how many probes a schedule makes in a time."""
    each_s = [s for target in targets for s in (target.every_s, target.throughput_every_s) if s]
    return sum(ms / 1_000 / every_s for every_s in each_s)


def _grids(targets: Iterable[Target], told: Range, first_at: dict[str, int], parts: int) -> dict[Series, Grid]:
    found = {}
    for target in targets:
        began = status_bars.bars_begin_at(
            told.since, told.until, first_at.get(target.name, told.since), target.every_s, BARS
        )
        for profile in {target.profile, THROUGHPUT}:
            found[target.name, target.location, profile] = _grid(told, began, target.every_s, parts)
    return found


def _grid(told: Range, began: int, every_s: float, parts: int) -> Grid:
    """Stretches that end with the range: `parts` of them are as long as one bar."""
    width = max((told.until - began) / BARS, every_s * 1_000)
    length = max(1, round(width / parts))
    return Grid(told.until, length, length)


@st.cache_resource(ttl=10, max_entries=8, show_spinner=False)
def _hours(url: str, name: str, since: int, until: int, is_live: bool) -> list[Rollup]:
    ended = until + -until % HOUR_MS if is_live else until
    return rollups_of(cache.store(url), (name,), Range(since, ended), finest="hour")
