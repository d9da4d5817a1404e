"""What is done before the first viewer comes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from benchmarks.browser import free_port

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import asyncio, gc, sys, app
async def start():
    async with app.get_ready(app.app):
        pass
asyncio.run(start())
print(gc.get_freeze_count() > 50_000, "plotly.graph_objs" in sys.modules, "pages.shell.main" in sys.modules)
"""


@pytest.mark.process
def test_what_pages_use_is_loaded_and_set_aside_and_no_page_has_run() -> None:
    told = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["True", "True", "False"]


@pytest.mark.process
def test_the_dashboard_starts_without_a_warning_in_its_log(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)],
            cwd=ROOT,
            env=os.environ | {"UPTOKEN_STORE": f"sqlite:///{tmp_path}/none.db"},
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
    finally:
        process.terminate()
        process.wait()
    told = log.read_text()
    assert str(port) in told
    assert "runtime" not in told and "WARNING" not in told.upper(), told
