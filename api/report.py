"""One target's month in numbers, from the functions that the API's summary and the pages use."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from api.incidents import TargetIncident, incidents_between
from api.summary import histories_of, uptime_of
from pages.queries.target_history import THROUGHPUT, TargetHistory
from pages.queries.time_range import TimeRange
from stats.consensus import consensus
from stats.error_budget import Decided, budget_left
from stats.samples import Percentiles, percentiles
from stats.status_bars import Bar, clip_bars
from stats.summary import Summary, summary
from stats.uptime import Uptime
from store.clock import DAY_MS
from store.schema import Target


@dataclass(frozen=True, order=True)
class Month:
    """A month in UTC."""

    year: int
    number: int

    @classmethod
    def of(cls, moment: int) -> Month:
        """The month of a moment (milliseconds UTC)."""
        at = datetime.fromtimestamp(moment / 1_000, UTC)
        return cls(at.year, at.month)

    @property
    def days(self) -> int:
        """The number of its days."""
        return monthrange(self.year, self.number)[1]

    @property
    def since(self) -> int:
        """Its beginning (milliseconds UTC)."""
        return int(datetime(self.year, self.number, 1, tzinfo=UTC).timestamp()) * 1_000

    @property
    def until(self) -> int:
        """Its end (milliseconds UTC), exclusive."""
        return self.since + self.days * DAY_MS

    def plus(self, months: int) -> Month:
        """The month this many months later."""
        years, number = divmod(self.year * 12 + self.number - 1 + months, 12)
        return Month(years, number + 1)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"


@dataclass(frozen=True)
class Objective:
    """A target's objective in a month. `left` is a share of the error budget, null when nothing was decided; the
    seconds are of slots that were decided.
    """

    slo: float
    left: float | None
    down_s: float
    allowed_s: float


@dataclass(frozen=True)
class Report:
    """One target's month, over some locations, as of `at` (milliseconds UTC)."""

    targets: tuple[Target, ...]
    month: Month
    at: int
    first_at: int
    uptime: Uptime
    bars: tuple[Bar, ...]
    incidents: tuple[TargetIncident, ...]
    """The oldest first; of each location those that overlap the month."""
    total: Summary
    """Of every profile."""
    answers: Summary
    """Of the profile that decides the uptime."""
    latency: tuple[tuple[str, str, Percentiles], ...]
    """Each metric, its unit, and its percentiles."""
    objective: Objective | None

    @property
    def until(self) -> int:
        """The month's end, or the moment of the report while the month is not over."""
        return min(self.month.until, self.at)


def load_report(url: str, targets: Sequence[Target], month: Month, now: int) -> Report:
    """Read it from the store. Raises StoreError."""
    until = min(month.until, now - now % 1_000)
    histories = histories_of(url, list(targets), TimeRange(month.since, until, False, ""))
    uptime, rollups = uptime_of(histories), [rollup for history in histories for rollup in history.rollups]
    deciding = [rollup for history in histories for rollup in history.of(history.target.profile)]
    speeds = [rollup for history in histories for rollup in history.of(THROUGHPUT)]
    total = summary(rollups)
    return Report(
        targets=tuple(targets),
        month=month,
        at=now,
        first_at=min(history.first_at for history in histories),
        uptime=uptime,
        bars=tuple(_bars(histories, month, now)),
        incidents=tuple(reversed(incidents_between(url, targets, month.since, until))),
        total=total,
        answers=summary(deciding),
        latency=(
            ("Time to first token", "ms", percentiles(deciding, "ttft_ms")),
            ("Total time", "ms", percentiles(deciding, "total_ms")),
            ("Output speed", "tok/s", percentiles(speeds, "tokens_per_second")),
        ),
        objective=_objective(targets, uptime, total),
    )


def _bars(histories: list[TargetHistory], month: Month, now: int) -> list[Bar]:
    """One bar per day."""
    each = [history.of(history.target.profile) for history in histories]
    first_at = histories[0].first_at
    seen = consensus(each, month.since, month.until, first_at, DAY_MS / 1_000, month.days, now=now)
    return clip_bars(seen.bars, now)


def _objective(targets: Sequence[Target], uptime: Uptime, total: Summary) -> Objective | None:
    slo = targets[0].slo
    if slo is None:
        return None
    left = budget_left(Decided(uptime.up_s, uptime.down_s, total.success_rate().failed), slo)
    return Objective(slo, left, uptime.down_s, (uptime.up_s + uptime.down_s) * (1 - slo / 100))
