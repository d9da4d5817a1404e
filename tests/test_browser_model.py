"""The model page's tabs in a browser, with a month of probes: how high each is, that the open one alone is loaded, that
links, Back and a dragged range survive, and what can be copied and saved.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from benchmarks import history
from benchmarks.browser import RESTED
from pages.sections.model_tabs import TABS
from tests.chromium import dashboard_of, open_in, wait_until_still

pytestmark = pytest.mark.timeout(300)
MOST_PX = 1_800
OPEN = "[...document.querySelectorAll('.st-key-tab [role=tabpanel]')].find(panel => panel.checkVisibility())"
SHOWN = f"() => {RESTED} && {OPEN}?.querySelector('.u') && document.querySelector('.u-metrics')"
HEIGHT = "document.querySelector('[data-testid=\"stMain\"]').scrollHeight"
TARGETS = ("Gemma 3 27B", "Gemma 3 1B (free)")


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory, chromium_path: str) -> Iterator[str]:
    others = [name for name, *_ in history.PROFILES if name not in TARGETS]  # whose month nobody looks at
    rows = history.history(time.time_ns() // 1_000_000, 30, brief=others)
    with dashboard_of(tmp_path_factory.mktemp("month"), rows) as running:
        yield running


def _rest(page: Page) -> None:
    page.wait_for_function(SHOWN, polling=50)
    wait_until_still(page)


def _open(page: Page, tab: str) -> None:
    page.locator(".st-key-tab").get_by_role("tab", name=tab).click()
    page.wait_for_function("tab => document.querySelector('[role=tab][aria-selected=true]').innerText === tab", arg=tab)
    _rest(page)


def test_every_tab_is_at_most_1800_px_high(month: str, browser: Browser) -> None:
    page, errors = open_in(browser, f"{month}/model?target=Gemma+3+27B&range=30+d")
    heights = {}
    for target in TARGETS:
        page.goto(f"{month}/model?target={target}&range=30+d&tab={list(TABS)[-1]}".replace(" ", "+"))
        _rest(page)
        for tab in TABS:
            _open(page, tab)
            heights[target, tab] = page.evaluate(HEIGHT)
    assert {at: height for at, height in heights.items() if height > MOST_PX} == {}
    assert min(heights.values()) > 900, "this measures the page's whole height"
    assert errors == []
    page.close()


def test_the_open_tab_alone_is_loaded_it_is_in_the_address_and_back_returns_to_it(month: str, browser: Browser) -> None:
    page, errors = open_in(browser, f"{month}/model?target=Gemma+3+27B&range=30+d")
    _rest(page)
    assert page.locator(".js-plotly-plot").count() == 1
    assert page.locator(".st-key-card_providers, .st-key-card_events, .st-key-card_api").count() == 0
    _open(page, "Reliability")
    assert "tab=Reliability" in page.url and page.locator(".st-key-card_events").count() == 1
    assert page.locator(".js-plotly-plot").count() == 0
    _open(page, "API")
    assert "tab=API" in page.url and page.locator(".st-key-card_events").count() == 0
    page.go_back()
    page.wait_for_selector(".st-key-card_events")
    page.reload()
    page.wait_for_selector(".st-key-card_events")
    assert "tab=Reliability" in page.url and "target=Gemma+3+27B" in page.url
    assert errors == []
    page.close()


@pytest.mark.parametrize(
    ("link", "selector"),
    [
        ("tab=reliability", ".st-key-card_events"),
        ("sample=curl", ".st-key-card_api:has-text('curl ')"),
        ("event_kinds=down", ".st-key-card_events"),
        ("activity_as=Share", ".st-key-activity_chart"),
        ("own_tokens_by=By+app", "text=No request has passed to this target"),
        ("spread=output+speed", ".st-key-speed_chart"),
        ("metric=cost", ".st-key-cost_chart"),
    ],
)
def test_a_link_from_before_the_tabs_leads_to_the_right_one(
    month: str, browser: Browser, link: str, selector: str
) -> None:
    page, errors = open_in(browser, f"{month}/model?target=Gemma+3+27B&range=7+d&{link}")
    page.wait_for_selector(selector)
    assert errors == []
    page.close()


def test_another_tab_or_metric_moves_nothing_above_and_keeps_what_was_dragged(month: str, browser: Browser) -> None:
    page, errors = open_in(browser, f"{month}/model?target=Gemma+3+27B&range=30+d")
    _rest(page)
    page.locator(".st-key-ttft_chart").scroll_into_view_if_needed()
    box = page.locator(".st-key-ttft_chart .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 60, steps=5)
    page.mouse.up()
    page.wait_for_url("**range=custom&from=**")
    _rest(page)
    dragged = page.evaluate("new URLSearchParams(location.search).get('from')")
    page.evaluate("document.querySelector('[data-testid=\"stMain\"]').scrollTop = 420")
    wait_until_still(page)
    top = "Math.round(document.querySelector('.st-key-tab').getBoundingClientRect().top)"
    stood = page.evaluate(top)
    page.evaluate(
        f"""() => {{
            window.tops = new Set();
            const look = () => {{ window.tops.add({top}); requestAnimationFrame(look); }};
            look();
        }}"""
    )
    for tab in ("Providers", "Traffic", "API", "Performance"):
        _open(page, tab)
    page.locator(".st-key-metric").get_by_text("Total time", exact=True).click()
    page.wait_for_selector(".st-key-total_chart .js-plotly-plot")
    _rest(page)
    assert "metric=Total" in page.url
    assert page.evaluate("new URLSearchParams(location.search).get('from')") == dragged
    assert max(page.evaluate("[...window.tops]"), key=lambda at: abs(at - stood)) == pytest.approx(stood, abs=1)
    assert errors == []
    page.close()


def test_a_view_a_badge_and_a_call_are_copied_and_the_next_target_is_a_click_away(month: str, browser: Browser) -> None:
    page, errors = open_in(browser, f"{month}/model?target=Gemma+3+1B+(free)&range=7+d&tab=API")
    _rest(page)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    copied = []
    for label in ("Link to this view", "Markdown badge", "curl (API)"):
        page.locator(".u-menu summary").click()
        page.locator(".u-menu").get_by_text(label, exact=True).click()
        page.wait_for_selector(".u-menu button:has-text('copied')", state="attached")
        copied.append(page.evaluate("navigator.clipboard.readText()"))
        page.wait_for_selector(".u-menu:not([open])", state="attached")
    link, badge, curl = copied
    assert link == page.url
    assert f"]({month}/badge/Gemma%203%201B%20%28free%29.svg)]({month}/model?target=Gemma+3+1B+%28free%29)" in badge
    assert curl.startswith(f"curl '{month}/api/v1/targets/Gemma%203%201B%20%28free%29/summary?from=20")
    page.locator(".u-menu summary").click()
    with page.context.expect_page() as opened:
        page.locator(".u-menu").get_by_text("Report of this month").click()
    opened.value.wait_for_selector("h1:has-text('Gemma 3 1B (free), ')")
    page.keyboard.press("Escape")
    page.wait_for_selector(".u-menu:not([open])", state="attached")
    page.get_by_role("button", name="Next").click()
    page.wait_for_selector("h1:has-text('Gemma 3 270M, this machine')")
    assert "target=Gemma+3+270M%2C+this+machine" in page.url and "tab=API" in page.url
    page.locator(".st-key-model_bar").get_by_role("link", name="Compare").click()
    page.wait_for_selector(".u-table.compare")
    assert page.locator(".u-table.compare thead b").first.inner_text() == "Gemma 3 270M, this machine"
    assert errors == []
    page.close()


def test_a_chart_is_saved_as_png_with_what_it_is_its_source_and_its_range(month: str, browser: Browser) -> None:
    page, errors = open_in(browser, f"{month}/model?target=Gemma+3+27B&range=7+d")
    _rest(page)
    page.evaluate(
        """() => {
            const toImage = Plotly.toImage;
            Plotly.toImage = (figure, options) => {
                window.saved = figure.layout.annotations.map(note => note.text);
                return toImage(figure, options);
            };
        }"""
    )
    with page.expect_download() as download:
        page.locator(".st-key-card_trend .u-png").click()
    assert (
        download.value.suggested_filename
        == "Time-to-first-token-of-Gemma-3-27B-in-the-last-7-d-in-ms-as-percentile-bands-ove.png"
    )
    content = Path(download.value.path()).read_bytes()
    width, height = struct.unpack(">II", content[16:24])
    chart = page.locator(".st-key-ttft_chart").bounding_box()
    assert chart is not None
    assert content.startswith(b"\x89PNG") and width == pytest.approx(2 * chart["width"], abs=40) and height > 640
    title, source = page.evaluate("window.saved.slice(-2)")
    assert title.replace("<br>", " ").startswith("Time to first token of Gemma 3 27B in the last 7 d, in ms")
    assert source.startswith(f"Source: Uptoken, {month.removeprefix('http://')} · ")
    assert " to " in source and "(Europe/Berlin)" in source
    with page.expect_download() as download:  # status bars are drawn in HTML
        page.locator(".u-card .u-png[data-figure]").first.click()
    assert download.value.suggested_filename == "Uptime-of-Gemma-3-27B.png"
    content = Path(download.value.path()).read_bytes()
    card = page.locator(".u-card:has(.u-png[data-figure])").first.bounding_box()
    assert card is not None and content.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", content[16:24])
    assert width == pytest.approx(2 * card["width"], abs=2) and height > 2 * card["height"]
    assert len(content) > 10_000  # it is not blank
    assert errors == []
    page.close()
