"""What only a browser shows: that links, Back and Forward reproduce a view, that a range can be dragged,
that live parts follow without a jump, and that a keyboard is enough.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FloatRect, Page

from benchmarks import history, market
from benchmarks.browser import RESTED, dashboard_process
from benchmarks.served import seconds
from store import open_store
from store.schema import Probe
from tests.chromium import assert_fits, open_in, wait_until_still

pytestmark = pytest.mark.timeout(300)
CHARTS = """[...document.querySelectorAll('.js-plotly-plot')].filter(p => p._fullLayout?.meta?.moments)"""
RANGES = f"{CHARTS}.filter(p => p._fullLayout.xaxis.type === 'date').map(p => p._fullLayout.xaxis.range.join(' to '))"
CHOSEN = "document.querySelector('.st-key-range [aria-checked=\"true\"]').innerText"


@dataclass(frozen=True)
class Served:
    """A dashboard, its store, and where it notes how often its script ran."""

    url: str
    store_url: str
    log: Path

    def runs(self) -> int:
        return len(seconds(self.log, "whole"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, chromium_path: str) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    store_url, now = f"sqlite:///{folder}/served.db", time.time_ns() // 1_000_000
    store = open_store(store_url)
    store.write(history.history(now, 3))
    store.write(market.market(now, 30, 90))
    store.close()
    with dashboard_process(store_url, log=folder / "log") as (url, _):
        yield Served(url, store_url, folder / "log")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory, chromium_path: str) -> Iterator[str]:
    with dashboard_process(f"sqlite:///{tmp_path_factory.mktemp('empty')}/none.db") as (url, _):
        yield url


def _rest(page: Page, charts: int = 0) -> None:
    page.wait_for_selector(".u-fresh, iframe, h2, h1")
    page.wait_for_function(f"count => {RESTED} && {CHARTS}.length >= count", arg=charts, polling=50)
    page.wait_for_timeout(300)


def _plot(page: Page) -> FloatRect:
    """Where the chart of the time to first token can be touched, in sight."""
    page.locator(".st-key-ttft_chart").scroll_into_view_if_needed()
    box = page.locator(".st-key-ttft_chart .nsewdrag").first.bounding_box()
    assert box is not None
    return box


@pytest.mark.parametrize(("mode", "width"), [("light", 1440), ("dark", 390)])
def test_every_page_says_what_to_do_when_there_is_nothing_yet(
    empty: str, browser: Browser, mode: str, width: int
) -> None:
    page, errors = open_in(browser, empty, mode=mode)
    for name in ("Overview", "Model", "Compare", "Routing", "Catalog", "Alerts", "Export", "System"):
        page.set_viewport_size({"width": 1_440, "height": 1_000})  # where each page is a click away
        if name != "Overview":
            page.get_by_test_id("stTopNav").get_by_role("link", name=name, exact=True).click()
        page.wait_for_function("title => document.title === title", arg=f"{name} · Uptoken")
        page.wait_for_function(RESTED, polling=50)
        page.set_viewport_size({"width": width, "height": 1_000})
        wait_until_still(page)
        assert page.get_by_text("Nothing was recorded yet").count() == 1
        assert "python -m collectors run" in page.locator(".u-code pre").first.inner_text()
        assert_fits(page, f"empty-{name}", mode, width)
    assert errors == []
    page.close()


def test_a_target_that_is_down_is_first_and_says_so_in_words(served: Served, browser: Browser) -> None:
    store = open_store(served.store_url)  # else it is not known any more some minutes after the store was made
    store.write([Probe("Gemma 3 4B, Provider B", time.time_ns() // 1_000_000, "demo", "ping", 60.0, "timeout")])
    store.close()
    page, errors = open_in(browser, served.url)
    _rest(page)
    first = page.locator(".u-row:not(.head)").first
    assert "Gemma 3 4B, Provider B" in first.inner_text() and "▼ down" in first.inner_text()
    assert errors == []
    page.close()


def test_a_link_shows_somebody_in_another_time_zone_the_same(served: Served, browser: Browser) -> None:
    until = time.time() - 86_400
    moments = [time.strftime("%Y%m%dT%H%MZ", time.gmtime(at)) for at in (until - 36_000, until)]
    link = f"{served.url}/model?target=Gemma+3+27B&range=custom&from={moments[0]}&to={moments[1]}"
    seen = []
    for zone in ("Europe/Berlin", "America/New_York"):
        page, errors = open_in(browser, link, zone=zone)
        _rest(page, 1)
        hour = page.locator('.st-key-from_shown [data-type="hour"], .st-key-from_shown').first.inner_text()
        seen.append((page.locator(".u-metrics").inner_text(), page.url, hour, page.evaluate(RANGES)[0]))
        assert errors == []
        page.close()
    (numbers, url, hour, charted), (numbers_there, url_there, hour_there, charted_there) = seen
    assert numbers == numbers_there and url == url_there == link
    assert hour != hour_there and charted != charted_there  # in each one's own time


def test_back_and_forward_undo_and_redo_what_was_chosen(served: Served, browser: Browser) -> None:
    page, errors = open_in(browser, f"{served.url}/model?target=Gemma+3+27B")
    _rest(page, 1)
    for name in ("7 d", "30 d"):
        page.locator(".st-key-range").get_by_text(name, exact=True).click()
        page.wait_for_function(f"name => {CHOSEN} === name && {RESTED}", arg=name)
        page.wait_for_timeout(300)
    page.get_by_test_id("stTopNav").get_by_role("link", name="Export").click()
    page.wait_for_selector("h1:has-text('Export')")
    page.go_back()
    page.wait_for_selector("h1:has-text('Gemma 3 27B')")
    assert page.evaluate(CHOSEN) == "30 d"
    page.go_back()
    page.wait_for_function(f"{CHOSEN} === '7 d'")
    page.go_back()
    page.wait_for_function(f"{CHOSEN} === '24 h'")
    page.go_forward()
    page.wait_for_function(f"{CHOSEN} === '7 d'")
    assert errors == []
    page.close()


def test_a_range_is_dragged_in_a_chart_and_a_double_click_undoes_it(served: Served, browser: Browser) -> None:
    page, errors = open_in(browser, f"{served.url}/model?target=Gemma+3+27B&range=7+d")
    _rest(page, 1)
    box = _plot(page)
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.7 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.9 * box["width"], middle, steps=5)
    page.mouse.up()
    page.wait_for_url(re.compile(r"range=custom&from=\d{8}T\d{4}Z&to=\d{8}T\d{4}Z"))
    page.wait_for_function(f"new Set({RANGES}).size === 1 && {RESTED}")
    page.locator(".st-key-range_reset").wait_for()
    _rest(page, 1)
    box = _plot(page)
    page.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + 20)
    page.wait_for_function(f"{CHOSEN} === '7 d'")
    assert "from=" not in page.url
    page.go_back()
    page.wait_for_url(re.compile("range=custom&from="))
    assert errors == []
    page.close()


def test_hovering_a_chart_marks_the_same_moment_in_the_others(served: Served, browser: Browser) -> None:
    page, errors = open_in(browser, f"{served.url}/compare?with=Gemma+3+27B&with=Gemma+3+4B,+Provider+A&range=7+d")
    _rest(page, 2)
    box = _plot(page)
    page.mouse.move(box["x"] + 0.80 * box["width"], box["y"] + 60)
    page.mouse.move(box["x"] + 0.85 * box["width"], box["y"] + 60)
    page.wait_for_selector(".u-moment", state="attached")
    marked = page.evaluate(
        """([x]) => {
            const at = (chart, left) => chart._fullLayout.xaxis.p2l(left - chart._fullLayout.xaxis._offset);
            const hovered = document.querySelector('.st-key-ttft_chart .js-plotly-plot');
            const moment = at(hovered, x - hovered.getBoundingClientRect().left);
            return [...document.querySelectorAll('.u-moment')].map(line => line.closest('.js-plotly-plot'))
                .filter(chart => chart._fullLayout.xaxis.type === 'date')
                .map(chart => Math.abs(at(chart, parseFloat(chart.querySelector('.u-moment').style.left)) - moment));
        }""",
        [box["x"] + 0.85 * box["width"]],
    )
    assert len(marked) == 1 and max(marked) < 1_000  # that of the output speed, to the second
    page.mouse.move(5, 5)
    page.wait_for_function("document.querySelectorAll('.u-moment').length === 0")
    assert errors == []
    page.close()


def test_the_live_part_follows_without_a_jump_and_the_charts_stand_still(served: Served, browser: Browser) -> None:
    page, errors = open_in(browser, f"{served.url}/model?target=Gemma+3+270M,+this+machine&range=7+d")
    _rest(page, 1)
    page.evaluate("document.querySelector('[data-testid=\"stMain\"]').scrollTop = 400")
    page.wait_for_timeout(300)
    top = "Math.round(document.querySelector('.st-key-ttft_chart').getBoundingClientRect().top)"
    stood = page.evaluate(top)
    page.evaluate(f"{CHARTS}.forEach(chart => chart.stays = true)")
    page.evaluate(
        """() => {
            window.vanished = 0;
            new MutationObserver(() => { window.vanished += document.querySelector('.u-metrics') === null })
                .observe(document.body, {childList: true, subtree: true});
        }"""
    )
    before = page.locator('[data-label="TTFT, p50 and p95"] .q').first.inner_text()
    store = open_store(served.store_url)
    now = time.time_ns() // 1_000_000
    store.write(
        Probe("Gemma 3 270M, this machine", now - n * 20, "demo", "ping", 15.0, "ok", 200, ttft_ms=90.0, total_ms=120.0)
        for n in range(40)
    )
    store.close()
    page.wait_for_function(
        "before => document.querySelector('[data-label=\"TTFT, p50 and p95\"] .q').innerText !== before",
        arg=before,
        timeout=30_000,
    )
    assert abs(page.evaluate(top) - stood) <= 1  # though a banner above may have come or gone
    assert page.evaluate("window.vanished") == 0
    assert page.evaluate(f"{CHARTS}.every(chart => chart.stays)")
    assert errors == []
    page.close()


def test_when_the_bar_of_a_stopped_collector_goes_the_page_moves_up_once_and_what_is_read_further_down_stays(
    tmp_path: Path, browser: Browser
) -> None:
    store_url, now = f"sqlite:///{tmp_path}/stopped.db", time.time_ns() // 1_000_000
    store = open_store(store_url)
    store.write(history.history(now - 6 * 60_000, 0.2))
    with dashboard_process(store_url) as (url, _):
        at_top, errors = open_in(browser, f"{url}/model?target=Gemma+3+270M,+this+machine")
        _rest(at_top, 1)
        at_top.wait_for_selector(".st-key-stopped")
        top = "Math.round(document.querySelector('.st-key-card_trend').offsetTop)"
        stood = at_top.evaluate(top)
        height = at_top.evaluate("document.querySelector('.st-key-stopped').offsetHeight")
        assert 0 < height <= 60, "slim"
        at_top.evaluate(
            f"""() => {{
                window.tops = new Set();
                new MutationObserver(() => window.tops.add({top}))
                    .observe(document.body, {{childList: true, subtree: true}});
            }}"""
        )
        further_down, more_errors = open_in(browser, at_top.url)
        _rest(further_down, 1)
        further_down.wait_for_selector(".u-stopped")
        further_down.evaluate("document.querySelector('[data-testid=\"stMain\"]').scrollTop = 400")
        further_down.wait_for_timeout(300)
        chart = "Math.round(document.querySelector('.st-key-ttft_chart').getBoundingClientRect().top)"
        chart_stood = further_down.evaluate(chart)
        store.write([Probe("Gemma 3 270M, this machine", time.time_ns() // 1_000_000, "demo", "ping", 15.0, "ok", 200)])
        for page in (at_top, further_down):
            page.wait_for_selector(".u-stopped", state="detached")
            page.wait_for_timeout(300)
        tops = at_top.evaluate("[...window.tops]")
        assert set(tops) <= {stood, tops[-1]}, "nothing above was drawn twice, not for a moment"
        assert height <= stood - tops[-1] <= height + 16, "its height, and the gap below it"
        assert abs(further_down.evaluate(chart) - chart_stood) <= 1, "what is read further down stays"
        assert errors == more_errors == []
        at_top.close()
        further_down.close()
    store.close()


def test_a_download_does_not_run_the_page_again(served: Served, browser: Browser) -> None:
    page, errors = open_in(browser, f"{served.url}/export?table=runs")
    _rest(page)
    page.wait_for_timeout(1_000)
    runs = served.runs()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    assert download.value.suggested_filename == "runs.csv"
    assert Path(download.value.path()).read_text(encoding="utf-8").startswith("collector,started_at,location")
    assert served.runs() == runs
    assert errors == []
    page.close()


def test_a_keyboard_alone_reaches_everything(served: Served, browser: Browser) -> None:
    page, errors = open_in(browser, f"{served.url}/?range=7+d")
    _rest(page)
    reached: list[str] = []
    described = """() => {
        const at = document.activeElement;
        return `${at.tagName} ${at.getAttribute('role') ?? ''} ${at.className} ${at.innerText?.slice(0, 40) ?? ''}`;
    }"""
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(described))
        if "Gemma 3 27B" in reached[-1]:
            break
    everything = "\n".join(reached)
    for wanted in ("Overview", "Model", "Compare", "Catalog", "Export", "System", "Public status", "radio", "u-term"):
        assert wanted in everything, f"{wanted} was not reached: {everything}"
    focused = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(focused) == "solid"
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('Gemma 3 27B')")
    _rest(page, 1)
    radio = page.locator(".st-key-range [role=radio][aria-checked=true]")
    radio.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_function(f"{CHOSEN} === '30 d'")
    page.wait_for_function("location.search.includes('30')")
    _rest(page, 1)  # what is redrawn meanwhile lets go of the focus
    term = page.locator(".u-metrics .u-term").first
    term.focus()
    assert "share of decided time" in page.locator(".u-tip").inner_text()
    page.keyboard.press("Escape")
    assert page.locator(".u-tip").count() == 0
    assert errors == []
    page.close()


def test_code_is_copied_by_its_button(served: Served, browser: Browser) -> None:
    page, errors = open_in(browser, f"{served.url}/export?table=runs")
    _rest(page)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator(".u-copy").first.click()
    page.wait_for_selector(".u-copy:has-text('copied')")
    assert page.evaluate("navigator.clipboard.readText()").startswith("python -m collectors export runs")
    page.context.clear_permissions()
    assert errors == []
    page.close()


def test_a_threshold_that_is_dragged_changes_the_count_and_the_moments(served: Served, browser: Browser) -> None:
    page, errors = open_in(browser, f"{served.url}/alerts?alert_target=Gemma+3+4B,+Provider+B")
    _rest(page)
    status, rows = page.locator(".st-key-card_dry_run [role=status]"), page.locator(".st-key-card_dry_run tbody tr")
    status.wait_for()
    before = (status.inner_text(), rows.count())
    thumb = page.locator(".st-key-alert_after [data-rac]:has(> div > input[type=range])")
    box = thumb.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 400, y, steps=8)
    page.mouse.up()
    page.wait_for_url(re.compile(r"alert_after=20"))
    page.wait_for_function(
        "text => document.querySelector('.st-key-card_dry_run [role=status]').innerText !== text", arg=before[0]
    )
    page.locator(".st-key-card_dry_run:has-text('after = 20')").wait_for()
    _rest(page)
    assert rows.count() < before[1]
    assert errors == []
    page.close()
