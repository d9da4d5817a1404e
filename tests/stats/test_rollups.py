"""Hours that the store keeps say the same as minutes with all their values: exactly where these are counts and
seconds, else within 1%.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

import pytest

from stats.latency import bands, failures, median_line
from stats.samples import percentiles
from stats.status_bars import Failure, add_errors, status_bars
from stats.summary import summary
from stats.tokens import tokens_per_day
from store.rollups import DAY_MS, Rollup
from store.schema import Probe
from tests.factories import DAY, HOUR, MINUTE, NOON, probe
from tests.stats.samples import kept, told

MIDNIGHT = NOON - NOON % DAY


def a_week(seed: int = 3) -> list[Probe]:
    """Seven days at about one a minute, with a gap, outages, rate limits, heavy tails and an overloaded machine."""
    chance = random.Random(seed)
    found = []
    at = MIDNIGHT - 7 * DAY
    while at < MIDNIGHT:
        hour = (at - MIDNIGHT) // HOUR
        outcome = "ok" if hour % 31 else "timeout"
        outcome = "rate_limited" if hour % 53 == 1 else outcome
        outcome = "internal_error" if hour % 59 == 2 and at % (5 * MINUTE) == 0 else outcome
        if not 20 <= hour % 60 < 24:
            found.append(
                probe(
                    at,
                    outcome,
                    stands_for_s=60.0,
                    ttft_ms=chance.lognormvariate(6, 0.5) if outcome == "ok" else None,
                    total_ms=chance.lognormvariate(7, 0.8) if outcome == "ok" else None,
                    lag_ms=30.0 if chance.random() < 0.01 else 0.5,
                    cost_usd=0.000013 if chance.random() < 0.9 else None,
                    answer_ok=chance.random() < 0.9 if outcome == "ok" else None,
                )
            )
        at += MINUTE
    return found


@dataclass(frozen=True)
class Week:
    probes: list[Probe]
    minutes: list[Rollup]
    hours: list[Rollup]


@pytest.fixture(scope="module")
def week() -> Week:
    probes = a_week()
    return Week(probes, told(probes), kept(probes))


def test_uptime_success_answers_and_money_are_exactly_the_same(week: Week) -> None:
    exact, found = summary(week.minutes), summary(week.hours)
    assert found.counted.tolist() == exact.counted.tolist()
    assert found.uptime(MIDNIGHT - 7 * DAY, MIDNIGHT) == exact.uptime(MIDNIGHT - 7 * DAY, MIDNIGHT)
    assert found.success_rate() == exact.success_rate() and found.answers() == exact.answers()
    assert found.requests == len(week.probes)
    assert found.cost_usd == pytest.approx(sum(p.cost_usd or 0.0 for p in week.probes), abs=1e-9)


@pytest.mark.parametrize("column", ["ttft_ms", "total_ms", "tokens_per_second"])
def test_percentiles_are_within_one_percent(week: Week, column: str) -> None:
    day = [p for p in week.probes if p.started_at >= MIDNIGHT - DAY]
    exact, found = percentiles(told(day), column), percentiles(kept(day), column)
    assert exact.count <= 2_000 and (found.count, found.skipped) == (exact.count, exact.skipped)
    for name in ("p50", "p75", "p90", "p95", "p99"):
        assert getattr(found, name) == pytest.approx(getattr(exact, name), rel=0.01)


def test_the_parts_of_a_window_add_up_to_it(week: Week) -> None:
    days = sorted({p.started_at // DAY_MS for p in week.probes})
    parts = [kept([p for p in week.probes if p.started_at // DAY_MS == day]) for day in days]
    whole = [rollup for part in parts for rollup in part]
    assert summary(whole).counted.tolist() == summary(week.hours).counted.tolist()
    assert percentiles(whole, "ttft_ms") == percentiles(week.hours, "ttft_ms")


def test_a_strip_from_cells_is_the_strip_from_minutes(week: Week) -> None:
    since, until = MIDNIGHT - 2 * DAY, MIDNIGHT
    exact, found = status_bars(week.minutes, since, until, 60.0, 48), status_bars(week.hours, since, until, 60.0, 48)
    assert [(bar.since, bar.state, bar.up_s, bar.down_s) for bar in found] == [
        (bar.since, bar.state, bar.up_s, bar.down_s) for bar in exact
    ]
    narrow = status_bars(week.hours, MIDNIGHT - HOUR, MIDNIGHT, 60.0)
    assert {bar.until - bar.since for bar in narrow} == {5 * MINUTE}
    assert [bar.state for bar in status_bars([], NOON, NOON + HOUR, 60.0)] == ["no_data"] * 60


def test_a_bar_counts_outcomes_only_where_it_holds_all_of_a_stretch(week: Week) -> None:
    since, until = MIDNIGHT - 2 * DAY, MIDNIGHT
    exact, found = status_bars(week.minutes, since, until, 60.0, 48), status_bars(week.hours, since, until, 60.0, 48)
    assert [Counter(dict(bar.seen)) for bar in found] == [Counter(dict(bar.seen)) for bar in exact]
    assert sum(count for bar in found for _, count in bar.seen) > 10
    narrow = status_bars(week.hours, since, until, 60.0, 96)  # half an hour each: of which half, nobody knows
    assert all(bar.seen == () for bar in narrow)


def test_a_bar_says_what_its_first_failure_said() -> None:
    bars = status_bars(told([probe(NOON + n * MINUTE, "timeout") for n in range(4)]), NOON, NOON + 4 * MINUTE, 60.0, 2)
    failures = [Failure(NOON + n * MINUTE, "here", "ping", "timeout", f"said {n}" if n else None) for n in (3, 2, 1, 0)]
    assert [bar.error for bar in add_errors(bars, failures)] == ["said 1", "said 2"]
    assert [bar.error for bar in add_errors(bars, [])] == [None, None]


def test_bands_of_hours_are_those_of_minutes_within_one_percent(week: Week) -> None:
    since, until = MIDNIGHT - 4 * DAY, MIDNIGHT
    exact, found = bands(week.minutes, "ttft_ms", since, until), bands(week.hours, "ttft_ms", since, until)
    assert [(band.at, band.count) for band in found] == [(band.at, band.count) for band in exact]
    assert [band.p50 or 0.0 for band in found] == pytest.approx([band.p50 or 0.0 for band in exact], rel=0.01)
    assert not any(band.count for band in bands([], "ttft_ms", since, until))


def test_a_line_breaks_at_a_gap_and_has_no_more_points_than_there_is_room_for(week: Week) -> None:
    line = median_line(week.hours, "ttft_ms", MIDNIGHT - 7 * DAY, MIDNIGHT)
    assert len(line) <= 48 and any(value is None for value in line)
    assert median_line([], "ttft_ms", MIDNIGHT - 7 * DAY, MIDNIGHT) == []


def test_tokens_and_failures_are_the_same(week: Week) -> None:
    assert tokens_per_day(week.hours) == tokens_per_day(week.minutes)
    assert (
        sum(count for _, _, count in failures(week.hours)) == sum(count for _, _, count in failures(week.minutes)) > 0
    )
