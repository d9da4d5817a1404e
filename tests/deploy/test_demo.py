"""`make demo` shows generated data, and says so on every page."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from benchmarks.browser import free_port
from deploy import demo
from store import open_store
from store.schema import PROBES
from tests.pages.conftest import html, open_page

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(path.name for path in (ROOT / "pages").glob("*.py") if path.name != "__init__.py")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_notice_is_on_every_page_and_is_text(script: str, filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPTOKEN_NOTICE", "Generated <data>")
    assert "Generated &lt;data&gt;" in html(open_page(script))


@pytest.mark.waits
def test_the_demonstration_starts_with_a_month_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    port = free_port()
    environment = os.environ | {"UPTOKEN_PORT": str(port)}
    code = f"import sys; from pathlib import Path; from deploy import demo; demo.DATA = Path({str(tmp_path)!r}); sys.exit(demo.main())"
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, cwd=ROOT, start_new_session=True)
    try:
        until = time.monotonic() + 90
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2) as answer:
                    assert answer.status == 200
                break
            except OSError:
                assert time.monotonic() < until, "the demonstration did not start"
                time.sleep(0.2)
        store = open_store(f"sqlite:///{tmp_path}/demo.db", read_only=True)
        assert store.count(PROBES) > 100_000
        store.close()
    finally:
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(20) == 0


def test_the_notice_says_that_nothing_was_measured() -> None:
    assert "Nothing on these pages was measured" in demo.NOTICE
