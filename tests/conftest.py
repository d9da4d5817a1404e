"""What the whole suite shares: where a browser is, a loud word when there is none, and a check of every figure."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import plotly.graph_objects as go
import pytest
from hypothesis import HealthCheck, settings

from benchmarks.browser import FLAGS
from charts.figure_builder import FigureBuilder
from settings import secrecy
from tests.collectors.cli_fixture import STARTED
from tests.middlebox import program

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NO_BROWSER = (
    "NO BROWSER: the test that reads real numbers off the page in Chromium was SKIPPED. "
    "Get one (Debian: apt-get install chromium) or name yours in CHROMIUM=/path/to/chromium"
)

LONGEST = {
    "test_both_engines.py",
    "test_every_table.py",
    "test_odd_addresses.py",
    "test_alerting.py",
    "test_bad_files.py",
    "test_kill.py",
    "test_browser_dashboard.py",
    "test_browser_layout.py",
}
ROOM = 4_000_000_000
MEMORY = Path("/dev/shm")
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
    # where pytest makes its folders: thousands of stores are made, and each commit waits for a disk (9 ms, beside others)
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

# how fast an example is depends on what else the machine does: what has to be fast is measured in benchmarks/
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

# what a shell starts in the background ignores Ctrl-C, and so would every process that a test starts and interrupts
signal.signal(signal.SIGINT, signal.default_int_handler)


def chromium() -> str | None:
    """The path of a Chromium: `CHROMIUM`, else one that is installed; null when there is none."""
    named = os.environ.get("CHROMIUM")
    if named and Path(named).is_file():
        return named
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser draws on every core: such tests are a part of `make test` of their own. Files that take long begin first,
    so that no core waits for the last of them.
    """
    for item in items:
        if isinstance(item, pytest.Function) and "chromium_path" in item.fixturenames:
            item.add_marker("browser")
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_collection_finish() -> None:
    """What was imported and collected stays until the end: the garbage collector need not go through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _secrets_of_a_test_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test says is a key is hidden wherever it is said: not in the next one."""
    for name in ("_known", "_whole", "_trace"):
        monkeypatch.setattr(secrecy, name, getattr(secrecy, name))


@pytest.fixture(autouse=True)
def _every_figure_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plotly checks every value of a figure that a test draws: the dashboard itself leaves that out, as it takes long."""
    finished = FigureBuilder.figure

    def checked(drawing: FigureBuilder) -> go.Figure:
        figure = finished(drawing)
        go.Figure(figure.to_dict())
        return figure

    monkeypatch.setattr(FigureBuilder, "figure", checked)


@pytest.fixture(autouse=True)
def _no_collector_outlives_its_test() -> Iterator[None]:
    yield
    while STARTED:
        if (process := STARTED.pop()).poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """A Chromium; the test is skipped without one, and in CI it fails instead."""
    path = chromium()
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("there is no Chromium, and CI must not skip the browser test: apt-get install chromium")
        pytest.skip(NO_BROWSER)
    return path


@pytest.fixture(scope="session")
def promtool() -> str:
    """Prometheus' checker."""
    return program("promtool", "prometheus")


@pytest.fixture(scope="session")
def browser(chromium_path: str) -> Iterator[Browser]:
    """One browser for all tests."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium_path, args=[*FLAGS, "--process-per-site"])
        yield opened
        opened.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A skip among hundreds of dots is easily missed."""
    if any(NO_BROWSER in str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])):
        terminalreporter.write_sep("!", "browser test skipped", red=True, bold=True)
        terminalreporter.write_line(NO_BROWSER, red=True, bold=True)
