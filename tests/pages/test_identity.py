"""The identity card of a model's page, the event, and what a target without checks shows instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.checks import STEP_MS, CheckedTarget
from pages.sections.model_identity import HOW
from store import open_store
from tests.factories import DAY, target
from tests.pages.conftest import html, open_page, text, write_steady


@pytest.fixture
def now(store_at: Path) -> int:
    return write_steady(store_at)


def page_of(store_at: Path, checked: CheckedTarget | None, range: str = "7 d") -> tuple[str, Any]:
    if checked is not None:
        store = open_store(f"sqlite:///{store_at}")
        store.write([*checked.checks, *checked.epochs.values()])
        store.close()
    app = open_page("model.py", target="Steady", range=range, tab="Checks")
    assert not app.exception
    return text(html(app)), app


def test_a_target_without_checks_says_in_a_line_how_to_switch_them_on(now: int, store_at: Path) -> None:
    page, app = page_of(store_at, None)
    assert HOW in page
    assert not app.get("plotly_chart")


def test_it_says_that_it_learns_and_how_far_it_is(now: int, store_at: Path) -> None:
    checked = CheckedTarget(now - 50 * STEP_MS, "Steady")
    checked.make(45, -1.0)
    page, _ = page_of(store_at, checked)
    assert "Learning: 45 checks of the 120 that a reference takes" in page


def test_one_sentence_has_the_number_of_checks_and_the_rate(now: int, store_at: Path) -> None:
    checked = CheckedTarget(now - 310 * STEP_MS, "Steady")
    checked.make(300, -1.0)
    page, _ = page_of(store_at, checked)
    assert "by 300 checks." in page
    assert "at most 0.65% a year; in rolling splits of its own checks 0 of 273." in page  # 93 + 180
    assert "changed:" not in page


def test_a_change_is_said_with_its_moment_its_distance_and_its_first_tokens_and_is_an_event(
    now: int, store_at: Path
) -> None:
    checked = CheckedTarget(now - 200 * STEP_MS, "Steady")
    checked.make(150, -1.0)
    checked.make(40, -3.0)
    page, _ = page_of(store_at, checked)
    assert "Learning: 40 checks" in page
    assert "changed: 1.00 nat from before, as other weights or another prompt would." in page
    assert "“Changed” is not “worse”" in page
    assert "The likeliest first tokens" in page
    reliability = open_page("model.py", target="Steady", range="7 d", tab="Reliability")
    assert "identity changed" in text(html(reliability)).partition("Events")[2]


def test_a_return_says_what_it_is_back_to(now: int, store_at: Path) -> None:
    checked = CheckedTarget(now - 400 * STEP_MS, "Steady")
    for level in (-1.0, -3.0, -1.0):
        checked.make(125, level)
    page, _ = page_of(store_at, checked)
    assert "changed: back to what it was before 20" in page
    assert "Same since" in page


def test_a_target_whose_scores_come_in_bursts_is_not_judged(now: int, store_at: Path) -> None:
    checked = CheckedTarget(now - 300 * STEP_MS, "Steady")
    checked.make(60, -1.0)
    for _ in range(4):
        checked.make(1, -1.5)
        checked.make(1, -1.0)
    checked.make(52, -1.0)
    epoch = checked.current
    calibration = "[" + ",".join(["0.01"] * 40 + ["0.5", "0.6", "0.7", "0.8"] + ["0.01"] * 52) + "]"
    checked.epochs[epoch.began_at] = type(epoch)(**_values(epoch) | {"calibration": calibration})
    page, _ = page_of(store_at, checked)
    assert "Unstable, not judged: without a change, its own checks would have given an alarm in 1 of 93" in page


def _values(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def test_another_location_has_a_card_of_its_own(now: int, store_at: Path) -> None:
    checked = CheckedTarget(now - 2 * DAY, "Steady")
    checked.make(10, -1.0)
    store = open_store(f"sqlite:///{store_at}")
    store.write([target("Steady", updated_at=now, location="there")])
    store.close()
    page_of(store_at, checked)
    app = open_page("model.py", target="Steady", location="there", range="7 d", tab="Checks")
    assert HOW in text(html(app))


def test_compare_says_how_far_two_targets_are_apart(now: int, store_at: Path) -> None:
    store = open_store(f"sqlite:///{store_at}")
    for name, level in (("Steady", -1.0), ("Other", -3.0)):
        checked = CheckedTarget(now - 130 * STEP_MS, name)
        checked.make(125, level)
        store.write([target(name, updated_at=now), *checked.checks, *checked.epochs.values()])
    store.close()
    app = open_page("compare.py")
    app.multiselect(key="with").set_value(["Steady", "Other"]).run()
    assert not app.exception
    page = text(html(app))
    assert "the distance between their first tokens after the same prompts" in page
    assert page.count("1.00") >= 2  # from each to the other: "yes" is 2 nats away, "no" none
    assert HOW not in page
