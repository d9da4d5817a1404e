"""The Capabilities card of a model's page, its event, and what a target without tests shows instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from pages.sections.model_capabilities import HOW
from store import open_store
from store.capability_tables import CapabilityTest
from tests.factories import DAY
from tests.pages.conftest import html, open_page, text, write_steady


@pytest.fixture
def now(store_at: Path) -> int:
    return write_steady(store_at)


def page(tab: str = "Checks") -> str:
    app = open_page("model.py", target="Steady", range="7 d", tab=tab)
    assert not app.exception
    return text(html(app))


def test_a_target_without_tests_says_in_a_line_how_to_switch_them_on(now: int) -> None:
    assert HOW in page()


def test_the_table_has_what_is_claimed_what_holds_since_when_and_how_often(now: int, store_at: Path) -> None:
    reason = "no tool call was made"
    tests = [
        CapabilityTest("Steady", now - days * DAY, "here", "tools", verdict, "ok", 1, True, why)
        for days, verdict, why in ((4, "holds", None), (3, "holds", None), (2, "fails", reason), (1, "fails", reason))
    ]
    tests.append(CapabilityTest("Steady", now - DAY, "here", "seed", "not_tested", "timeout", 1, None, "timeout"))
    store = open_store(f"sqlite:///{store_at}")
    store.write(tests)
    store.close()
    card = page().partition("what the catalog claims, and what tests found")[2]
    events = page("Reliability").partition("Events")[2]
    assert "tool callsyes▼ fails" in card
    assert "2 of 424 h agono tool call was made" in card
    assert "seed–○ not tested––24 h agotimeout" in card
    assert "tool calls: fails now, though the catalog claims it (no tool call was made)" in events
