"""The public status page in Chromium: at three widths, in both modes, on paper, and by axe-core's rules."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from store.schema import Row
from tests.chromium import ROOT, broken_rules, dashboard_of, open_in
from tests.factories import DAY, HOUR, probe, target

NAMES = (
    "Gemma 3 1B (free)",
    "acme/extremely-large-model-with-a-long-name-2026-11-24:thinking",
    *(f"Model {number:02d}" for number in range(14)),
)
PAPER: dict[Literal["light", "dark"], str] = {"light": "rgb(251, 251, 250)", "dark": "rgb(19, 20, 24)"}
PATHS = {"all": "", "one": "Gemma%203%201B%20%28free%29", "embedded": "?embed"}


def _history(now: int) -> Iterator[Row]:
    """Three months of sixteen targets: one is down now, one limits our rate, the others were down at times."""
    chance = random.Random(3)
    for number, name in enumerate(NAMES):
        yield target(name, every_s=3_600.0, updated_at=now)
        for n in range(89 * 24):
            is_now_down = number == 0 and n < 3
            outcome = "timeout" if is_now_down or chance.random() < 0.004 else "ok"
            if number == 1 and n < 30:
                outcome = "rate_limited"
            if number != 2 or not 20 * 24 < n < 29 * 24:
                at = now - n * HOUR - 60_000
                yield probe(at, outcome, target=name, stands_for_s=3_600.0)
                if outcome == "timeout":
                    yield probe(at + 10_000, outcome, target=name, stands_for_s=0.0)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, chromium_path: str) -> Iterator[str]:
    with dashboard_of(tmp_path_factory.mktemp("public"), _history(time.time_ns() // 1_000_000)) as running:
        yield running


def _picture(page: Page, name: str) -> None:
    folder = ROOT / "screenshots"
    folder.mkdir(exist_ok=True)
    page.screenshot(path=folder / f"public-{name}.png", full_page=True)


@pytest.mark.parametrize("name", PATHS)
def test_the_page_fits_in_both_modes_and_breaks_no_rule(address: str, browser: Browser, name: str) -> None:
    """It has no scripts: another width, or mode, is what it would be after another load."""
    page, errors = open_in(browser, f"{address}/status/{PATHS[name]}")
    for details in page.locator("details").all():
        details.locator("summary").click()
    for mode, paper in PAPER.items():
        page.emulate_media(color_scheme=mode)
        for width in (390, 1024, 1440):
            page.set_viewport_size({"width": width, "height": 1_000})
            _picture(page, f"{name}-{mode}-{width}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") == paper
            assert broken_rules(page) == []
    assert errors == []
    page.close()


def test_nothing_is_asked_for_besides_the_page_and_no_script_runs(address: str, browser: Browser) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if not request.url.startswith("data:") else None)
    page.goto(f"{address}/status/")
    assert page.locator("text=1 of 16 models down").count() == 1
    page.get_by_role("link", name="Gemma 3 1B (free)").click()
    assert page.locator("h1").inner_text() == "Gemma 3 1B (free)"
    page.get_by_role("link", name="Status").click()
    assert asked == [f"{address}/status/", f"{address}/status/{PATHS['one']}", f"{address}/status/"]
    page.context.close()


def test_on_paper_it_is_light_and_its_collapsed_part_is_there(address: str, browser: Browser, tmp_path: Path) -> None:
    page, _ = open_in(browser, f"{address}/status/", mode="dark")
    assert page.locator("details[open]").count() == 0
    page.emulate_media(media="print", color_scheme="dark")
    page.set_viewport_size({"width": 720, "height": 1_000})
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == PAPER["light"]
    assert page.get_by_text("Model 13").first.is_visible()
    assert page.locator("details svg.bars").last.is_visible()
    _picture(page, "print")
    pdf = page.pdf(path=ROOT / "screenshots" / "public.pdf", format="A4")
    assert pdf.startswith(b"%PDF")
    page.close()


def test_a_healthy_targets_bars_have_their_day_under_the_pointer(address: str, browser: Browser) -> None:
    page, _ = open_in(browser, f"{address}/status/{PATHS['one']}")
    days = page.evaluate("[...document.querySelectorAll('svg.bars rect title')].map(title => title.textContent)")
    assert len(days) == 90
    today = time.strftime("%-d %b %Y", time.gmtime())
    assert days[-1].startswith(f"{today} (UTC): ")
    assert (time.time() * 1_000) % DAY > 0
    page.close()
