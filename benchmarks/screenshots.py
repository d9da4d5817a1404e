"""The pictures of the README: a generated month, and the real local model as a newcomer sees it after four minutes.

    python -m benchmarks.screenshots [FOLDER]        docs/pictures, if none is named
    python -m benchmarks.screenshots --every-page FOLDER
                                                     each page whole, at three widths, light and dark, to be looked at

Needs Chromium, and for the second the local model (requirements-local.txt).
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import history
from benchmarks.browser import FLAGS, dashboard, free_port
from benchmarks.catalog import CHROMIUM
from benchmarks.checks import checks
from benchmarks.tools import ROOT
from store import open_store
from store.schema import Run

MONTH = (  # name, address, mode, width, height
    ("overview-light", "?range=7+d", "light", 1_440, 1_000),
    ("overview-dark", "?range=7+d", "dark", 1_440, 1_000),
    ("model-light", "model?target=Gemma+3+1B+(free)&range=30+d", "light", 1_440, 1_330),
    ("model-dark", "model?target=Gemma+3+1B+(free)&range=30+d", "dark", 1_440, 1_330),
    ("compare", "compare?with=Gemma+3+4B,+Provider+A&with=Gemma+3+4B,+Provider+B&range=7+d", "light", 1_440, 1_000),
    ("status", "status/", "dark", 1_440, 900),
    ("phone", "?range=7+d", "light", 390, 844),
)
REAL = (("newcomer", "model?target=Gemma+3+270M", "light", 1_440, 1_000),)
REAL_S = 240
TARGET = "target=Gemma+3+27B&range=30+d"
EVERY_PAGE = (
    *(
        "",
        "compare",
        "routing",
        "catalog",
        "targets",
        "alerts",
        "export",
        "system",
        "public-status",
        "glossary",
        "status/",
    ),
    *(
        f"model?{TARGET}&tab={tab}"
        for tab in ("Performance", "Providers", "Usage", "Traffic", "Reliability", "Checks", "API")
    ),
)
WIDTHS, TALLEST = (1_440, 1_024, 390), 4_000
TARGETS = """
[collector]
throughput_every = "60s"

[[target]]
name = "Gemma 3 270M"
model = "gemma-3-270m"
base_url = "http://127.0.0.1:{port}/v1"
every = "5s"
check = "echo"
usd_per_million_input = 0
usd_per_million_output = 0
"""


@contextmanager
def real() -> Iterator[str]:
    """The local model, the collector and the dashboard, for four minutes already; the dashboard's address."""
    with tempfile.TemporaryDirectory() as folder:
        model, page = free_port(), free_port()
        Path(folder, "targets.toml").write_text(TARGETS.format(port=model))
        environment = os.environ | {
            "UPTOKEN_CONFIG": f"{folder}/targets.toml",
            "UPTOKEN_STORE": f"sqlite:///{folder}/uptoken.db",
            "UPTOKEN_LOCATION": "this machine",
            "UPTOKEN_PORT": str(page),
            "UPTOKEN_MODEL_PORT": str(model),
        }
        everything = subprocess.Popen(
            [sys.executable, "-m", "deploy.run"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            time.sleep(REAL_S)
            yield f"http://127.0.0.1:{page}"
        finally:
            everything.send_signal(signal.SIGINT)
            everything.wait(30)


def take(browser: Any, address: str, folder: Path, name: str, path: str, mode: str, width: int, height: int) -> None:
    """One picture, when the page has come to rest."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=mode)
    page = context.new_page()
    page.goto(f"{address}/{path}")
    page.wait_for_selector(".u-fresh, .banner")
    page.wait_for_timeout(4_000)
    page.screenshot(path=folder / f"{name}.png")
    context.close()


def _seen(url: str) -> None:
    """A collector that runs right now."""
    now = time.time_ns() // 1_000_000
    store = open_store(url)
    store.write([Run("probe", now - 2_000, "demo", now - 1_000, 6)])
    store.close()


def take_every_page(browser: Any, address: str, folder: Path, saw: Callable[[], None]) -> int:
    """Every page at each width in both modes; returns how many pictures."""
    for mode in ("light", "dark"):
        context = browser.new_context(color_scheme=mode)
        page = context.new_page()
        for path in EVERY_PAGE:
            name = re.sub(r"[^a-z]+", "-", path.replace(TARGET, "").lower()).strip("-") or "overview"
            for width in WIDTHS:
                saw()
                page.set_viewport_size({"width": width, "height": 1_000})
                page.goto(f"{address}/{path}")
                page.wait_for_selector(".u-fresh, .banner, iframe", state="attached")  # the status, or its preview
                page.wait_for_timeout(1_500)
                high = page.evaluate("(document.querySelector('[data-testid=stMain]') ?? document.body).scrollHeight")
                page.set_viewport_size({"width": width, "height": min(high + 80, TALLEST)})
                page.wait_for_timeout(700)
                page.screenshot(path=folder / f"{name}-{mode}-{width}.png")
        context.close()
    return 2 * len(EVERY_PAGE) * len(WIDTHS)


def main(
    folder: Annotated[Path, typer.Argument(help="Where the pictures go.")] = ROOT / "docs" / "pictures",
    every_page: Annotated[bool, typer.Option("--every-page", help="All pages, to be looked at.")] = False,
) -> None:
    """Take all pictures again."""
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        print("There is no Chromium: apt-get install chromium, or say where it is with CHROMIUM.", file=sys.stderr)
        raise typer.Exit(2)
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as own:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        count = len(MONTH)
        if every_page or find_spec("xllamacpp") is None:
            print("Without the picture of the real local model.", file=sys.stderr)
        else:
            count += len(REAL)
            with real() as address:
                for picture in REAL:
                    take(browser, address, folder, *picture)
        url, now = f"sqlite:///{own}/month.db", time.time_ns() // 1_000_000
        store = open_store(url)
        store.write(history.history(now, 30))
        if every_page:
            store.write(checks(now, 30))
        store.close()
        with dashboard(url) as address:
            if every_page:
                count = take_every_page(browser, address, folder, partial(_seen, url))
            else:
                for picture in MONTH:
                    _seen(url)
                    take(browser, address, folder, *picture)
        browser.close()
    print(f"{count} pictures in {folder}")


if __name__ == "__main__":
    typer.run(main)
