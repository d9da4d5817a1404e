"""The Prompt sizes card of a model's page and of the comparison, and what checks add to what was spent."""

from __future__ import annotations

from pathlib import Path

import pytest

from pages.sections.model_workloads import HOW, NONE_IN_RANGE
from store import open_store
from store.capability_tables import CapabilityTest
from store.identity_tables import IdentityCheck
from store.schema import Run
from store.workload_tables import WorkloadRequest
from tests.factories import DAY, HOUR, probe, target
from tests.pages.conftest import html, metric, now_ms, open_page, text

PRICES = {"usd_per_million_input": 2.0, "usd_per_million_output": 10.0}


@pytest.fixture
def now(store_at: Path) -> int:
    moment = now_ms()
    write(store_at, *(target(name, updated_at=moment) for name in ("Steady", "Other")))
    write(store_at, *(probe(moment - 60_000, target=name, cost_usd=0.25) for name in ("Steady", "Other")))
    write(store_at, Run("probe", moment, "here", moment, 1))
    return moment


def write(path: Path, *rows: object) -> None:
    store = open_store(f"sqlite:///{path}")
    store.write(rows)  # type: ignore[arg-type]
    store.close()


def card(**query: str) -> str:
    app = open_page("model.py", target="Steady", range="7 d", tab="Performance", **query)
    assert not app.exception
    return text(html(app)).partition("time and cost by the length of the prompt")[2]


def run_at(at: int, name: str = "Steady") -> list[WorkloadRequest]:
    """100 tokens after 0.2 s at 50 tokens a second, 1,000 after 2 s at 25; 5,000 after 8 s, and after 1 s again."""

    def row(kind: str, size: int, **more: object) -> WorkloadRequest:
        return WorkloadRequest(name, at, "here", "ladder", kind, size, "ok", prompt_tokens=size, **PRICES, **more)  # type: ignore[arg-type]

    return [
        row("size", 100, ttft_ms=200.0, tokens_per_second=50.0),
        row("size", 1_000, ttft_ms=2_000.0, tokens_per_second=25.0),
        row("first", 5_000, ttft_ms=8_000.0, cost_usd=0.01),
        row("again", 5_000, ttft_ms=1_000.0, cost_usd=0.004, cached_tokens=4_900),
        WorkloadRequest(name, at, "here", "ladder", "size", 9_000, "skipped", error="over the budget"),
    ]


def test_a_target_without_workloads_says_in_a_line_how_to_measure_it(now: int) -> None:
    assert HOW in card()


def test_a_range_without_a_request_says_so(now: int, store_at: Path) -> None:
    write(store_at, *run_at(now - 20 * DAY))
    assert NONE_IN_RANGE in card()


def test_the_ladder_has_a_row_a_size_and_the_cache_a_sentence(now: int, store_at: Path) -> None:
    write(store_at, *run_at(now - DAY), *run_at(now - HOUR))
    shown = card()
    assert "100counted 100200 msp95 200 ms, n 250.0 tok/sp5 50.0 tok/s, n 210.2 sp95 10.2 s, n 2$0.00520" in shown
    assert "1,000counted 1,0002000 ms".replace("2000", "2,000") in shown
    assert "$0.007" in shown  # 1,000 in and 500 out
    assert "9,000–––––0" not in shown and "not sent: over the budget" in shown
    assert (
        "Prompt cache (ladder): a prompt of 5,000 tokens sent again: first token after 1,000 ms instead of 8,000 ms; "
        "4,900 cached tokens in 2 of 2 responses; 60% cheaper (medians of 2 pairs)"
    ) in shown


def test_targets_are_compared_size_by_size(now: int, store_at: Path) -> None:
    write(store_at, *run_at(now - HOUR), *run_at(now - HOUR, "Other")[:1])
    app = open_page("compare.py", range="7 d")
    assert not app.exception
    shown = text(html(app)).partition("time and cost by the length of the prompt")[2]
    assert "100200 ms10.2 s, $0.0052, n 1200 ms10.2 s, $0.0052, n 1" in shown
    assert "1,000–2,000 ms22.0 s, $0.007, n 1" in shown or "1,0002,000 ms22.0 s, $0.007, n 1–" in shown


def test_what_checks_cost_is_spent_too(now: int, store_at: Path) -> None:
    """A quarter by each of two probes; 1 by identity, 2 by capabilities, 4 by a workload, and one of unknown cost."""
    at = now - 1_000
    write(
        store_at,
        IdentityCheck("Steady", at, "here", "logprobs", "ok", 2, cost_usd=1.0),
        CapabilityTest("Steady", at, "here", "tools", "holds", "ok", 3, cost_usd=2.0),
        WorkloadRequest("Other", at, "here", "ladder", "size", 100, "ok", cost_usd=4.0),
        WorkloadRequest("Other", at, "here", "ladder", "size", 1_000, "timeout"),
        WorkloadRequest("Other", at, "here", "ladder", "size", 9_000, "skipped"),
    )
    app = open_page()
    assert not app.exception
    spent = metric(app, "Spent today (UTC)")
    assert spent.startswith("$7.50 | 9 requests, 1 of them at unknown cost; this month $7.50")
    table = html(app).partition("<th>Projected</th>")[2]
    assert "<td>$4.25</td><td>$4.25</td>" in table and "<td>$3.25</td><td>$3.25</td>" in table
