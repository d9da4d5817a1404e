"""What a target's probes came to in a window: from the raw probes where they are few, else from their roll-ups.

Both tell the same numbers; raw probes make finer bars, roll-ups cost the same at any age.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from pages.shared import loader
from pages.shared.window import Window
from stats import answers, incidents, latency, rollups, strip, tokens, uptime
from stats.differences import counts_of
from stats.shifts import Shift, shifts
from stats.thinning import Mark, marks
from store.rows import Target

RAW_AT_MOST = 20_000
NEWEST = 1_000
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
INCIDENTS_SINCE_MS = 30 * DAY_MS
"""How far before a window an incident may have begun that still goes on in it."""
LEAST_CHARTED_MS = 600_000
THROUGHPUT = "throughput"


def past_of(url: str, target: Target, window: Window, now: int) -> Past:
    """The past of a target at its location; `now` ends a live window (milliseconds UTC)."""
    began = max(window.since, loader.first_at(url).get(target.name, 0))  # of a new target there are few, at any rate
    cheap = loader.raw_is_cheap([target], window.until - began, RAW_AT_MOST)
    return (FromProbes if cheap else FromRollups)(url, target, window, now)


@dataclass(frozen=True)
class Past:
    """One target at one location in one window."""

    url: str
    target: Target
    window: Window
    now: int

    @property
    def since(self) -> int:
        """When the window begins, in milliseconds UTC."""
        return self.window.since

    @property
    def until(self) -> int:
        """When it ends."""
        return self.now if self.window.is_live else self.window.until

    @property
    def asked_since(self) -> int:
        """A target that is younger than the window is not held to the time before it was there."""
        return max(self.since, loader.first_at(self.url).get(self.target.name, self.now))

    @property
    def charted_since(self) -> int:
        """Where charts begin: a target's first minutes would be one point of a window that is mostly before it."""
        return max(self.since, min(self.asked_since, self.until - LEAST_CHARTED_MS))

    def uptime(self) -> uptime.Uptime:
        """Of the profile that votes."""
        raise NotImplementedError

    def success_rate(self) -> uptime.SuccessRate:
        """Of all requests."""
        raise NotImplementedError

    def bars(self, most: int) -> list[strip.Bar]:
        """The strip."""
        raise NotImplementedError

    def incidents(self) -> list[incidents.Incident]:
        """Those that began in the window."""
        raise NotImplementedError

    def standing(self) -> incidents.Standing:
        """What it is now, and since when."""
        raise NotImplementedError

    def percentiles(self, profile: str, column: str) -> latency.Percentiles:
        """Of a measured column."""
        raise NotImplementedError

    def newest(self) -> pd.DataFrame:
        """The probes in the window, raw: all of them, or the newest `NEWEST` of the target where they are many."""
        raise NotImplementedError

    def first_answer(self) -> latency.Percentiles | None:
        """When the first visible answer text came, of `newest`; null where the model does not reason."""
        newest = self.newest()
        probes = newest[newest["profile"] == self.target.profile]
        return latency.percentiles(probes, "first_answer_ms") if latency.is_reasoning(probes) else None

    def gaps(self) -> Gaps | None:
        """The gaps between chunks of throughput probes, of `newest`; null where none is known."""
        newest = self.newest()
        probes = newest[newest["profile"] == THROUGHPUT]
        low, high = (latency.percentiles(probes, column) for column in ("itl_p50_ms", "itl_p99_ms"))
        return Gaps(low.p50, high.p50, low.count) if low.p50 is not None and high.p50 is not None else None

    @property
    def newest_note(self) -> str:
        """What `newest` leaves out, in words."""
        return ""

    def median_line(self, profile: str, column: str) -> list[float | None]:
        """Its course, for a sparkline."""
        raise NotImplementedError

    def bands(self, profile: str, column: str) -> pd.DataFrame:
        """Its percentiles over time."""
        raise NotImplementedError

    def failures(self, profile: str) -> list[Mark]:
        """When it failed, in as many marks as a chart has room for."""
        raise NotImplementedError

    def answers(self) -> answers.Answers:
        """How many replies were right."""
        raise NotImplementedError

    def counts(self, profile: str, column: str) -> rollups.Counts:
        """Its values, by bucket of a sketch."""
        raise NotImplementedError

    def hour_rows(self, profile: str) -> list[rollups.Row]:
        """What came to by the hour; in a long window of days."""
        raise NotImplementedError

    def shifts(self, profile: str, column: str) -> list[Shift]:
        """When a measured column became another one."""
        raise NotImplementedError

    def tokens_per_day(self, zone: str) -> pd.DataFrame:
        """What the probes used."""
        raise NotImplementedError


@dataclass(frozen=True)
class Gaps:
    """Inter-token latency: the medians, over `count` throughput probes, of each one's p50 and p99."""

    p50_ms: float
    p99_ms: float
    count: int


class FromProbes(Past):
    """From the raw probes."""

    def newest(self) -> pd.DataFrame:
        """See `Past`."""
        return self._probes

    @cached_property
    def _probes(self) -> pd.DataFrame:
        since, until = loader.rounded(self.window.since), loader.rounded(self.window.until) + 5_000
        probes = loader.probes(self.url, (self.target.name,), since, until)
        return probes[probes["location"] == self.target.location]

    def _of(self, profile: str) -> pd.DataFrame:
        return self._probes[self._probes["profile"] == profile]

    @property
    def _pings(self) -> pd.DataFrame:
        return self._of(self.target.profile)

    def uptime(self) -> uptime.Uptime:
        """See `Past`."""
        return uptime.uptime(self._pings, self.asked_since, self.until)

    def success_rate(self) -> uptime.SuccessRate:
        """See `Past`."""
        return uptime.success_rate(self._probes)

    def bars(self, most: int) -> list[strip.Bar]:
        """See `Past`."""
        every_s, first_at = self.target.every_s, loader.first_at(self.url).get(self.target.name, self.now)
        began = strip.strip_began(self.since, self.until, first_at, every_s, most)
        return strip.strip(self._pings, began, self.until, every_s, most)

    def incidents(self) -> list[incidents.Incident]:
        """See `Past`."""
        return incidents.incidents(self._pings)

    def standing(self) -> incidents.Standing:
        """See `Past`."""
        return incidents.standing(self._pings, self.until, self.target.every_s)

    def percentiles(self, profile: str, column: str) -> latency.Percentiles:
        """See `Past`."""
        return latency.percentiles(self._of(profile), column)

    def median_line(self, profile: str, column: str) -> list[float | None]:
        """See `Past`."""
        return latency.median_line(self._of(profile), column, self.charted_since, self.until)

    def bands(self, profile: str, column: str) -> pd.DataFrame:
        """See `Past`."""
        return latency.bands(self._of(profile), column, self.charted_since, self.until)

    def failures(self, profile: str) -> list[Mark]:
        """See `Past`."""
        probes = self._of(profile)
        said = probes[probes["error"].notna()]
        return marks(
            ((at, outcome, 1) for at, outcome in zip(probes["started_at"], probes["outcome"], strict=True)),
            self.since,
            self.until,
            errors=dict(zip(said["started_at"], said["error"], strict=True)),
        )

    def answers(self) -> answers.Answers:
        """See `Past`."""
        return answers.answers(self._pings)

    def counts(self, profile: str, column: str) -> rollups.Counts:
        """See `Past`."""
        return counts_of(self._of(profile), column)

    def hour_rows(self, profile: str) -> list[rollups.Row]:
        """See `Past`."""
        since = self.since - self.since % HOUR_MS
        rows = loader.hours(self.url, (self.target.name,), since, self.until)
        return [row for row in rows if row[1] == self.target.location and row[2] == profile]

    def shifts(self, profile: str, column: str) -> list[Shift]:
        """See `Past`."""
        samples = latency.measured(self._of(profile), column).sort_values("started_at")
        return shifts(samples["started_at"].to_numpy(dtype="int64"), samples[column].to_numpy(dtype=float))

    def tokens_per_day(self, zone: str) -> pd.DataFrame:
        """See `Past`."""
        return tokens.tokens_per_day(self._probes, zone)


class FromRollups(Past):
    """From roll-ups: the window begins with an hour, and days are UTC."""

    @property
    def since(self) -> int:
        """See `Past`."""
        return self.window.since - self.window.since % HOUR_MS

    @property
    def _ends(self) -> int:
        return self.until - self.until % HOUR_MS + HOUR_MS

    @cached_property
    def _rows(self) -> list[rollups.Row]:
        rows = loader.rollups(self.url, (self.target.name,), self.since, self._ends)
        return [row for row in rows if row[1] == self.target.location]

    @cached_property
    def _hours(self) -> list[rollups.Row]:
        """By hour where that is finer than what the window is told by."""
        if self.until - self.since > HOURS_OF_BANDS_MS:
            return self._rows
        rows = loader.hours(self.url, (self.target.name,), self.since, self._ends)
        return [row for row in rows if row[1] == self.target.location]

    def _of(self, profile: str) -> list[rollups.Row]:
        return [row for row in self._rows if row[2] == profile]

    @cached_property
    def _newest(self) -> pd.DataFrame:
        until = loader.rounded(self.until) + 5_000
        probes = loader.newest_probes(self.url, self.target.name, loader.rounded(self.since), until, NEWEST)
        return probes[probes["location"] == self.target.location]

    def newest(self) -> pd.DataFrame:
        """See `Past`: no roll-up has a sketch of what a reasoning model or a throughput probe alone has."""
        return self._newest

    @property
    def newest_note(self) -> str:
        """See `Past`."""
        return f", of the newest {NEWEST:,d} in this range"

    def _summary(self, profile: str) -> rollups.Summary:
        series = (self.target.name, self.target.location, profile)
        return self._summaries.get(series, rollups.Summary())

    @cached_property
    def _summaries(self) -> dict[rollups.Series, rollups.Summary]:
        return rollups.summaries(self._rows)

    def uptime(self) -> uptime.Uptime:
        """See `Past`."""
        return self._summary(self.target.profile).uptime(self.asked_since, self.until)

    def success_rate(self) -> uptime.SuccessRate:
        """See `Past`."""
        whole = rollups.Summary()
        for summary in self._summaries.values():
            whole = whole.plus(summary)
        return whole.success_rate()

    def bars(self, most: int) -> list[strip.Bar]:
        """See `Past`."""
        profile = self.target.profile
        hours = self.hour_rows(profile)
        return rollups.strip(self._of(profile), self.since, self.until, self.target.every_s, most, hours)

    @cached_property
    def _incidents(self) -> list[incidents.Incident]:
        found = loader.incidents(self.url, (self.target.name,), self.since - INCIDENTS_SINCE_MS, self._ends)
        mine = (i for i in found if (i.location, i.profile) == (self.target.location, self.target.profile))
        return incidents.kept(mine)

    def incidents(self) -> list[incidents.Incident]:
        """See `Past`: those that go on in the window, too."""
        return [i for i in self._incidents if i.ended_at is None or i.ended_at > self.since]

    def standing(self) -> incidents.Standing:
        """See `Past`."""
        series = (self.target.name, self.target.location, self.target.profile)
        newest = next((p for p in loader.newest(self.url) if (p.target, p.location, p.profile) == series), None)
        return incidents.standing_of(newest, self._incidents, self.until, self.target.every_s)

    def percentiles(self, profile: str, column: str) -> latency.Percentiles:
        """See `Past`."""
        return self._summary(profile).percentiles(column)

    def median_line(self, profile: str, column: str) -> list[float | None]:
        """See `Past`."""
        return rollups.median_line(self._of(profile), column)

    def bands(self, profile: str, column: str) -> pd.DataFrame:
        """See `Past`."""
        rows = self.hour_rows(profile)
        step_ms = HOUR_MS if self._hours is not self._rows else DAY_MS
        return rollups.bands(rows, column, self.charted_since, self.until, step_ms)

    def failures(self, profile: str) -> list[Mark]:
        """See `Past`: by the hour, in a long window by the day; also of probes that were forgotten since."""
        return marks(rollups.failures(self.hour_rows(profile)), self.since, self._ends)

    def answers(self) -> answers.Answers:
        """See `Past`."""
        return self._summary(self.target.profile).answers()

    def counts(self, profile: str, column: str) -> rollups.Counts:
        """See `Past`."""
        return self._summary(profile).counts(column)

    def hour_rows(self, profile: str) -> list[rollups.Row]:
        """See `Past`."""
        return [row for row in self._hours if row[2] == profile]

    def shifts(self, profile: str, column: str) -> list[Shift]:
        """See `Past`: of the medians of hours, in a long window of days."""
        return shifts(*rollups.medians_over_time(self.hour_rows(profile), column))

    def tokens_per_day(self, zone: str) -> pd.DataFrame:
        """See `Past`: by UTC day, whatever the zone."""
        return rollups.tokens_per_day(self._rows)


HOURS_OF_BANDS_MS = 45 * DAY_MS
"""Up to here bands are drawn from hours: 1,080 of them, for up to 96 stretches."""
