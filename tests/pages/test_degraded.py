"""Degraded: up, but slower than its limit or than usual; a state of its own, which changes no uptime."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pages.queries import degraded
from stats.incidents import TargetState
from store import Store, open_store
from store.rollups import Series
from store.schema import Row
from tests.factories import DAY, HOUR, MINUTE, NOON, probe, target
from tests.pages.conftest import html, metric, now_ms, open_page
from tests.store.stores import STORES, opened

LIMIT = "First token after 2,500 ms, above its limit of 2,000 ms."


def timed(now: int, name: str, *ttft_ms: float, step: int = MINUTE) -> Iterable[Row]:
    """A successful probe a minute, the last one ten seconds ago."""
    last = now - 10_000
    return [probe(last - n * step, target=name, ttft_ms=ms) for n, ms in enumerate(reversed(ttft_ms))]


def usual(now: int, name: str) -> list[Row]:
    """100 ms at this hour of each of the last 7 days: 14 samples."""
    hour = now - now % HOUR
    return [probe(hour - day * DAY + n * MINUTE, target=name, ttft_ms=100.0) for day in range(1, 8) for n in (1, 2)]


def write(at: Path, rows: Iterable[Row]) -> None:
    store = open_store(f"sqlite:///{at}")
    store.write(rows)
    store.close()


def test_a_target_above_its_limit_is_degraded_on_the_overview_and_its_page_and_its_uptime_is_not_touched(
    store_at: Path,
) -> None:
    now = now_ms()
    rows = [
        *(target("Slow", ttft_max_s=2.0, updated_at=now), target("Fast", ttft_max_s=2.0, updated_at=now)),
        *timed(now, "Slow", *[100.0] * 60, 2_400.0, 2_500.0),
        *timed(now, "Fast", *[100.0] * 60, 2_500.0, 100.0, 100.0),
    ]
    write(store_at, rows)
    app = open_page()
    assert not app.exception
    page = html(app)
    assert page.index('data-target="Slow"') < page.index('data-target="Fast"')
    assert page.count('class="u-state degraded">▲ degraded') == 1
    assert LIMIT in page
    assert metric(app, "Targets up") == "2 of 2 | 1 degraded"
    model = open_page("model.py", target="Slow")
    assert "▲ degraded" in html(model)
    assert metric(model, "Uptime").startswith("100% | ")


def test_a_target_three_times_as_slow_as_usual_is_degraded_and_one_with_too_few_samples_is_not(store_at: Path) -> None:
    now = now_ms()
    rows = [target(name, updated_at=now) for name in ("Slow", "Few", "New")]
    rows += [*usual(now, "Slow"), *timed(now, "Slow", *[450.0] * 12)]
    rows += [*usual(now, "Few"), *timed(now, "Few", *[450.0] * 9)]
    rows += timed(now, "New", *[450.0] * 12)
    write(store_at, rows)
    page = html(open_page())
    assert page.count("▲ degraded") == 1
    # a sketch knows a median to 1%
    assert "p95 of the last 15 min is 450 ms, 4.5 times the usual median at this hour." in page


def states(store: Store, monkeypatch: pytest.MonkeyPatch, *targets: Any) -> list[TargetState]:
    monkeypatch.setattr(degraded.cache, "store", lambda _url: store)
    up = [TargetState("up", None, "ok") for _ in targets]
    degraded._read.clear()
    degraded._usual.clear()
    return degraded.mark_degraded("any", targets, up, NOON)


@pytest.mark.parametrize("engine", STORES)
def test_both_engines_say_the_same_also_of_a_target_that_is_probed_each_hour(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = [
        target("Hourly", every_s=3_600.0, ttft_max_s=2.0),
        target("Usual"),
        target("Steady", ttft_max_s=2.0),
    ]
    with contextmanager(opened)(engine, tmp_path) as store:
        store.write(timed(NOON, "Hourly", 100.0, 2_400.0, 2_500.0, step=HOUR))
        store.write([*usual(NOON, "Usual"), *timed(NOON, "Usual", *[450.0] * 12)])
        store.write(timed(NOON, "Steady", 100.0, 100.0))
        found = states(store, monkeypatch, *targets)
    assert [state.status for state in found] == ["degraded", "degraded", "up"]
    assert found[0].note == LIMIT


def test_a_hundred_targets_take_as_many_queries_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Counted:
        def read(self, table: Any, *_: Any, **__: Any) -> list[Any]:
            asked.append(table.name)
            return []

        def rollups(self, step: str, *_: Any) -> list[Series]:
            asked.append(step)
            return []

    found = states(Counted(), monkeypatch, *(target(str(n), ttft_max_s=2.0) for n in range(100)))  # type: ignore[arg-type]
    assert {state.status for state in found} == {"up"}
    assert asked == ["hour"] * 7 + ["probes"]
