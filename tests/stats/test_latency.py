from __future__ import annotations

import pytest

from stats.latency import MOST_BANDS, band_count, bands, median_line
from stats.samples import percentiles
from tests.factories import HOUR, MINUTE, NOON, probe
from tests.stats.samples import kept, told


def test_percentiles_of_one_to_a_hundred() -> None:
    seen = percentiles(told(probe(NOON + n, ttft_ms=float(n)) for n in range(1, 102)), "ttft_ms")
    assert (seen.count, seen.p50, seen.p75, seen.p90, seen.p95, seen.p99) == (101, 51, 76, 91, 96, 100)
    assert not seen.is_small


def test_only_good_replies_on_a_machine_that_was_not_overloaded_are_samples() -> None:
    probes = [
        probe(NOON, ttft_ms=100.0),
        probe(NOON + 1, ttft_ms=900.0, lag_ms=20.5),
        probe(NOON + 2, "timeout", ttft_ms=5_000.0),
        probe(NOON + 3, ttft_ms=None),
        probe(NOON + 4, ttft_ms=300.0, lag_ms=None),
    ]
    seen = percentiles(told(probes), "ttft_ms")
    assert (seen.count, seen.skipped, seen.p50, seen.is_small) == (2, 1, 200, True)


def test_no_sample_is_null_not_zero() -> None:
    seen = percentiles(told([]), "ttft_ms")
    assert (seen.count, seen.p50, seen.p99) == (0, None, None)


def test_bands_are_percentiles_of_equal_stretches_with_gaps_left_open() -> None:
    probes = [probe(NOON + n * MINUTE, ttft_ms=float(100 + n)) for n in range(60) if not 15 <= n < 30]
    found = bands(told(probes), "ttft_ms", NOON, NOON + HOUR)
    assert [band.count for band in found] == [10, 5, 0, 10, 10, 10]
    assert [band.at for band in found] == [NOON + n * 10 * MINUTE + 5 * MINUTE for n in range(6)]
    assert found[0].p50 == 104.5
    assert [band.p5 is None for band in found] == [False, False, True, False, False, False]


def test_the_number_the_line_and_the_bands_have_one_definition_of_a_median() -> None:
    probes = [probe(NOON + n * MINUTE, ttft_ms=100.0 + n**2) for n in range(32)]
    for rollups, exact in ((told(probes), True), (kept(probes), False)):
        number = percentiles(rollups, "ttft_ms").p50
        assert number == pytest.approx(100 + (15**2 + 16**2) / 2, rel=0 if exact else 0.01)
        window = (NOON, NOON + HOUR)
        by_band = [band.p50 for band in bands(rollups, "ttft_ms", *window)]
        assert median_line(rollups, "ttft_ms", *window) == by_band


def test_beyond_two_thousand_samples_a_median_is_that_of_the_sketch() -> None:
    probes = [probe(NOON + n * 1_500, ttft_ms=100.0 + n % 7) for n in range(2_001)]
    assert percentiles(told(probes[:2_000]), "ttft_ms").p50 == 103
    median = percentiles(told(probes), "ttft_ms").p50
    assert median != 103 and median == pytest.approx(103, rel=0.01)


def test_a_stretch_holds_about_eight_samples() -> None:
    assert [band_count(n) for n in (0, 8, 80, 10_000)] == [4, 4, 10, MOST_BANDS]
