"""The overview of sixty targets in a browser: three screens, a filter while one types, choices that stay, and why."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from benchmarks.browser import RESTED
from store.schema import Row, Run
from tests.chromium import broken_rules, dashboard_of, open_in, wait_until_still
from tests.factories import MINUTE, probe, target

pytestmark = pytest.mark.timeout(300)
TARGETS, SCREENS, SCREEN_PX, ROW_PX = 60, 3, 900, 36


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, chromium_path: str) -> Iterator[str]:
    now = time.time_ns() // 1_000_000
    rows: list[Row] = []
    for number in range(TARGETS):
        name, host = f"Target {number:02d}", "acme.com" if number < 12 else "other.example"
        # one probe in ten minutes: what is here stays fresh for as long as the tests take
        rows.append(target(name, every_s=600.0, base_url=f"https://{host}/v1", tags="prod" if number % 2 else "eu"))
        for n in range(30):
            is_down = number < 3 and n < 4
            at, ttft_ms = now - 5_000 - n * 10 * MINUTE, None if is_down else 100.0 + number
            outcome = "server_error" if is_down else "ok"
            rows.append(probe(at, outcome, target=name, stands_for_s=600.0, ttft_ms=ttft_ms))
    rows += [Run("probe", now + after * 1_000, "here", now + after * 1_000, 60) for after in range(0, 600, 5)]
    with dashboard_of(tmp_path_factory.mktemp("sixty"), rows) as running:
        yield running


def _open(browser: Browser, url: str, width: int = 1440) -> tuple[Page, list[str]]:
    page, errors = open_in(browser, url, width=width)
    page.set_viewport_size({"width": width, "height": SCREEN_PX})
    page.wait_for_selector(".u-row:not(.head), .u-table.locations")
    _rest(page)
    return page, errors


def _rest(page: Page) -> None:
    page.wait_for_function(RESTED, polling=50)
    wait_until_still(page)


def _bottom(page: Page) -> float:
    """Where the last row ends, from the top of the page."""
    box = page.locator(".u-list .u-row").last.bounding_box()
    assert box is not None
    return box["y"] + box["height"]


def test_sixty_targets_are_within_three_screens(address: str, browser: Browser) -> None:
    page, errors = _open(browser, address)
    rows = page.locator(".u-list .u-row:not(.head)")
    assert rows.count() == TARGETS
    heights = {round(box["height"]) for row in rows.all()[:10] if (box := row.bounding_box())}
    assert heights == {ROW_PX}
    assert _bottom(page) <= SCREENS * SCREEN_PX
    said = page.locator(".u-sentence").inner_text()
    assert said == "3 of 60 targets are down, all behind acme.com, where 9 other targets are up; your network is fine."
    assert errors == []
    page.close()


def test_rows_are_filtered_while_one_types(address: str, browser: Browser) -> None:
    page, errors = _open(browser, address)
    page.get_by_placeholder(re.compile("Search 60 targets")).press_sequentially("target 13", delay=30)
    page.wait_for_function("document.querySelectorAll('.u-list .u-row:not(.head)').length === 1")
    page.wait_for_url(re.compile(r"find=target"))
    assert errors == []
    page.close()


def test_three_down_is_a_link_and_a_choice_stays_from_page_to_page(address: str, browser: Browser) -> None:
    page, errors = _open(browser, f"{address}/?compact=false&prompt=2000")
    page.locator(".u-metric").get_by_role("link", name="3 down").click()
    page.wait_for_url(re.compile(r"show=down"))
    page.wait_for_function("document.querySelectorAll('.u-list .u-row:not(.head)').length === 3")
    assert "prompt=2000" in page.url
    page.get_by_role("button", name="Only: down").click()
    page.wait_for_function("document.querySelectorAll('.u-list .u-row:not(.head)').length > 3")
    _rest(page)
    page.get_by_role("button", name="View").first.click()
    page.get_by_text("Compact rows").click()
    page.wait_for_url(re.compile("compact=false"))
    _rest(page)
    page.get_by_test_id("stTopNav").get_by_role("link", name="Catalog").click()
    page.wait_for_url(re.compile("/catalog"))
    _rest(page)
    page.get_by_test_id("stTopNav").get_by_role("link", name="Overview").click()
    page.wait_for_selector(".u-list:not(.compact)")
    page.wait_for_url(re.compile("compact=false"))
    assert "prompt=2000" in page.url
    assert errors == []
    page.close()


def test_a_key_on_a_head_sorts_and_leaves_the_focus_there_and_back_undoes_it(address: str, browser: Browser) -> None:
    page, errors = _open(browser, address)
    head = page.locator("[data-sort=p95]")
    for direction in ("descending", "ascending"):
        page.keyboard.press("Tab")  # what a key reached keeps the focus
        head.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector(f"[aria-sort={direction}] [data-sort=p95]")
        page.wait_for_function("document.activeElement.dataset.sort === 'p95'")
    page.wait_for_url(re.compile(r"sort=p95.*reverse=true"))
    assert page.locator(".u-row .name").first.inner_text().startswith("Target 00")  # 100 ms, the fastest
    page.go_back()
    page.wait_for_selector("[aria-sort=descending] [data-sort=p95]")
    assert errors == []
    page.close()


@pytest.mark.parametrize("width", [1440, 390])
def test_a_state_is_explained_by_click_and_by_key_and_the_dialog_breaks_no_rule(
    address: str, browser: Browser, width: int
) -> None:
    page, errors = _open(browser, address, width)
    page.locator(".u-row .u-seen.why .u-state").first.click()
    page.wait_for_selector("[role=dialog] .u-table")
    said = page.locator("[role=dialog]").inner_text()
    assert "Its newest probe failed" in said and "acme.com" in said and "server error" in said
    _rest(page)
    assert broken_rules(page) == []
    page.keyboard.press("Escape")
    page.wait_for_selector("[role=dialog]", state="detached")
    page.locator(".u-row .u-seen.why:has(b)").first.press("Enter")
    page.wait_for_selector("[role=dialog] >> text=Why this uptime?")
    assert "that were decided is" in page.locator("[role=dialog]").inner_text()
    assert errors == []
    page.close()


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("path", ["?by_tag=true", "?compact=false&sort=p95&prompt=2000&output=500"])
def test_groups_and_full_rows_break_no_rule(address: str, browser: Browser, path: str, mode: str) -> None:
    page, errors = open_in(browser, f"{address}/{path}", mode=mode)
    page.wait_for_selector(".u-row:not(.head)")
    _rest(page)
    assert broken_rules(page) == []
    assert errors == []
    page.close()
