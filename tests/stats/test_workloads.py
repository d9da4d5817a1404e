"""The ladder of prompt sizes, and what a prompt cache saves; expectations by hand."""

from __future__ import annotations

from typing import Any

import pytest

from stats.workloads import Measure, cache_effects, ladder
from store.workload_tables import WorkloadRequest
from tests.factories import HOUR, NOON


def request(kind: str = "size", size: int = 1_000, run: int = 0, **more: Any) -> WorkloadRequest:
    values = {"ttft_ms": 500.0, "tokens_per_second": 50.0, "prompt_tokens": size} | more
    outcome = values.pop("outcome", "ok")
    return WorkloadRequest(
        "t", NOON + run * HOUR, "here", values.pop("workload", "ladder"), kind, size, outcome, **values
    )


def test_a_step_has_medians_and_their_slow_ends() -> None:
    """TTFT 100 to 500 ms, 50 to 10 tokens a second: 500 tokens take 10.1 to 50.5 s."""
    rows = [request(run=n, ttft_ms=100.0 * n, tokens_per_second=50.0 / n) for n in (1, 2, 5)]
    [step] = ladder(rows)
    assert step.ttft_ms == Measure(3, 200, pytest.approx(470))  # 90% of the way from 200 to 500
    assert step.tokens_per_second == Measure(3, 25, pytest.approx(11.5))
    assert step.answer_s == Measure(3, pytest.approx(20.2), pytest.approx(20.2 + 0.9 * 30.3))
    assert (step.failed, step.skipped, step.problem, step.prompt_tokens) == (0, 0, None, 1_000)
    assert step.newest_at == NOON + 5 * HOUR


def test_an_answer_of_500_tokens_costs_its_prompt_uncached_at_the_price_that_held() -> None:
    prices = {"usd_per_million_input": 2.0, "usd_per_million_output": 10.0}
    rows = [request(prompt_tokens=1_100, cached_tokens=900, **prices), request(run=1)]
    [step] = ladder(rows)
    assert step.answer_usd == Measure(1, pytest.approx((1_100 * 2 + 500 * 10) / 1e6), pytest.approx(0.0072))
    [free] = ladder([request(usd_per_million_input=0.0, usd_per_million_output=0.0)])
    assert free.answer_usd == Measure(1, 0, 0)


def test_failures_and_what_was_not_sent_are_counted_and_measured_by_nothing() -> None:
    rows = [
        request(run=0),
        request(run=1, outcome="timeout", ttft_ms=90_000.0, error="no end"),
        request(run=2, outcome="skipped", ttft_ms=None, error="over the budget"),
    ]
    [step] = ladder(rows)
    assert (step.failed, step.skipped, step.ttft_ms.count, step.ttft_ms.slow) == (1, 1, 1, 500)
    assert step.problem == "not sent: over the budget"
    [before] = ladder(rows[:2])
    assert before.problem == "timeout: no end"
    [without_speed] = ladder([request(tokens_per_second=None)])
    assert (without_speed.ttft_ms.count, without_speed.answer_s) == (1, Measure(0, None, None))


def test_steps_are_in_the_order_of_their_sizes_by_workload() -> None:
    rows = [request(size=size, workload=name) for name in ("b", "a") for size in (10_000, 100)]
    rows.append(request("first", 5_000))
    assert [(step.workload, step.input_tokens) for step in ladder(rows)] == [
        ("a", 100), ("a", 10_000), ("b", 100), ("b", 10_000)
    ]  # fmt: skip


def test_the_long_prompt_is_compared_with_itself_run_by_run() -> None:
    rows = []
    for run, (first, again, cached, usd) in enumerate(
        [(1_000, 100, 900, 0.5), (3_000, 200, 0, 1.0), (2_000, 300, 800, 0.6)]
    ):
        rows += [request("first", run=run, ttft_ms=first, cost_usd=1.0)]
        rows += [request("again", run=run, ttft_ms=again, cached_tokens=cached, cost_usd=usd)]
    rows += [request("first", run=9, ttft_ms=1.0), request("again", run=9, outcome="timeout", ttft_ms=None)]
    [effect] = cache_effects(rows)
    assert (effect.pairs, effect.first_ms.p50, effect.again_ms.p50) == (3, 2_000, 200)
    assert (effect.stating, effect.hits, effect.cached_tokens) == (3, 2, 850)
    assert effect.saved_share == pytest.approx(0.4)
    assert effect.problem is None


def test_a_pair_that_never_succeeded_says_why_and_a_free_one_saves_nothing() -> None:
    skipped = {"outcome": "skipped", "ttft_ms": None, "error": "over the budget"}
    [effect] = cache_effects([request("first", **skipped), request("again", **skipped)])
    assert (effect.pairs, effect.problem) == (0, "not sent: over the budget")
    [free] = cache_effects([request("first", cost_usd=0.0), request("again", cost_usd=0.0)])
    assert (free.pairs, free.saved_share, free.stating, free.cached_tokens) == (1, None, 0, None)


def test_only_pairs_of_the_newest_size_are_compared() -> None:
    rows = [request(kind, size, run) for run, size in ((0, 5_000), (1, 3_000)) for kind in ("first", "again")]
    [effect] = cache_effects(rows)
    assert (effect.input_tokens, effect.pairs) == (3_000, 1)


def test_names_of_targets_and_the_moment_change_no_number() -> None:
    rows = [request(run=n, ttft_ms=100.0 * (n % 7 + 1), size=(100, 1_000)[n % 2]) for n in range(20)]
    shift = 123 * HOUR
    moved = [
        WorkloadRequest("other", row.started_at + shift, *(getattr(row, name) for name in row.__slots__[2:]))
        for row in rows
    ]
    before, after = ladder(rows), ladder(moved)
    assert [(s.ttft_ms, s.answer_s, s.input_tokens) for s in before] == [
        (s.ttft_ms, s.answer_s, s.input_tokens) for s in after
    ]
