"""A year of one target as CSV from the dashboard, while somebody else uses its pages in a real browser."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from urllib.request import urlopen

from api.downloads import link
from benchmarks.browser import FLAGS, dashboard_process
from benchmarks.catalog import CHROMIUM
from benchmarks.studies.year import fill, names
from benchmarks.tools import median, table
from store import Selection, open_store

VISITS = 7
MOST_GROWTH_MB, MOST_SLOWER_S = 100.0, 1.0
DRAWN = """() => document.querySelectorAll('.js-plotly-plot .main-svg').length >= 2
    && document.querySelector('[data-stale="true"]') === null"""


class Downloads(threading.Thread):
    """One download after the other until it is told to stop; how large, and how long each took."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address
        self._over = threading.Event()
        self.took: list[tuple[int, float]] = []

    def run(self) -> None:
        """In its thread."""
        while not self._over.is_set():
            began, size = time.perf_counter(), 0
            with urlopen(self._address) as answer:
                while block := answer.read(1 << 16):
                    size += len(block)
            self.took.append((size, time.perf_counter() - began))

    def end(self) -> None:
        """After the one that runs."""
        self._over.set()
        self.join()


def resident_mb(pid: int) -> float:
    """What a process holds in memory now."""
    [line] = [row for row in Path(f"/proc/{pid}/status").read_text().splitlines() if row.startswith("VmRSS")]
    return int(line.split()[1]) / 1_024


def visits(page: object) -> list[float]:
    """Seconds from the click on a page's name to its charts, again and again."""
    seconds = []
    for _ in range(VISITS):
        page.get_by_role("link", name="Export").click()  # type: ignore[attr-defined]
        page.wait_for_selector("h1:has-text('Export')")  # type: ignore[attr-defined]
        page.wait_for_timeout(500)  # type: ignore[attr-defined]
        began = time.perf_counter()
        page.get_by_role("link", name="Model").click()  # type: ignore[attr-defined]
        page.wait_for_function(DRAWN, polling=10)  # type: ignore[attr-defined]
        seconds.append(time.perf_counter() - began)
    return seconds


def main() -> str:
    """The table, as Markdown."""
    if CHROMIUM is None:
        return "There is no Chromium: apt-get install chromium, or say where it is with CHROMIUM."
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        url = f"sqlite:///{folder}/year.db"
        store = open_store(url)
        rows = fill(store, 1, 365, time.time_ns() // 1_000_000)
        store.close()
        with dashboard_process(url) as (address, pid):
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page(viewport={"width": 1_440, "height": 1_000})
            page.goto(address)
            page.wait_for_selector("text=Export")
            alone = visits(page)
            before_mb = resident_mb(pid)
            downloads = Downloads(f"{address}/" + link("probes", Selection(targets=(names(1)[0],))))
            downloads.start()
            meanwhile = visits(page)
            after_mb = resident_mb(pid)
            downloads.end()
            browser.close()
    size, seconds = downloads.took[0]
    slower, growth = median(meanwhile) - median(alone), after_mb - before_mb
    lines = [
        [f"a year of one target as CSV: {rows:,} rows, {size / 1e6:.0f} MB", f"{seconds:.1f} s", "", ""],
        ["the model page, click to drawn, alone", f"{median(alone):.2f} s", "", ""],
        [
            "the same while downloads run, one after the other",
            f"{median(meanwhile):.2f} s",
            f"{MOST_SLOWER_S:.0f} s more",
            "" if slower <= MOST_SLOWER_S else "NOT KEPT",
        ],
        [
            "what the server's memory grew by meanwhile",
            f"{growth:.0f} MB",
            f"{MOST_GROWTH_MB:.0f} MB",
            "" if growth <= MOST_GROWTH_MB else "NOT KEPT",
        ],
    ]
    return table(("", "measured", "promised, at most", ""), lines)


if __name__ == "__main__":
    print(main())
