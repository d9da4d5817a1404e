"""Differences of medians, distributions, costs, and several places."""

from __future__ import annotations

import numpy as np
import pytest

from stats.consensus import consensus
from stats.costs import costs, costs_begin_at, month_began
from stats.distribution import DAYS, by_hour_of_week, histogram
from stats.median_difference import difference
from stats.samples import Samples, samples_of
from stats.tokens import tokens_per_day
from store.rollups import COUNTED, Rollup
from tests.factories import DAY, HOUR, MINUTE, NOON, probe
from tests.stats.samples import kept, told, whole

MIDNIGHT = NOON - NOON % DAY


def counts(values: np.ndarray) -> Samples:
    return samples_of([float(value) for value in values])


# -- differences


def test_a_difference_is_shown_with_its_interval_when_the_data_can_tell() -> None:
    chance = np.random.default_rng(1)
    found = difference(counts(chance.lognormal(6, 0.3, 400)), counts(1.3 * chance.lognormal(6, 0.3, 400)))
    assert found is not None and found.is_shown
    assert found.low < found.by < found.high
    assert found.by == pytest.approx(0.3 * 403, rel=0.35)


@pytest.mark.thorough
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
    found = histogram(counts(values))
    assert sum(bar.share for bar in found) == pytest.approx(1)
    assert len(found) <= 48
    steps = np.diff(np.log([bar.low for bar in found]))
    assert steps == pytest.approx(np.full(len(steps), steps[0]))
    inside = ((values >= 300) & (values < 600)).mean()
    bars = [bar for bar in found if bar.low >= 300 * 0.98 and bar.high <= 600 * 1.02]
    assert sum(bar.share for bar in bars) == pytest.approx(inside, abs=0.06)
    assert histogram(counts(np.array([]))) == []
    assert [bar.share for bar in histogram(counts(np.array([5.0])))] == [1]


def test_hours_of_the_week_are_in_the_viewers_zone() -> None:
    hours = kept([probe(NOON, ttft_ms=100.0), probe(NOON + HOUR, ttft_ms=300.0)])
    found = by_hour_of_week(hours, "ttft_ms", "Europe/Berlin")  # a Tuesday, an hour ahead
    assert (DAYS[1], found[1][13], found[1][14]) == ("Tue", pytest.approx(100, rel=0.01), pytest.approx(300, rel=0.01))
    assert sum(value is not None for day in found for value in day) == 2


# -- costs


def day(began: int, cost_pusd: int, unpriced: int) -> Rollup:
    counted = dict.fromkeys(COUNTED, 0) | {"cost_pusd": cost_pusd, "unpriced": unpriced}
    return Rollup("a", "here", "ping", began, DAY, HOUR, tuple(counted.values()), (None, None, None), None)


def test_the_month_is_projected_at_the_pace_of_the_last_seven_days() -> None:
    rows = [day(MIDNIGHT - back * DAY, 10**12, 1) for back in range(30)]  # $1 a day
    [cost] = costs(rows, NOON)  # 24 November 2026, 12:00 UTC
    assert (cost.today_usd, cost.month_usd, cost.unpriced) == (1, 24, 24)
    # seven dollars in six days and a half; six days and a half are left
    assert cost.projected_usd == pytest.approx(24 + 7)
    assert month_began(NOON) == MIDNIGHT - 23 * DAY
    assert costs_begin_at(NOON) == month_began(NOON)
    assert costs_begin_at(month_began(NOON)) == month_began(NOON) - 7 * DAY


def test_a_target_of_today_is_projected_from_what_it_cost_since() -> None:
    [cost] = costs([day(MIDNIGHT, 10**12, 0)], MIDNIGHT + DAY // 2)
    assert cost.projected_usd == pytest.approx(1 + 6.5 * 2)
    assert costs([], NOON) == []


# -- several places


def seen_from(*outcomes: str | None) -> list[Rollup]:
    """A minute each, from one place; null: nobody looked."""
    probes = [probe(NOON + n * MINUTE, outcome) for n, outcome in enumerate(outcomes) if outcome is not None]
    return told(probes)


def test_it_is_down_only_where_most_places_see_it() -> None:
    # minute by minute: one of three sees it down; two do; one of two (no majority); one alone; nobody looks; a limit
    one = seen_from("timeout", "timeout", "ok", None, None, "rate_limited")
    two = seen_from("ok", "timeout", "timeout", "timeout", None, None)
    three = seen_from("ok", "ok", None, None, None, None)
    found = consensus([one, two, three], NOON, NOON + 6 * MINUTE, NOON, 60, 90)
    assert [bar.state for bar in found.bars] == ["up", "down", "up", "down", "no_data", "not_counted"]
    assert (found.uptime.up_s, found.uptime.down_s, found.uptime.share) == (120, 120, 0.5)


def test_an_outage_that_every_place_sees_shows_in_bars_that_are_longer_than_it() -> None:
    outcomes = ["timeout" if 10 <= n < 20 else "ok" for n in range(60)]
    found = consensus([seen_from(*outcomes)] * 2, NOON, NOON + HOUR, NOON, 60, 2)
    assert [bar.state for bar in found.bars] == ["partly", "up"]
    assert found.uptime.share == pytest.approx(50 / 60)


def test_an_outage_that_is_shorter_than_a_cell_counts_as_long_as_most_places_saw_it() -> None:
    long = kept(probe(NOON + n * MINUTE, "timeout" if n < 20 else "ok") for n in range(60))
    short = kept(probe(NOON + n * MINUTE, "timeout" if n < 12 else "ok") for n in range(60))
    none = kept(probe(NOON + n * MINUTE) for n in range(60))
    for places, down_min in (([long], 20), ([long, short], 12), ([long, short, none], 12), ([long, none], 0)):
        found = consensus(places, NOON, NOON + HOUR, NOON, 60, 1)  # one cell
        assert found.uptime.down_s == pytest.approx(down_min * 60)
        assert found.bars[-1].down_s == pytest.approx(down_min * 60)


def test_from_several_places_too_little_is_not_enough_data() -> None:
    assert consensus([[], []], NOON, NOON + DAY, NOON, 60, 90).uptime.share is None
    few = consensus([seen_from("ok")] * 2, NOON, NOON + DAY, NOON, 60, 90)
    assert (few.uptime.share, few.uptime.probes) == (None, 1)


# -- the two worked examples of the design


def test_ten_minutes_down_probed_often_and_ten_up_probed_seldom_are_half_up() -> None:
    probes = [probe(NOON + n * 20_000, "timeout", stands_for_s=20.0) for n in range(30)]
    probes += [probe(NOON + 10 * MINUTE + n * MINUTE, stands_for_s=60.0) for n in range(10)]
    summary = whole(probes)
    found = summary.uptime(NOON, NOON + 20 * MINUTE)
    assert (found.share, found.coverage) == (0.5, 1)


def test_a_hole_of_22_hours_is_not_uptime() -> None:
    probes = [probe(NOON + n * MINUTE) for n in range(120)]
    summary = whole(probes)
    found = summary.uptime(NOON, NOON + DAY)
    assert (found.share, round(found.coverage, 3)) == (None, 0.083)
    assert found.strict == pytest.approx((2 / 24, 1))


def test_the_day_on_which_clocks_go_back_has_25_hours_of_uptime_and_of_tokens() -> None:
    began, ended = (
        1_792_879_200_000,
        1_792_969_200_000,
    )  # 25 October 2026 in Berlin, 22:00 UTC the day before to 23:00 UTC
    probes = [probe(at, prompt_tokens=1, completion_tokens=0) for at in range(began, ended, MINUTE)]
    summary = whole(probes)
    found = summary.uptime(began, ended)
    assert (found.window_s, found.share, found.coverage) == (25 * 3_600, 1, 1)
    [local] = tokens_per_day(told(probes), "Europe/Berlin")
    assert (str(local.day), local.prompt_tokens) == ("2026-10-25", 25 * 60)


def test_a_clock_that_was_set_back_counts_each_slot_once() -> None:
    first = [probe(NOON + n * MINUTE) for n in range(30)]
    again = [probe(NOON + n * MINUTE + 20_000, "timeout") for n in range(20, 30)]  # ten minutes a second time
    summary = whole([*first, *again])
    found = summary.uptime(NOON, NOON + 30 * MINUTE)
    assert (found.up_s, found.down_s, found.share) == (1_800, 600, 0.75)
    assert found.coverage == 1  # never above all of it
