"""How long a visitor waits, in a real Chromium: the first visit over three networks, a change, a refresh, ten at once.

    python -m benchmarks.visit                             fills 31 days of 100 targets first (three minutes)
    python -m benchmarks.visit sqlite:///data/year.db      a store that is there, of `benchmarks.studies.year`

The bare page has four Plotly charts of 2,000 points and nothing else; where changes are compared, also the control that
changes them. Every first visit is in a new browser profile, and the pages take turns, so that a busier minute of the
machine meets all of them. Over a network Chromium's own emulation delays and limits each request (not the WebSocket).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.request import urlopen

import typer

from benchmarks.browser import FLAGS, NETWORKS, RESTED, Visit, dashboard_process, first_visit, free_port
from benchmarks.catalog import CHROMIUM
from benchmarks.download import resident_mb
from benchmarks.served import seconds as seconds_of
from benchmarks.studies.year import fill
from benchmarks.tools import median, percentile, table
from store import open_store

VISITS, CHANGES, VIEWERS, WATCHED_S = 5, 5, 10, 60
MOST_RATIO, MOST_MODEL_RATIO, MOST_CHANGE_S, MOST_REFRESH_S, MOST_MB, MOST_RERUN_S = 1.3, 1.2, 0.7, 0.3, 600, 1.5
MOST_NETWORK_S, MOST_VISIT_MB, MOST_TAB_S = 2.8, 2.3, 0.5
RANGES = ("7 d", "30 d")
VIEW = {"viewport": {"width": 1_440, "height": 1_000}}
BARE = """
import numpy as np, plotly.graph_objects as go, streamlit as st
seed, place = 0, st.container()
if "controls" in st.query_params:
    seed = ["7 d", "30 d"].index(st.segmented_control("Range", ["7 d", "30 d"], default="30 d", key="range"))
    tabs = dict(zip(["One", "Two"], st.tabs(["One", "Two"], key="tab", on_change="rerun")))
    place = next(tab for tab in tabs.values() if tab.open)
for n in range(4):
    points = np.random.default_rng(n + 4 * seed).normal(size=2_000).cumsum()
    figure = go.Figure(go.Scatter(y=points), layout={"meta": {"moments": True}})
    place.plotly_chart(figure, key=f"chart {n}")
"""
DRAWN = f"""count => [...document.querySelectorAll('.js-plotly-plot')].filter(
    plot => plot.querySelector('.cartesianlayer .subplot')).length >= count && {RESTED}"""
MARK = "document.querySelectorAll('.js-plotly-plot').forEach(plot => plot.before = plot.data)"
REDRAWN = f"""() => {{
    const charts = [...document.querySelectorAll('.js-plotly-plot')].filter(p => p._fullLayout?.meta?.moments);
    return charts.length && charts.every(p => p.data !== p.before && p.querySelector('.subplot')) && {RESTED};
}}"""


@contextmanager
def bare() -> Iterator[str]:
    """A Streamlit page with four charts; its address."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "bare.py"
        script.write_text(BARE)
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port), "--server.headless",
             "true", "--server.address", "127.0.0.1", "--browser.gatherUsageStats", "false"],
            cwd=folder, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            until = time.monotonic() + 60
            while time.monotonic() < until:
                try:
                    urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


OPENED = f"""() => {{
    const open = [...document.querySelectorAll('[role="tabpanel"]')].find(panel => panel.checkVisibility());
    return open && open.innerText.trim() && Date.now() > window.changedAt && {RESTED};
}}"""


def rested(browser: Any, address: str) -> tuple[Any, int]:
    """A page that has come to rest, and how many charts it has."""
    page = browser.new_page(**VIEW)
    page.goto(address)
    page.wait_for_function(DRAWN, arg=1, timeout=90_000)
    page.wait_for_timeout(3_000)
    return page, int(page.locator(".js-plotly-plot").count())


def another_range(page: Any, turn: int) -> None:
    """Choose one of two ranges."""
    page.locator(".st-key-range").get_by_text(RANGES[turn % 2], exact=True).click()


def another_target(page: Any, turn: int) -> None:
    """Choose a target that was not shown yet, by typing a part of its name."""
    page.locator(".st-key-target input").click()
    page.keyboard.type(f"target {20 + turn:03d}")
    page.get_by_role("option").first.wait_for()
    page.keyboard.press("Enter")


def another_tab(page: Any, turn: int) -> None:
    """Open the second tab, or the first one again."""
    page.get_by_role("tab").nth((turn + 1) % 2).click()


def changes(page: Any, change: Callable[[Any, int], None], is_done: str = REDRAWN) -> list[float]:
    """Seconds from a change of a control to all charts of the window redrawn; the first two are not counted."""
    seconds = []
    for turn in range(CHANGES + 2):
        page.wait_for_timeout(700)
        page.evaluate(MARK)
        page.evaluate("window.changedAt = undefined; addEventListener('click', () => window.changedAt = Date.now(), "
                      "{capture: true, once: true}); addEventListener('keydown', event => { if (event.key === 'Enter') "
                      "window.changedAt = Date.now() }, true)")  # fmt: skip
        change(page, turn)
        page.wait_for_function(is_done, polling=25)
        seconds.append(page.evaluate("(Date.now() - window.changedAt) / 1000"))
    return seconds[2:]


def refreshes(browser: Any, addresses: list[str], log: Path) -> list[float]:
    """The server's seconds for the live parts of pages that are watched and left alone."""
    found: list[float] = []
    for address in addresses:
        page, _ = rested(browser, address)
        page.wait_for_timeout(4_000)
        before = len(seconds_of(log, "part"))
        page.wait_for_timeout(WATCHED_S * 500)
        found += seconds_of(log, "part")[before:]
        page.close()
    return found


def viewers(browser: Any, address: str, process_id: int, log: Path) -> tuple[list[float], float]:
    """Ten watch, half of them a model each, and choose another range now and then: the server's seconds for each rerun
    of a page or a part of one, and its memory in MB at its highest.
    """
    most, pages = 0.0, []
    for number in range(VIEWERS):
        page = browser.new_context(**VIEW).new_page()
        page.goto(f"{address}/model?target=target+{number:03d}&range=30+d" if number % 2 else f"{address}/?range=30+d")
        pages.append(page)
    for page in pages:
        page.wait_for_function(DRAWN, arg=1, timeout=60_000)
    before = len(seconds_of(log))
    for turn in range(WATCHED_S // 3):
        another_range(pages[turn % VIEWERS], turn // VIEWERS)
        pages[0].wait_for_timeout(3_000)
        most = max(most, resident_mb(process_id))
    for page in pages:
        page.context.close()
    return seconds_of(log)[before:], most


def visits(browser: Any, pages: dict[str, str]) -> dict[tuple[str, str], list[Visit]]:
    """First visits of pages (their addresses by name), by name and network; each page and network in turn."""
    charts = {}
    for name, address in pages.items():
        opened, charts[name] = rested(browser, address)
        opened.close()
    found: dict[tuple[str, str], list[Visit]] = defaultdict(list)
    for _ in range(VISITS):
        for network in NETWORKS:
            for name, address in pages.items():
                found[name, network.name].append(first_visit(browser, address, DRAWN, charts[name], network))
    return found


def visit_lines(found: dict[tuple[str, str], list[Visit]]) -> list[list[str]]:
    """Each page over each network, and what is promised of ours: beside the bare page, and over 20 Mbit/s."""
    lines = []
    for (name, network), each in found.items():
        base = median([visit.seconds for visit in found["a bare page with four charts", network]])
        seconds, sizes = median([visit.seconds for visit in each]), median([visit.megabytes for visit in each])
        said = f"{seconds:.2f} s, {seconds / base:.2f} times, {sizes:.2f} MB in {each[-1].requests} requests"
        most, is_kept = "", True
        if "bare" not in name and network == NETWORKS[0].name:
            ratio = MOST_MODEL_RATIO if "model" in name else MOST_RATIO
            most, is_kept = f"{ratio} times", seconds <= ratio * base
        elif "bare" not in name and network == NETWORKS[1].name:
            most, is_kept = f"{MOST_NETWORK_S} s, {MOST_VISIT_MB} MB", seconds <= MOST_NETWORK_S
            is_kept &= sizes <= MOST_VISIT_MB
        lines.append([f"{name}, first visit, {network}", said, most, "" if is_kept else "NOT KEPT"])
    return lines


def change_lines(browser: Any, bare_address: str, model: str) -> list[list[str]]:
    """What changes of a control take on the model page, beside the same on a bare page."""
    page, _ = rested(browser, f"{bare_address}/?controls=yes")
    bare_range, bare_tab = changes(page, another_range), changes(page, another_tab, OPENED)
    page.close()
    page, _ = rested(browser, model)
    ranges, targets = changes(page, another_range), changes(page, another_target)
    tabs = changes(page, another_tab, OPENED)
    page.close()
    beside, beside_tab = f" (bare page {median(bare_range):.2f} s)", f" (bare page {median(bare_tab):.2f} s)"
    return [
        _line("another range, click to all charts redrawn", median(ranges), MOST_CHANGE_S, beside),
        _line("another target, chosen to all charts redrawn", median(targets), MOST_CHANGE_S, beside),
        _line("another tab, click to all of it", median(tabs), MOST_TAB_S, beside_tab),
    ]


def measured(url: str) -> str:
    """The table, as Markdown."""
    from playwright.sync_api import sync_playwright

    with (
        sync_playwright() as playwright,
        bare() as bare_address,
        tempfile.TemporaryDirectory() as folder,
        dashboard_process(url, log=Path(folder) / "log") as (address, process_id),
    ):
        log = Path(folder) / "log"
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        model, overview = f"{address}/model?target=target+007&range=30+d", f"{address}/?range=30+d"
        pages = {"a bare page with four charts": bare_address, "the model page": model, "the overview": overview}
        lines = visit_lines(visits(browser, pages))
        lines += change_lines(browser, bare_address, model)
        refreshed = refreshes(browser, [overview, model], log)
        reruns, most_mb = viewers(browser, address, process_id, log)
        browser.close()
    lines += [
        _line(f"a live refresh, server time, p95 of {len(refreshed)}", percentile(refreshed, 0.95), MOST_REFRESH_S),
        _line(f"a rerun with {VIEWERS} viewers, p95 of {len(reruns)}", percentile(reruns, 0.95), MOST_RERUN_S),
        [
            "the server's memory meanwhile, at most",
            f"{most_mb:.0f} MB",
            f"{MOST_MB} MB",
            "" if most_mb < MOST_MB else "NOT KEPT",
        ],
    ]
    return table((f"100 targets, 30 d; medians of {VISITS}", "measured", "promised, at most", ""), lines)


def _line(what: str, seconds: float, most: float, note: str = "") -> list[str]:
    return [what, f"{seconds:.2f} s{note}", f"{most:.2f} s", "" if seconds <= most else "NOT KEPT"]


def main(url: Annotated[str | None, typer.Argument(help="A store; none: one is filled.")] = None) -> None:
    """Print the table, as Markdown."""
    if CHROMIUM is None:
        print("There is no Chromium: apt-get install chromium, or say where it is with CHROMIUM.")
        return
    if url is not None:
        print(measured(url))
        return
    with tempfile.TemporaryDirectory() as folder:
        own = f"sqlite:///{folder}/visit.db"
        store = open_store(own)
        fill(store, 100, 31, time.time_ns() // 1_000_000)
        store.close()
        print(measured(own))


if __name__ == "__main__":
    typer.run(main)
