from __future__ import annotations

from stats.collector_health import activities, run_bars
from store.schema import Run
from tests.factories import HOUR, MINUTE, NOON, SECOND


def run(at: int, took_ms: int = 500, rows: int = 3, skipped: int = 0, error: str | None = None, **more: str) -> Run:
    return Run(more.get("collector", "probe"), at, more.get("location", "here"), at + took_ms, rows, skipped, error)


def test_what_each_collector_did() -> None:
    runs = [
        run(NOON, skipped=2),
        run(NOON + MINUTE, took_ms=1_500, error="it broke"),
        run(NOON + 2 * MINUTE, took_ms=700),
        run(NOON, collector="catalog", rows=340),
        run(NOON, location="there"),
    ]
    catalog, here, there = activities(reversed(runs))
    assert (catalog.collector, here.location, there.location) == ("catalog", "here", "there")
    assert (here.rows, here.skipped, here.duration_s, here.last.started_at) == (9, 2, 0.7, NOON + 2 * MINUTE)
    assert [failed.error for failed in here.failed] == ["it broke"]
    assert activities([]) == []


def test_a_clock_that_was_set_back_makes_no_run_of_negative_length() -> None:
    [only] = activities([run(NOON, took_ms=-HOUR)])
    assert only.duration_s == 0


def test_runs_as_bars() -> None:
    runs = [run(NOON), run(NOON + SECOND, error="it broke"), run(NOON + 59 * MINUTE), run(NOON + 2 * HOUR)]
    bars = run_bars(runs, NOON, NOON + HOUR, 4)
    assert [(bar.up_s, bar.down_s, bar.probes) for bar in bars] == [(1, 1, 2), (0, 0, 0), (0, 0, 0), (1, 0, 1)]
    assert [bar.state for bar in bars] == ["down", "no_data", "no_data", "up"]
    assert (bars[0].since, bars[-1].until) == (NOON, NOON + HOUR)
