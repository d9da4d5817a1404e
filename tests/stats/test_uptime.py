"""Uptime against examples that were worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stats.uptime import Uptime, wilson
from store.outcomes import NOT_COUNTED, PAUSED
from store.schema import Probe
from tests.factories import DAY, HOUR, MINUTE, NOON, SECOND, probe
from tests.stats.samples import whole


def _every(step: int, since: int, until: int, outcome: str = "ok") -> list[Probe]:
    return [probe(at, outcome, stands_for_s=step / 1_000) for at in range(since, until, step)]


def test_ten_minutes_down_probed_every_20_s_and_ten_up_probed_every_60_s_are_half() -> None:
    middle = NOON + 10 * MINUTE
    probes = _every(20 * SECOND, NOON, middle, "timeout") + _every(MINUTE, middle, NOON + 20 * MINUTE)
    seen = whole(probes).uptime(NOON, NOON + 20 * MINUTE)
    assert (seen.share, seen.coverage, seen.up_s, seen.down_s) == (0.5, 1.0, 600, 600)
    rate = whole(probes).success_rate()
    assert (rate.ok, rate.failed, rate.share) == (10, 30, 0.25)  # what counting requests would have said


def test_a_hole_of_22_hours_is_not_uptime() -> None:
    probes = _every(MINUTE, NOON, NOON + HOUR) + _every(MINUTE, NOON + 23 * HOUR, NOON + DAY)
    seen = whole(probes).uptime(NOON, NOON + DAY)
    assert seen.coverage == pytest.approx(2 / 24)
    assert seen.share is None
    assert seen.strict == (pytest.approx(2 / 24), 1.0)


def test_a_failure_that_its_confirmation_cleared_costs_no_time_but_is_a_failed_request() -> None:
    probes = [probe(NOON, "timeout", stands_for_s=0.0), probe(NOON + 10 * SECOND), probe(NOON + MINUTE)]
    seen = whole(probes).uptime(NOON, NOON + 2 * MINUTE)
    assert (seen.share, seen.probes) == (1.0, 2)
    assert whole(probes).success_rate().share == pytest.approx(2 / 3)


@pytest.mark.parametrize("outcome", sorted(NOT_COUNTED))
def test_what_is_not_counted_is_neither_up_nor_down_and_lowers_the_coverage(outcome: str) -> None:
    probes = [probe(NOON), probe(NOON + MINUTE), probe(NOON + 2 * MINUTE, outcome)]
    seen = whole(probes).uptime(NOON, NOON + 3 * MINUTE)
    assert (seen.share, seen.not_counted_s) == (1.0, 60)
    assert seen.coverage == pytest.approx(2 / 3)
    assert whole(probes).success_rate().not_counted == (0 if outcome == PAUSED else 1)  # a paused slot had no request


def test_a_day_at_one_a_minute_without_a_failure_is_at_least_99_73_percent() -> None:
    seen = whole(_every(MINUTE, NOON, NOON + DAY)).uptime(NOON, NOON + DAY)
    assert seen.interval is not None
    assert (seen.share, round(seen.interval[0], 4), round(seen.interval[1], 12)) == (1.0, 0.9973, 1.0)


def test_nothing_is_not_enough_data() -> None:
    seen = whole([]).uptime(NOON, NOON + DAY)
    assert (seen.share, seen.interval, seen.coverage, seen.strict) == (None, None, 0.0, (0.0, 1.0))
    assert whole([]).uptime(NOON, NOON).coverage == 0.0


def test_wilson_against_its_textbook_values() -> None:
    assert wilson(0.5, 0) == (0.0, 1.0)
    assert wilson(0.9, 10) == (pytest.approx(0.5958, abs=1e-4), pytest.approx(0.9821, abs=1e-4))


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6), st.integers(1, 10_000))
def test_the_share_lies_in_its_interval_and_between_the_strict_bounds(
    up: float, down: float, gap: float, n: int
) -> None:
    seen = Uptime(up + down + gap, up, down, 0.0, n, float(n))
    if seen.share is None:
        return
    assert seen.interval is not None
    assert seen.interval[0] - 1e-9 <= seen.share <= seen.interval[1] + 1e-9
    assert seen.strict[0] - 1e-9 <= seen.share <= seen.strict[1] + 1e-9


@given(
    st.lists(st.tuples(st.sampled_from(["ok", "timeout", "rate_limited"]), st.sampled_from([15.0, 60.0])), max_size=40)
)
def test_the_order_of_the_probes_does_not_matter(slots: list[tuple[str, float]]) -> None:
    probes = [probe(NOON + n * MINUTE, outcome, stands_for_s=s) for n, (outcome, s) in enumerate(slots)]
    window = (NOON, NOON + HOUR)
    assert whole(probes).uptime(*window) == whole(probes[::-1]).uptime(*window)
