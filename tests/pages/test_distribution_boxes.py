"""How values are spread, as HTML: each bar and each hour says what it stands for."""

from __future__ import annotations

import re

import pytest

from pages.components import formatting
from pages.components.distribution_boxes import NO_SAMPLES, histogram, hours_of_week
from stats.distribution import by_hour_of_week
from stats.distribution import histogram as shares
from stats.samples import samples
from tests.factories import MINUTE, NOON, probe
from tests.stats.samples import kept, told


def test_the_bars_shares_are_all_of_them_and_the_highest_fills_the_height() -> None:
    counts = samples(told([probe(NOON + n, ttft_ms=100.0 + n) for n in range(300)]), "ttft_ms")
    drawn = histogram(shares(counts), "red", "ms", formatting.milliseconds)
    shown = [float(share) for share in re.findall(r": ([0-9.]+)% of all\"", drawn)]
    assert sum(shown) == pytest.approx(100, abs=2)
    assert 'style="height:100.0%"' in drawn and 'aria-label="Histogram: most often ' in drawn


def test_the_week_has_a_box_an_hour_the_slowest_in_full_colour() -> None:
    rows = kept([probe(NOON + n * MINUTE, ttft_ms=100.0 if n < 60 else 400.0) for n in range(120)])
    drawn = hours_of_week(by_hour_of_week(rows, "ttft_ms"), "red", "ms", formatting.milliseconds)
    assert len(re.findall("<i ", drawn)) == 7 * 24
    assert re.search(r'--s:8%" data-tip="Tue 12:00: (99|100|101)[.0-9]* ms"', drawn)
    assert re.search(r'--s:100%" data-tip="Tue 13:00: (39[6-9]|40[0-4]) ms"', drawn)
    assert 'data-tip="Mon 12:00: no samples"' in drawn


def test_without_a_sample_both_say_so() -> None:
    empty = samples(told([probe(NOON, "timeout")]), "ttft_ms")
    assert histogram(shares(empty), "red", "ms", formatting.milliseconds) == NO_SAMPLES
    assert hours_of_week(by_hour_of_week([], "ttft_ms"), "red", "ms", formatting.milliseconds) == NO_SAMPLES
