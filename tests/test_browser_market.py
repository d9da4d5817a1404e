"""What the router tells, in a real browser: a generated catalog, from the list of models to a comparison."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, TimeoutError

from benchmarks import history
from tests.chromium import assert_fits, dashboard_of, open_in, wait_until_still

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, chromium_path: str) -> Iterator[str]:
    with dashboard_of(tmp_path_factory.mktemp("market"), history.history(time.time_ns() // 1_000_000, 1)) as running:
        yield running


def _pick(page: Page, row: int) -> None:
    """Select a row. The table is a canvas: a click is lost that comes before it is drawn, which no element shows."""
    for is_last in (False, False, True):
        box = page.locator('[data-testid="stDataFrame"]').bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + 18, box["y"] + 18 + 33 * row)
        try:
            page.wait_for_url(lambda url: url.count("picked=") == row, timeout=10_000)
            return
        except TimeoutError:
            if is_last:
                raise


def test_two_rows_of_the_catalog_are_picked_and_compared(address: str, browser: Browser) -> None:
    page, errors = open_in(browser, f"{address}/catalog?q=gemma&range=7+d")
    page.wait_for_selector('[data-testid="stDataFrame"] canvas')
    wait_until_still(page)
    for row in (1, 2):
        _pick(page, row)
        wait_until_still(page)
    page.reload()
    page.get_by_text("Compare 2 models").first.click()
    page.wait_for_selector(".u-table.compare")
    assert "with=Gemma" in page.url and page.url.count("range=") == 1
    assert page.locator(".u-table.compare thead b").count() == 2
    wait_until_still(page)
    assert_fits(page, "compare-two", "light", 1_440)
    assert errors == []
    page.close()


def test_six_fit_beside_their_labels_and_on_a_phone_the_labels_stay(address: str, browser: Browser) -> None:
    six = "&".join(f"with={name}" for name, *_ in history.PROFILES[:6]).replace(" ", "+")
    page, errors = open_in(browser, f"{address}/compare?{six}")
    page.wait_for_selector(".u-table.compare")
    assert page.locator(".u-table.compare thead b").count() == 6
    beyond = "(() => { const box = document.querySelector('.u-scroll'); return box.scrollWidth - box.clientWidth })()"
    assert page.evaluate(beyond) <= 0
    page.set_viewport_size({"width": 390, "height": 1_000})
    page.wait_for_function(f"{beyond} > 100")
    left = "document.querySelector('.u-table.compare tbody td').getBoundingClientRect().left"
    stood = page.evaluate(left)
    page.evaluate("document.querySelector('.u-scroll').scrollLeft = 200")
    wait_until_still(page)
    assert page.evaluate(left) == pytest.approx(stood, abs=1)
    assert (
        page.evaluate("document.querySelector('.u-table.compare tbody td + td').getBoundingClientRect().left") < stood
    )
    assert errors == []
    page.close()
