"""What is left of error budgets, and when models retire, on the overview and a model's page."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path

import pytest
import streamlit as st

from pages.components.notices import countdown
from pages.queries.error_budgets import error_budgets
from store import Store, open_store
from store.schema import Row
from tests.factories import DAY, MINUTE, NOON, model, probe, target
from tests.pages.conftest import html, metric, now_ms, open_page
from tests.pages.test_both_engines import url_of
from tests.store.stores import STORES, opened


def minutes(now: int, name: str, failed: int, count: int = 1_000) -> list[Row]:
    """A probe a minute, the oldest of which failed."""
    return [
        probe(now - 10_000 - n * MINUTE, "timeout" if n >= count - failed else "ok", target=name) for n in range(count)
    ]


def written(at: Path, rows: Iterable[Row]) -> None:
    store = open_store(f"sqlite:///{at}")
    store.write(rows)
    store.close()


def row(page: str, name: str) -> str:
    """The HTML of a target's row."""
    return page.partition(f'data-target="{name}"')[2].partition('<div class="u-row')[0]


def test_the_error_budget_that_is_left_is_on_the_overview_and_the_models_page_of_a_target_with_an_objective(
    store_at: Path,
) -> None:
    now = now_ms()
    rows: list[Row] = [target("Some", slo=99.5), target("Over", slo=99.9), target("None")]
    # of 1,000 minutes 99.5% allow 5, and 99.9% allow 1
    rows += [*minutes(now, "Some", 3), *minutes(now, "Over", 2), *minutes(now, "None", 3)]
    written(store_at, rows)
    page = html(open_page())
    assert "30 d error budget 40.0% left" in row(page, "Some")
    assert "▼ 30 d error budget overspent by 100%" in row(page, "Over")
    assert "error budget" not in row(page, "None")
    some = open_page("model.py", target="Some", range="1 h")  # whatever the range
    assert metric(some, "Error budget") == "40.0% left | 3 min down of 5 min that 99.5% allows, last 30 d"
    over = open_page("model.py", target="Over")
    assert metric(over, "Error budget").startswith("100% overspent | 2 min down of 1 min")
    assert 'data-label="Error budget"' not in html(open_page("model.py", target="None"))


def budgets(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    st.cache_data.clear()
    st.cache_resource.clear()
    monkeypatch.setattr("store.clock.now_ms", lambda: NOON)
    targets = [target("Some", slo=99.5), target("Spent", slo=99.9), target("None"), target("New", slo=99.0)]
    found = error_budgets(url_of(store), targets, NOON)
    return [(name, budget.left) for (name, _), budget in sorted(found.items())]


@pytest.mark.parametrize("engine", STORES)
def test_both_engines_have_the_same_budgets_and_what_is_older_than_30_days_does_not_count(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextmanager(opened)(engine, tmp_path) as store:
        store.write([*minutes(NOON, "Some", 3), *minutes(NOON, "Spent", 1), *minutes(NOON, "None", 3)])
        store.write(minutes(NOON - 32 * DAY, "Some", 100, 100))
        assert budgets(store, monkeypatch) == [("Some", 0.4), ("Spent", 0.0)]


@pytest.mark.parametrize(
    ("days", "text"), [(6, "retires in 6 d"), (1, "retires in 1 d"), (0, "retires today"), (-1, "was due to retire")]
)
def test_a_countdown_counts_utc_days_to_the_last_one(days: int, text: str) -> None:
    midnight = NOON - NOON % DAY
    known = model(expires_at=midnight + days * DAY)
    assert {countdown(known, now) for now in (midnight, NOON, midnight + DAY - 1)} == {text}
    assert countdown(model(), NOON) == countdown(None, NOON) == ""


def test_a_model_that_retires_has_a_banner_on_its_page_and_a_countdown_on_the_overview(store_at: Path) -> None:
    now = now_ms()
    midnight = now - now % DAY
    rows: list[Row] = []
    for name, last_day in (("Soon", midnight + 6 * DAY), ("Later", midnight + 90 * DAY), ("Stays", None)):
        rows += [target(name, model=name), model(now - DAY, model=name, expires_at=last_day), *minutes(now, name, 0, 5)]
    rows.append(target("Old", model="old"))
    rows.append(model(now - DAY, model="old", more_prices='{"list": "genai-prices", "deprecated": true}'))
    written(store_at, rows)
    page = html(open_page())
    assert '<span class="u-state retiring">○ retires in 6 d</span>' in row(page, "Soon")
    assert re.search(r'class="q"[^>]*>retires in 90 d<', row(page, "Later"))
    assert "retire" not in row(page, "Stays")
    [banner] = open_page("model.py", target="Soon").warning
    assert banner.value.startswith("Its last day is ") and banner.value.endswith("may remove it afterwards.")
    [banner] = open_page("model.py", target="Old").warning
    assert banner.value == "Its provider says that it is deprecated, and names no day."
    assert not open_page("model.py", target="Stays").warning
