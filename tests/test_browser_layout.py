"""Every page, with the collector running and stopped: axe-core finds no rule of WCAG 2.1 A or AA broken in what is ours,
and at any width of the window no two controls overlap, and nothing is cut off. One page goes from view to view and is
resized: a load takes three times as long as a click, and thirty times as long as another width.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from benchmarks import history, market
from benchmarks.browser import RESTED, dashboard
from store import open_store
from store.schema import Run
from tests.chromium import VIEWS, broken_rules, open_in, wait_until_still

pytestmark = pytest.mark.timeout(300)
WIDTHS = range(360, 1601, 40)
SIX = "&".join(f"with={name}" for name, *_ in history.PROFILES).replace(" ", "+")
SEEN = tuple(f"compare?{SIX}" if path == "compare" else path for path in VIEWS)
DRAWN = f"() => document.querySelector('.u-fresh, iframe') && {RESTED}"
CONTROLS = """a[href], button, input, textarea, select, [role=radio], [role=combobox], [role=tab], .u-fresh"""
OVERLAPPING = """async controls => {
    for (const _ of [1, 2]) await new Promise(requestAnimationFrame);  // what follows a change of the size is drawn
    const up = function* (at) { for (; at; at = at.parentElement) yield at; };
    const isFixed = one => [...up(one)].some(at => ['fixed', 'sticky'].includes(getComputedStyle(at).position));
    const clip = (box, by) => ({left: Math.max(box.left, by.left), right: Math.min(box.right, by.right),
        top: Math.max(box.top, by.top), bottom: Math.min(box.bottom, by.bottom)});
    const inSight = one => {  // a link may go over several lines; what a field scrolls away is not there
        const frames = [...up(one.parentElement)].filter(at => at.clientWidth < document.body.clientWidth
            && getComputedStyle(at).overflowX !== 'visible').map(at => at.getBoundingClientRect());
        return [...one.getClientRects()].map(box => frames.reduce(clip, box))
            .filter(box => box.right > 0 && box.right - box.left > 4 && box.bottom - box.top > 4);
    };
    const seen = [...document.querySelectorAll(controls)].filter(one => !one.closest('.u-scroll')
        && one.checkVisibility({opacityProperty: true, visibilityProperty: true}));
    const boxes = seen.flatMap(one => inSight(one).map(box => ({one, box, above: isFixed(one)})));
    const name = one => `${one.tagName} ${one.ariaLabel ?? ''} ${one.innerText?.slice(0, 30) ?? ''}`.trim();
    const fields = ['stMultiSelect', 'stSelectbox', 'stNumberInput'].map(id => `[data-testid="${id}"]`).join();
    const found = [];
    for (const [place, {one, box, above}] of boxes.entries()) {
        if (box.right > innerWidth + 1 || box.left < -1) found.push(`${name(one)} sticks out`);
        for (const other of boxes.slice(place + 1)) {
            const both = clip(box, other.box);
            if (both.right - both.left <= 1 || both.bottom - both.top <= 1) continue;
            if (above !== other.above) continue;  // what scrolls goes below the header
            // a control in another one, or in the same field (the cross of a chosen target), is part of it
            if (one.contains(other.one) || other.one.contains(one)) continue;
            if (one.closest(fields) && one.closest(fields) === other.one.closest(fields)) continue;
            found.push(`${name(one)} | ${name(other.one)}`);
        }
    }
    if (document.documentElement.scrollWidth > innerWidth) found.push('the page is wider than the window');
    for (const list of document.querySelectorAll('.u-list'))
        if (list.scrollWidth > list.clientWidth) found.push('a row is cut off');
    return [...new Set(found)];
}"""


def _store(folder: Path, *, ended_min_ago: int) -> str:
    url, now = f"sqlite:///{folder}/{ended_min_ago}.db", time.time_ns() // 1_000_000
    store = open_store(url)
    store.write(history.history(now - ended_min_ago * 60_000, 1))
    store.write(market.market(now, 30, 90))
    if not ended_min_ago:  # the collector goes on for as long as the tests take
        store.write(Run("probe", now + after * 1_000, "demo", now + after * 1_000, 6) for after in range(0, 1_200, 5))
    store.close()
    return url


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, chromium_path: str) -> Iterator[str]:
    with dashboard(_store(tmp_path_factory.mktemp("running"), ended_min_ago=0)) as address:
        yield address


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, chromium_path: str) -> Iterator[str]:
    with dashboard(_store(tmp_path_factory.mktemp("stopped"), ended_min_ago=60)) as address:
        yield address


def _at_all_widths(page: Page, path: str) -> list[str]:
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 1_000})
        found += [f"{path or 'overview'} at {width}: {pair}" for pair in page.evaluate(OVERLAPPING, CONTROLS)]
    return found


def _rest(page: Page) -> None:
    page.wait_for_function(DRAWN, polling=50)
    wait_until_still(page)


def _go_to(page: Page, address: str, path: str) -> None:
    """By a click where one leads there: as a user does."""
    name, _, query = path.partition("?")
    tab = page.locator(".st-key-tab").get_by_role("tab", name=query.removeprefix("tab="))
    title = name.replace("-", " ").capitalize()
    if query.startswith("tab=") and tab.count():
        tab.click()
        page.wait_for_function(
            "name => document.querySelector('[role=tab][aria-selected=true]').innerText === name",
            arg=query.removeprefix("tab="),
        )
    elif query or not name:
        page.goto(f"{address}/{path}")
    else:
        page.get_by_test_id("stTopNav").get_by_role("link", name=title, exact=True).click()
        page.wait_for_function("title => document.title === title", arg=f"{title} · Uptoken")
    _rest(page)


@pytest.mark.parametrize(("state", "mode"), [("running", "light"), ("stopped", "dark")])
def test_no_page_breaks_a_rule_and_no_two_controls_overlap_at_any_width(
    request: pytest.FixtureRequest, browser: Browser, state: str, mode: str
) -> None:
    address = request.getfixturevalue(state)
    page, errors = open_in(browser, address, mode=mode)
    found = []
    for path in SEEN:
        page.set_viewport_size({"width": 1_440, "height": 1_000})
        _go_to(page, address, path)
        if path != "public-status":
            assert page.locator(f".u-fresh.{'live' if state == 'running' else 'stale'}").count() == 1
            assert page.locator(".u-stopped").count() == (0 if state == "running" else 1)
        found += [f"{path or 'overview'}: {rule}" for rule in broken_rules(page)]
        found += _at_all_widths(page, path)
    assert not found, "\n".join(found)
    assert errors == []
    page.close()


@pytest.mark.parametrize(("state", "mode"), [("running", "dark"), ("stopped", "light")])
def test_the_head_of_a_page_breaks_no_rule_in_the_other_mode(
    request: pytest.FixtureRequest, browser: Browser, state: str, mode: str
) -> None:
    """Which is all of a page that differs while the collector is stopped."""
    page, errors = open_in(browser, request.getfixturevalue(state), mode=mode)
    _rest(page)
    assert broken_rules(page) == []
    assert errors == []
    page.close()
