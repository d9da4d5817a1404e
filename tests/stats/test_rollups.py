"""The statistics from roll-ups are those from raw probes: exactly where they are counts and seconds, else within 1%."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from stats import rollups
from stats.answers import answers
from stats.incidents import incidents, mean_time_between_failures_s, mean_time_to_recovery_s, standing, standing_of
from stats.latency import bands, percentiles
from stats.rollups import FIRST_VALUE
from stats.strip import strip
from stats.tokens import tokens_per_day
from stats.uptime import success_rate, uptime
from store.rollups import DAY_MS, HOUR_MS
from store.rows import Probe
from tests.factories import DAY, HOUR, MINUTE, NOON, probe
from tests.stats.samples import frame_of

MIDNIGHT = NOON - NOON % DAY
KEY = ("Gemma", "here", "ping")


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


PROBES = a_week()
FRAME = frame_of(PROBES)
HOURS = rollups.rows_of(PROBES)


def summary() -> rollups.Summary:
    return rollups.summaries(HOURS)[KEY]


def test_uptime_success_answers_and_money_are_exactly_the_same() -> None:
    since, until = MIDNIGHT - 7 * DAY, MIDNIGHT
    assert summary().uptime(since, until) == uptime(FRAME, since, until)
    assert summary().uptime(since, until).interval == uptime(FRAME, since, until).interval
    assert summary().success_rate() == success_rate(FRAME)
    assert summary().answers() == answers(FRAME)
    assert summary().cost_usd == pytest.approx(FRAME["cost_usd"].sum(), abs=1e-9)
    assert summary().requests == len(PROBES)


@pytest.mark.parametrize("column", ["ttft_ms", "total_ms", "tokens_per_second"])
def test_percentiles_are_within_one_percent(column: str) -> None:
    exact, found = percentiles(FRAME, column), summary().percentiles(column)
    assert (found.count, found.left_out) == (exact.count, exact.left_out)
    for name in ("p50", "p75", "p90", "p95", "p99"):
        assert getattr(found, name) == pytest.approx(getattr(exact, name), rel=0.01)


def test_the_parts_of_a_window_add_up_to_it() -> None:
    parts = [
        rollups.summaries(rollups.rows_of(p for p in PROBES if p.started_at // DAY_MS == day))[KEY]
        for day in sorted({p.started_at // DAY_MS for p in PROBES})
    ]
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.plus(part)
    assert whole.counted.tolist() == summary().counted.tolist()
    assert whole.percentiles("ttft_ms") == summary().percentiles("ttft_ms")


def test_a_bar_from_cells_counts_outcomes_only_where_it_holds_all_of_a_row() -> None:
    since, until = MIDNIGHT - 2 * DAY, MIDNIGHT
    exact, found = strip(FRAME, since, until, 60.0, 48), rollups.strip(HOURS, since, until, 60.0, 48)
    assert [Counter(dict(bar.seen)) for bar in found] == [Counter(dict(bar.seen)) for bar in exact]
    assert sum(count for bar in found for _, count in bar.seen) > 10
    narrow = rollups.strip(HOURS, since, until, 60.0, 96)  # half an hour each: of which half, nobody knows
    assert all(bar.seen == () for bar in narrow)
    finer = rollups.strip(HOURS, since, until, 60.0, 2, [row for row in HOURS if row[3] < MIDNIGHT - DAY])
    assert [bool(bar.seen) for bar in finer] == [True, False]


def test_a_strip_from_cells_is_the_strip_from_probes() -> None:
    since, until = MIDNIGHT - 2 * DAY, MIDNIGHT
    exact, found = strip(FRAME, since, until, 60.0, 48), rollups.strip(HOURS, since, until, 60.0, 48)
    assert [(bar.since, bar.state, bar.up_s, bar.down_s) for bar in found] == [
        (bar.since, bar.state, bar.up_s, bar.down_s) for bar in exact
    ]
    narrow = rollups.strip(HOURS, MIDNIGHT - HOUR, MIDNIGHT, 60.0)
    assert {bar.until - bar.since for bar in narrow} == {5 * MINUTE}
    assert [bar.state for bar in rollups.strip([], NOON, NOON + HOUR, 60.0)] == ["no_data"] * 12


def test_bands_from_sketches_are_those_from_probes_within_one_percent() -> None:
    since, until = MIDNIGHT - 4 * DAY, MIDNIGHT
    exact, found = bands(FRAME, "ttft_ms", since, until), rollups.bands(HOURS, "ttft_ms", since, until, HOUR_MS)
    assert found["at"].tolist() == exact["at"].tolist()
    assert found["count"].tolist() == exact["count"].tolist()
    for name in ("p5", "p25", "p50", "p75", "p95"):
        assert found[name].tolist() == pytest.approx(exact[name].tolist(), rel=0.01, nan_ok=True)
    assert int(rollups.bands([], "ttft_ms", since, until, HOUR_MS)["count"].sum()) == 0


def test_a_sparkline_has_a_point_an_hour_and_not_more_than_asked_for() -> None:
    line = rollups.median_line(HOURS, "ttft_ms", most=1_000)
    assert len(line) == 7 * 24
    assert sum(median is not None for median in line) == sum(row[FIRST_VALUE] > 0 for row in HOURS)  # a gap is a gap
    assert any(value is None for value in line)
    assert len(rollups.median_line(HOURS, "ttft_ms", most=24)) <= 24
    assert rollups.median_line([], "ttft_ms") == []


def test_tokens_by_day_are_the_same() -> None:
    exact, found = tokens_per_day(FRAME), rollups.tokens_per_day(HOURS)
    assert found[["day", "prompt_tokens", "completion_tokens", "requests"]].values.tolist() == (
        exact[["day", "prompt_tokens", "completion_tokens", "requests"]].values.tolist()
    )
    assert found["cost_usd"].tolist() == pytest.approx(exact["cost_usd"].tolist())


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [
        (["ok", "timeout", "timeout"], "down"),
        (["timeout", "timeout", "ok", "ok"], "up"),
        (["ok", "timeout"], "down"),
        (["ok", "rate_limited"], "not_counted"),
        (["ok", "internal_error"], "not_counted"),
        (["ok"], "up"),
    ],
)
def test_the_standing_from_incidents_is_that_from_probes(outcomes: list[str], words: str) -> None:
    probes = [probe(NOON + n * MINUTE, outcome) for n, outcome in enumerate(outcomes)]
    now = NOON + len(probes) * MINUTE
    found = standing_of(probes[-1], incidents(frame_of(probes)), now, 60)
    exact = standing(frame_of(probes), now, 60)
    assert (found.word, exact.word) == (words, words)
    if words != "not_counted":
        assert found.since == exact.since
    assert standing_of(None, [], now, 60).word == "never"
    assert standing_of(probes[-1], [], now + DAY, 60).word == "stale"


def test_recovery_and_the_time_between_failures() -> None:
    found: list[Any] = incidents(frame_of(PROBES))
    over = [i for i in found if i.ended_at is not None]
    assert mean_time_to_recovery_s(found) == sum(i.duration_s(MIDNIGHT) for i in over) / len(over)
    assert mean_time_between_failures_s(found, 3_600.0 * len(found)) == 3_600.0
    assert mean_time_to_recovery_s([]) is None
    assert mean_time_between_failures_s([], 5.0) is None
