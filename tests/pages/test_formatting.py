from __future__ import annotations

import pytest

from pages.components import formatting
from stats.uptime import Uptime
from tests.factories import DAY, HOUR, MINUTE, NOON


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (None, "–"),
        (1.0, "100%"),
        (0.0, "0%"),
        (0.99999, "99.99%"),
        (0.9921, "99.21%"),
        (0.5, "50.0%"),
        (0.001, "0.10%"),
    ],
)
def test_a_share_is_never_rounded_up_to_all(share: float | None, said: str) -> None:
    assert formatting.percent(share) == said


def test_bounds_keep_the_digits_that_tell_them_apart() -> None:
    assert formatting.bounds((0.987, 0.995)) == "98.7 to 99.5"
    assert formatting.bounds((0.99987, 1.0)) == "99.99 to 100"
    assert formatting.bounds(None) == ""


def test_numbers_have_the_digits_that_mean_something() -> None:
    assert [formatting.milliseconds(v) for v in (None, 0.834, 41.26, 412.4, 1_180.0)] == [
        "–",
        "0.834",
        "41.3",
        "412",
        "1,180",
    ]
    assert [formatting.rate(v) for v in (None, 61.04, 118.4)] == ["–", "61.0", "118"]
    assert [formatting.context(v) for v in (None, 512, 8_192, 32_768, 131_072, 1_048_576)] == [
        "unknown",
        "512",
        "8k",
        "32k",
        "131k",
        "1.05M",
    ]
    assert [formatting.price(v) for v in (None, "0", "0.020", "15", "x")] == [
        "unknown",
        "$0",
        "$0.02",
        "$15",
        "unknown",
    ]
    assert [formatting.money(v) for v in (0, 0.01214, 12.3)] == ["$0", "$0.0121", "$12.30"]
    assert [formatting.probes(v) for v in (0, 1, 1_438)] == ["0 probes", "1 probe", "1,438 probes"]


def test_durations_and_moments() -> None:
    assert [formatting.duration(s) for s in (4, 60, 80, 720, 10_800, 172_800)] == [
        "4 s",
        "1 min",
        "80 s",
        "12 min",
        "3 h",
        "2 d",
    ]
    assert formatting.ago(NOON - 4_000, NOON) == "4 s ago"
    assert formatting.ago(None, NOON) == "never"
    assert formatting.clock(NOON, "Europe/Berlin") == "24 Nov, 13:00"
    assert formatting.clock(NOON - 400 * DAY, "UTC", NOON) == "20 Oct 2025, 12:00"
    assert formatting.exact(NOON + HOUR + MINUTE, "UTC") == "2026-11-24 13:01:00 UTC"
    assert formatting.day(1_741_910_400_000, "UTC") == "14 March 2025"


def test_without_enough_coverage_the_note_says_so() -> None:
    assert formatting.uptime_note(Uptime(100, 40, 0, 0, 4, 4)) == "not enough data: coverage 40.0%"
    assert formatting.uptime_note(Uptime(100, 100, 0, 0, 1_438, 1_438)) == "99.7 to 100 · 1,438 probes"


def test_what_was_seen_is_status_finish_reason_error_tokens_and_cost() -> None:
    full = {
        "http_status": 200, "finish_reason": "length", "error": None, "prompt_tokens": 20, "completion_tokens": 16,
        "reasoning_tokens": 16, "tokens_source": "usage", "cost_usd": 0.0004, "answer_ok": None,
    }  # fmt: skip
    said = "HTTP 200, finish reason length; 20 tokens in, 16 out, 16 of them reasoning, $0.0004 billed"
    assert formatting.describe_probe(full) == said
    limited = {"http_status": 429, "error": "HTTP 429, slow down (retry after 30)", "cost_usd": None}
    assert formatting.describe_probe(limited) == "HTTP 429; slow down (retry after 30)"
    assert (
        formatting.describe_probe({"http_status": None, "error": "connection refused"})
        == "no response; connection refused"
    )
    counted = {"http_status": 200, "completion_tokens": 1, "tokens_source": "chunks", "answer_ok": False}
    assert formatting.describe_probe(counted) == "HTTP 200; 1 token out (estimated from chunks); wrong answer"
    paced = {"http_status": 200, "itl_p50_ms": 12.5, "itl_p99_ms": 140.0, "system_fingerprint": "fp_1"}
    assert formatting.describe_probe(paced) == "HTTP 200; gaps between chunks p50 12.5 ms, p99 140 ms; fingerprint fp_1"
