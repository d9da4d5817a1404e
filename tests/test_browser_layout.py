"""Every page, with the collector running and stopped: it fits the screen of a desk and of a phone, axe-core finds no rule
of WCAG 2.1 A or AA broken in what is ours, and at any width of the window no two controls overlap, and nothing is cut off.
One page goes from view to view and is resized: a load takes three times as long as a click, and thirty times as long as
another width.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, CDPSession, Page

from benchmarks import history, market
from benchmarks.browser import RESTED, dashboard
from pages.sections.model_tabs import TABS
from store import open_store
from store.schema import Run
from tests.chromium import PAGES, assert_fits, broken_rules, open_in, wait_until_still

pytestmark = pytest.mark.timeout(600)
WIDTHS = range(360, 1601, 40)
SIX = "&".join(f"with={name}" for name, *_ in history.PROFILES).replace(" ", "+")
SEEN = {
    "model-down": "model?target=Gemma+3+4B,+Provider+B&range=24+h",
    "overview": "?range=7+d",
    **{f"model-{tab}": f"model?target=Gemma+3+27B&range=7+d&tab={tab}" for tab in TABS},
    "compare-two": "compare?with=Gemma+3+27B&with=Gemma+3+4B,+Provider+A",
    "compare": f"compare?{SIX}",
    "routing": "routing",
    "routing-hour": "routing?model=google%2Fgemma-3-27b-it&hour=40",
    **{path: path for path in PAGES[4:]},
}
NOT_RESIZED = ("model-down", "compare-two")
"""Of these pages there is another one that has more."""
SHOWN = {
    "model-down": ".js-plotly-plot",
    "model-Performance": ".js-plotly-plot",
    "model-Providers": "text=Tried first",
    "compare-two": ".u-table.compare",
    "compare": ".u-table.compare",
    "routing-hour": "text=Measured by your probes",
    "catalog": '[data-testid="stDataFrame"] canvas',
}
"""What a page cannot be without."""
DRAWN = f"() => document.querySelector('.u-fresh, iframe') && {RESTED}"
CONTROLS = """a[href], button, input, textarea, select, [role=radio], [role=combobox], [role=tab], .u-fresh"""
OVERLAPPING = """async ([controls, width]) => {
    while (innerWidth !== width) await new Promise(requestAnimationFrame);
    for (const _ of [1, 2]) await new Promise(requestAnimationFrame);  // what follows a change of the size is drawn
    const clip = (box, by) => ({left: Math.max(box.left, by.left), right: Math.min(box.right, by.right),
        top: Math.max(box.top, by.top), bottom: Math.min(box.bottom, by.bottom)});
    const known = new Map([[null, {above: false, frames: []}]]);
    const around = at => {  // whether an element stays where it is while the page scrolls, and what cuts off what is in it
        if (!known.has(at)) {
            const {position, overflowX} = getComputedStyle(at), {above, frames} = around(at.parentElement);
            const cuts = at.clientWidth < document.body.clientWidth && overflowX !== 'visible';
            known.set(at, {above: above || ['fixed', 'sticky'].includes(position),
                frames: cuts ? [...frames, at.getBoundingClientRect()] : frames});
        }
        return known.get(at);
    };
    const inSight = one => {  // a link may go over several lines; what a field scrolls away is not there
        const {frames} = around(one.parentElement);
        return [...one.getClientRects()].map(box => frames.reduce(clip, box))
            .filter(box => box.right > 0 && box.right - box.left > 4 && box.bottom - box.top > 4);
    };
    const seen = [...document.querySelectorAll(controls)].filter(one => !one.closest('.u-scroll')
        && one.checkVisibility({opacityProperty: true, visibilityProperty: true}));
    const boxes = seen.flatMap(one => inSight(one).map(box => ({one, box, above: around(one).above})));
    const name = one => `${one.tagName} ${one.ariaLabel ?? ''} ${one.innerText?.slice(0, 30) ?? ''}`.trim();
    const fields = ['stMultiSelect', 'stSelectbox', 'stNumberInput'].map(id => `[data-testid="${id}"]`).join();
    const found = [];
    for (const [place, {one, box, above}] of boxes.entries()) {
        if (box.right > innerWidth + 1 || box.left < -1) found.push(`${name(one)} sticks out`);
        for (const other of boxes.slice(place + 1)) {
            const to = other.box;
            if (Math.min(box.right, to.right) - Math.max(box.left, to.left) <= 1
                || Math.min(box.bottom, to.bottom) - Math.max(box.top, to.top) <= 1) continue;
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
    store.write(history.history(now - ended_min_ago * 60_000, 4))
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


def _at_all_widths(page: Page, window: CDPSession, name: str) -> list[str]:
    """The browser's own protocol leaves the window around the page as it is, and what is clipped is laid out but not
    painted: both take a quarter of the time.
    """
    found = []
    page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop = 0")  # a click on a tab may have moved it
    page.evaluate("document.documentElement.style.clipPath = 'inset(50%)'")
    for width in WIDTHS:
        size = {"width": width, "height": 1_000, "deviceScaleFactor": 1, "mobile": False}
        window.send("Emulation.setDeviceMetricsOverride", size)
        found += [f"{name} at {width}: {pair}" for pair in page.evaluate(OVERLAPPING, [CONTROLS, width])]
    page.evaluate("document.documentElement.style.clipPath = ''")
    return found


def _rest(page: Page) -> None:
    page.wait_for_function(DRAWN, polling=50)
    wait_until_still(page)


def _go_to(page: Page, address: str, path: str, *, by_click: bool) -> None:
    """By a click where one leads there: as a user does. On a phone, pages are loaded."""
    name, _, query = path.partition("?")
    chosen = query.partition("tab=")[2]
    tab = page.locator(".st-key-tab").get_by_role("tab", name=chosen)
    title = name.replace("-", " ").capitalize()
    if chosen and tab.count() and query.partition("&")[0] in page.url:
        tab.click()
        page.wait_for_function(
            "name => document.querySelector('[role=tab][aria-selected=true]').innerText === name", arg=chosen
        )
    elif query or not by_click:
        page.goto(f"{address}/{path}")
    else:
        page.get_by_test_id("stTopNav").get_by_role("link", name=title, exact=True).click()
        page.wait_for_function("title => document.title === title", arg=f"{title} · Uptoken")
    _rest(page)


@pytest.mark.parametrize(
    ("state", "mode", "widths"), [("running", "light", (1_440, 1_280, 1_024, 390)), ("stopped", "dark", (390, 1_440))]
)
def test_every_page_fits_the_screen_breaks_no_rule_and_at_no_width_two_controls_overlap(
    request: pytest.FixtureRequest, browser: Browser, state: str, mode: str, widths: tuple[int, ...]
) -> None:
    address = request.getfixturevalue(state)
    page, errors = open_in(browser, f"{address}/{SEEN['model-down']}", mode=mode, width=widths[0])
    window = page.context.new_cdp_session(page)
    found = []
    for name, path in SEEN.items():
        page.set_viewport_size({"width": widths[0], "height": 1_000})
        if name != "model-down":
            _go_to(page, address, path, by_click=widths[0] > 1_000)
        if name in SHOWN:
            page.wait_for_selector(SHOWN[name])
        if path != "public-status":
            page.wait_for_selector(".u-fresh")
            assert page.locator(f".u-fresh.{'live' if state == 'running' else 'stale'}").count() == 1
            assert page.locator(".u-stopped").count() == (0 if state == "running" else 1)
        for width in widths:
            page.set_viewport_size({"width": width, "height": 1_000})
            wait_until_still(page)
            assert_fits(page, name, mode, width)
            if width == 1_440:
                found += [f"{name}: {rule}" for rule in broken_rules(page)]
        if name not in NOT_RESIZED:
            found += _at_all_widths(page, window, name)
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
