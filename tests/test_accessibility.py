"""axe-core in Chromium: no page breaks a rule of WCAG 2.1 A or AA in what is ours."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import chain

import pytest
from playwright.sync_api import Browser

from benchmarks import history, market
from benchmarks.browser import RESTED
from tests.chromium import VIEWS, broken_rules, dashboard_of, open_in, wait_until_still


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, chromium_path: str) -> Iterator[str]:
    now = time.time_ns() // 1_000_000
    rows = chain(history.history(now, 1), market.market(now, 30, 90))
    with dashboard_of(tmp_path_factory.mktemp("axe"), rows) as running:
        yield running


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("path", VIEWS)
def test_no_page_breaks_a_rule(address: str, browser: Browser, path: str, mode: str) -> None:
    page, _ = open_in(browser, f"{address}/{path}", mode=mode)
    page.wait_for_selector(".u-fresh, iframe")
    page.wait_for_function(RESTED)
    wait_until_still(page)
    assert broken_rules(page) == []
    page.close()
