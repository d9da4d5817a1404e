"""Differences of medians, distributions, costs, and several places."""

from __future__ import annotations

import numpy as np
import pytest

from stats import rollups
from stats.costs import asked_since, costs, month_began
from stats.differences import counts_of, difference
from stats.distribution import by_hour_of_week, histogram
from stats.places import seen_by_most, share_up
from stats.strip import Bar
from stats.tokens import tokens_per_day
from tests.factories import DAY, HOUR, MINUTE, NOON, probe
from tests.stats.samples import frame_of

MIDNIGHT = NOON - NOON % DAY


def counts(values: np.ndarray) -> np.ndarray:
    return counts_of(frame_of([probe(NOON + n, ttft_ms=float(value)) for n, value in enumerate(values)]), "ttft_ms")


# -- differences


def test_a_difference_is_shown_with_its_interval_when_the_data_can_tell() -> None:
    chance = np.random.default_rng(1)
    found = difference(counts(chance.lognormal(6, 0.3, 400)), counts(1.3 * chance.lognormal(6, 0.3, 400)))
    assert found is not None and found.is_shown
    assert found.low < found.by < found.high
    assert found.by == pytest.approx(0.3 * 403, rel=0.35)


def test_of_a_hundred_pairs_that_do_not_differ_about_five_show_a_difference() -> None:
    chance = np.random.default_rng(2)
    pairs = (
        difference(counts(chance.lognormal(6, 0.3, 200)), counts(chance.lognormal(6, 0.3, 200))) for _ in range(100)
    )
    assert sum(pair is not None and pair.is_shown for pair in pairs) <= 10


def test_few_samples_tell_nothing() -> None:
    assert difference(counts(np.array([1.0] * 4)), counts(np.array([5.0] * 400))) is None
    same = difference(counts(np.full(50, 400.0)), counts(np.full(50, 400.0)))
    assert same is not None and (same.by, same.is_shown) == (0, False)


# -- distributions


def test_a_histogram_has_all_samples_in_equal_steps_of_a_logarithm() -> None:
    values = np.random.default_rng(3).lognormal(6, 0.5, 5_000)
    table = histogram(counts(values))
    assert table["share"].sum() == pytest.approx(1)
    assert len(table) <= 48
    steps = np.diff(np.log(table["low"]))
    assert steps == pytest.approx(np.full(len(steps), steps[0]))
    inside = ((values >= 300) & (values < 600)).mean()
    bars = table[(table["low"] >= 300 * 0.98) & (table["high"] <= 600 * 1.02)]
    assert bars["share"].sum() == pytest.approx(inside, abs=0.06)
    assert histogram(counts(np.array([]))).empty
    assert histogram(counts(np.array([5.0])))["share"].tolist() == [1]


def test_hours_of_the_week_are_in_the_viewers_zone() -> None:
    rows = rollups.rows_of([probe(NOON, ttft_ms=100.0), probe(NOON + HOUR, ttft_ms=300.0)])
    table = by_hour_of_week(rows, "ttft_ms", "Europe/Berlin")  # a Tuesday, an hour ahead
    assert table.loc["Tue", 13] == pytest.approx(100, rel=0.01)
    assert table.loc["Tue", 14] == pytest.approx(300, rel=0.01)
    assert int(table.notna().sum().sum()) == 2


# -- costs


def test_the_month_is_projected_at_the_pace_of_the_last_seven_days() -> None:
    rows = [("a", "here", "ping", MIDNIGHT - back * DAY, 10**12, 1) for back in range(30)]  # $1 a day
    [cost] = costs(rows, NOON)  # 24 November 2026, 12:00 UTC
    assert (cost.today_usd, cost.month_usd, cost.unpriced) == (1, 24, 24)
    # seven dollars in six days and a half; six days and a half are left
    assert cost.projected_usd == pytest.approx(24 + 7)
    assert month_began(NOON) == MIDNIGHT - 23 * DAY
    assert asked_since(NOON) == month_began(NOON)
    assert asked_since(month_began(NOON)) == month_began(NOON) - 7 * DAY


def test_a_target_of_today_is_projected_from_what_it_cost_since() -> None:
    [cost] = costs([("a", "here", "ping", MIDNIGHT, 10**12, 0)], MIDNIGHT + DAY // 2)
    assert cost.projected_usd == pytest.approx(1 + 6.5 * 2)
    assert costs([], NOON) == []


# -- several places


def bar(up_s: float, down_s: float, other_s: float = 0.0) -> Bar:
    return Bar(NOON, NOON + MINUTE, up_s, down_s, other_s, 1)


def test_it_is_down_only_where_most_places_see_it() -> None:
    up, down, nothing, limited = bar(60, 0), bar(10, 50), bar(0, 0), bar(0, 0, 60)
    [one] = seen_by_most([[up], [up], [down]])
    assert (one.up_s, one.down_s, one.probes) == (60, 0, 3)
    [most] = seen_by_most([[up], [down], [down]])
    assert (most.up_s, most.down_s) == (0, 60)
    [half] = seen_by_most([[up], [down]])
    assert half.state == "up"  # not more than half
    [alone] = seen_by_most([[nothing], [down], [limited]])
    assert alone.state == "down"  # who decided nothing has no vote
    assert seen_by_most([[nothing], [limited]])[0].state == "not_counted"
    assert share_up([one, most]) == 0.5
    assert share_up([]) is None


# -- the two worked examples of the design


def test_ten_minutes_down_probed_often_and_ten_up_probed_seldom_are_half_up() -> None:
    probes = [probe(NOON + n * 20_000, "timeout", stands_for_s=20.0) for n in range(30)]
    probes += [probe(NOON + 10 * MINUTE + n * MINUTE, stands_for_s=60.0) for n in range(10)]
    summary = rollups.summaries(rollups.rows_of(probes))["Gemma", "here", "ping"]
    found = summary.uptime(NOON, NOON + 20 * MINUTE)
    assert (found.share, found.coverage) == (0.5, 1)


def test_a_hole_of_22_hours_is_not_uptime() -> None:
    probes = [probe(NOON + n * MINUTE) for n in range(120)]
    summary = rollups.summaries(rollups.rows_of(probes))["Gemma", "here", "ping"]
    found = summary.uptime(NOON, NOON + DAY)
    assert (found.share, round(found.coverage, 3)) == (None, 0.083)
    assert found.strict == pytest.approx((2 / 24, 1))


def test_the_day_on_which_clocks_go_back_has_25_hours_of_uptime_and_of_tokens() -> None:
    began, ended = (
        1_792_879_200_000,
        1_792_969_200_000,
    )  # 25 October 2026 in Berlin, 22:00 UTC the day before to 23:00 UTC
    probes = [probe(at, prompt_tokens=1, completion_tokens=0) for at in range(began, ended, MINUTE)]
    summary = rollups.summaries(rollups.rows_of(probes))["Gemma", "here", "ping"]
    found = summary.uptime(began, ended)
    assert (found.window_s, found.share, found.coverage) == (25 * 3_600, 1, 1)
    [day] = tokens_per_day(frame_of(probes), "Europe/Berlin").itertuples()
    assert (str(day.day), day.prompt_tokens) == ("2026-10-25", 25 * 60)


def test_a_clock_that_was_set_back_counts_each_slot_once() -> None:
    first = [probe(NOON + n * MINUTE) for n in range(30)]
    again = [probe(NOON + n * MINUTE + 20_000, "timeout") for n in range(20, 30)]  # ten minutes a second time
    summary = rollups.summaries(rollups.rows_of([*first, *again]))["Gemma", "here", "ping"]
    found = summary.uptime(NOON, NOON + 30 * MINUTE)
    assert (found.up_s, found.down_s, found.share) == (1_800, 600, 0.75)
    assert found.coverage == 1  # never above all of it
