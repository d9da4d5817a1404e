from __future__ import annotations

import pytest

from stats.latency import BUCKETS, bands, bucket_count, percentiles
from tests.factories import HOUR, MINUTE, NOON, probe
from tests.stats.samples import frame_of


def test_percentiles_of_one_to_a_hundred() -> None:
    seen = percentiles(frame_of(probe(NOON + n, ttft_ms=float(n)) for n in range(1, 102)), "ttft_ms")
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
    seen = percentiles(frame_of(probes), "ttft_ms")
    assert (seen.count, seen.left_out, seen.p50, seen.is_small) == (2, 1, 200, True)


def test_no_sample_is_null_not_zero() -> None:
    seen = percentiles(frame_of([]), "ttft_ms")
    assert (seen.count, seen.p50, seen.p99) == (0, None, None)


def test_bands_are_percentiles_of_equal_stretches_with_gaps_left_open() -> None:
    probes = [probe(NOON + n * MINUTE, ttft_ms=float(100 + n)) for n in range(60) if not 15 <= n < 30]
    table = bands(frame_of(probes), "ttft_ms", NOON, NOON + HOUR)
    assert len(table) == 6
    assert list(table["count"]) == [10, 5, 0, 10, 10, 10]
    assert list(table["at"]) == [NOON + n * 10 * MINUTE + 5 * MINUTE for n in range(6)]
    assert table["p50"].tolist()[0] == pytest.approx(104.5)
    assert table["p5"].isna().tolist() == [False, False, True, False, False, False]


def test_a_stretch_holds_about_eight_samples() -> None:
    assert [bucket_count(n) for n in (0, 8, 80, 10_000)] == [4, 4, 10, BUCKETS]
