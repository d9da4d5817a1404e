"""axe-core in Chromium: no page breaks a rule of WCAG 2.1 A or AA in what is ours."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from benchmarks import history, market
from benchmarks.browser import dashboard
from pages.sections.model_tabs import TABS
from store import open_store
from tests.chromium import open_in, wait_until_still

PAGES = [
    "",
    *(f"model?tab={tab}" for tab in TABS),
    "compare",
    "routing",
    "catalog",
    "targets",
    "alerts",
    "export",
    "system",
    "public-status",
]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, chromium_path: str) -> Iterator[str]:
    url, now = f"sqlite:///{tmp_path_factory.mktemp('axe')}/axe.db", time.time_ns() // 1_000_000
    store = open_store(url)
    store.write(history.history(now, 1))
    store.write(market.market(now, 30, 90))
    store.close()
    with dashboard(url) as running:
        yield running


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_no_page_breaks_a_rule(address: str, browser: Browser, path: str, mode: str) -> None:
    page, _ = open_in(browser, f"{address}/{path}", mode=mode)
    page.wait_for_selector(".u-fresh, iframe")
    page.wait_for_function('document.querySelector(\'[data-stale="true"], [data-testid="stSkeleton"]\') === null')
    wait_until_still(page)
    found = Axe().run(page, options={"runOnly": RULES}).response["violations"]
    broken = []
    for rule in found:
        broken += [f"{rule['id']}: {node['html'][:200]}" for node in rule["nodes"]]
    assert broken == []
    page.close()
