"""How long a visitor waits, in a real Chromium: the first visit beside a bare Streamlit page, and a change of range.

    python -m benchmarks.visit                             fills 31 days of 100 targets first (three minutes)
    python -m benchmarks.visit sqlite:///data/year.db      a store that is there

The bare page has four Plotly charts of 2,000 points and nothing else. Every first visit is in a new browser profile.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.request import urlopen

import typer

from benchmarks.browser import FLAGS, dashboard, free_port
from benchmarks.catalog import CHROMIUM
from benchmarks.tools import median, table
from benchmarks.year import fill
from store import open_store

VISITS = 7
MOST_RATIO, MOST_CHANGE_S = 1.3, 0.7
BARE = """
import numpy as np, plotly.graph_objects as go, streamlit as st
for n in range(4):
    st.plotly_chart(go.Figure(go.Scatter(y=np.random.default_rng(n).normal(size=2_000).cumsum())), key=f"chart {n}")
"""
DRAWN = """count => document.querySelectorAll('.js-plotly-plot .main-svg .xtick').length > 0
    && [...document.querySelectorAll('.js-plotly-plot')].filter(plot => plot.querySelector('.xtick')).length >= count
    && document.querySelector('[data-stale="true"], [data-testid="stSkeleton"]') === null"""
TICKS = "[...document.querySelectorAll('.js-plotly-plot')].map(p => p.querySelector('.xaxislayer-above')?.textContent)"


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


def first_visits(browser: Any, address: str, charts: int) -> list[float]:
    """Seconds from an empty profile to all charts drawn; the first visit warms the server."""
    seconds = []
    for _ in range(VISITS + 1):
        context = browser.new_context(viewport={"width": 1_440, "height": 1_000})
        page = context.new_page()
        began = time.perf_counter()
        page.goto(address)
        page.wait_for_function(DRAWN, arg=charts, polling=10)
        seconds.append(time.perf_counter() - began)
        context.close()
    return seconds[1:]


def charts_of(browser: Any, address: str) -> int:
    """How many charts the page has when it has come to rest."""
    page = browser.new_page(viewport={"width": 1_440, "height": 1_000})
    page.goto(address)
    page.wait_for_timeout(6_000)
    found = page.evaluate(
        "[...document.querySelectorAll('.js-plotly-plot')].filter(p => p.querySelector('.xtick')).length"
    )
    page.close()
    return int(found)


def changes(browser: Any, address: str, charts: int) -> list[float]:
    """Seconds from a click on another range to all charts redrawn."""
    page = browser.new_page(viewport={"width": 1_440, "height": 1_000})
    page.goto(address)
    page.wait_for_function(DRAWN, arg=charts, polling=10)
    seconds = []
    for name in ("7 d", "30 d") * ((VISITS + 2) // 2 + 1):
        page.wait_for_timeout(800)
        before = page.evaluate(TICKS)
        began = time.perf_counter()
        page.get_by_role("radio", name=name, exact=True).or_(
            page.get_by_role("button", name=name, exact=True)
        ).first.click()
        page.wait_for_function(
            f"([before, count]) => {TICKS}[0] !== before[0] && ({DRAWN})(count)", arg=[before, charts - 1], polling=10
        )
        seconds.append(time.perf_counter() - began)
    page.close()
    return seconds[2:]


def measured(url: str) -> str:
    """The table, as Markdown."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, bare() as bare_address, dashboard(url) as address:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        model = f"{address}/model?range=30+d"
        charts = charts_of(browser, model)
        empty = median(first_visits(browser, bare_address, 4))
        full = median(first_visits(browser, model, charts))
        changed = median(changes(browser, model, charts))
        browser.close()
    lines = [
        ["a bare page with four charts, first visit", f"{empty:.2f} s", "", ""],
        [
            f"the model page over 30 d, {charts} charts, first visit",
            f"{full:.2f} s",
            f"{MOST_RATIO * empty:.2f} s ({MOST_RATIO} times)",
            "" if full <= MOST_RATIO * empty else "NOT KEPT",
        ],
        [
            "another range, click to all charts redrawn",
            f"{changed:.2f} s",
            f"{MOST_CHANGE_S:.2f} s",
            "" if changed <= MOST_CHANGE_S else "NOT KEPT",
        ],
    ]
    return table((f"median of {VISITS}", "measured", "promised, at most", ""), lines)


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
