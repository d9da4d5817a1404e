"""A new user's way, timed, through real processes and a real browser: a clone, the first number, an own target that is
added on the page, and the first alert. How `make run` sets a machine up is in `test_browser.py`, with the real model.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page

from benchmarks.browser import free_port
from tests.chromium import open_in
from tests.collectors.cli_fixture import ROOT, STARTED, until
from tests.fault_server import GOOD, FaultServer, answer, chunked

LONGEST_S = {"clone": 60.0, "first number": 60.0, "own target": 90.0, "its first number": 30.0, "first alert": 30.0}
"""Several times what each takes on two cores, so that only something that is stuck passes it."""


class ModelServer:
    """Lists two models and answers, until it breaks."""

    is_broken = False

    def __call__(self, connection: socket.socket, request: dict[str, Any]) -> None:
        if request["line"].startswith("GET /v1/models "):
            answer(200, {"data": [{"id": "acme/small"}, {"id": "acme/large"}]})(connection, request)
        elif request["line"].startswith("GET"):
            answer(404, {})(connection, request)
        else:
            (answer(500, {"error": "out of memory"}) if self.is_broken else chunked(*GOOD))(connection, request)


class Newcomer:
    """A clone, with the collector and the dashboard running in it."""

    def __init__(self, folder: Path) -> None:
        subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{ROOT}", str(folder)], check=True)
        self.folder = folder
        self.config = folder / "targets.toml"
        self.port = free_port()

    def start(self) -> None:
        run = ["-m", "collectors", "run", "--every", "1"]
        for words in (run, ["-m", "streamlit", "run", "app.py", "--server.port", str(self.port)]):
            kept = {
                name: value for name, value in os.environ.items() if not name.startswith(("UPTOKEN_", "PYTHONPATH"))
            }
            STARTED.append(
                subprocess.Popen(
                    [sys.executable, *words],
                    cwd=self.folder,
                    env=kept,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            )
        until(self._is_up, 60)

    def _is_up(self) -> bool:
        try:
            urlopen(f"{self.url}/_stcore/health", timeout=1).close()
        except OSError:
            return False
        return True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def replace(self, old: str, new: str) -> None:
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new, 1))


@pytest.fixture
def servers() -> Iterator[tuple[FaultServer, ModelServer, FaultServer, FaultServer]]:
    own = ModelServer()
    with ExitStack() as stack:
        local, theirs, hook = (
            stack.enter_context(FaultServer(each)) for each in (ModelServer(), own, answer(204, b""))
        )
        yield local, own, theirs, hook


@pytest.mark.waits
@pytest.mark.timeout(300)
def test_from_a_clone_to_an_own_target_and_its_first_alert(
    servers: tuple[FaultServer, ModelServer, FaultServer, FaultServer], browser: Browser, tmp_path: Path
) -> None:
    local, own, theirs, hook = servers
    took: dict[str, float] = {}

    def timed(step: str, work: Callable[[], object]) -> None:
        began = time.monotonic()
        work()
        took[step] = time.monotonic() - began

    made: list[Newcomer] = []
    timed("clone", lambda: made.append(Newcomer(tmp_path / "uptoken")))
    [user] = made
    user.replace("http://127.0.0.1:8095/v1", local.url)  # in the place of the local model
    user.replace('every = "60s"', 'every = "2s"\nconfirm_after = "200ms"')
    timed("first number", lambda: (user.start(), _wait_for_number(browser, user.url, "Gemma 3 270M, this machine")))
    page, errors = open_in(browser, f"{user.url}/targets")
    timed("own target", lambda: _add_on_the_page(page, theirs.url.removesuffix("/v1")))
    assert f'name = "large"\nmodel = "acme/large"\nbase_url = "{theirs.url}"\n' in user.config.read_text()
    assert user.config.read_text().startswith("# What is probed. Every key is explained")
    timed("its first number", lambda: _wait_for_number(browser, user.url, "large"))
    user.config.write_text(
        f'{user.config.read_text()}\n[[channel]]\nname = "me"\ntype = "webhook"\nurl = "{hook.url}"\n'
    )
    own.is_broken = True
    timed("first alert", lambda: until(lambda: any("large" in str(each["body"]) for each in hook.requests), 30))
    [told] = [each["body"] for each in hook.requests if "large" in str(each["body"])][:1]
    assert "down" in str(told)
    assert errors == []
    print("\n" + "\n".join(f"{step}: {seconds:.1f} s" for step, seconds in took.items()))
    assert {step: seconds for step, seconds in took.items() if seconds > LONGEST_S[step]} == {}


def _wait_for_number(browser: Browser, url: str, name: str) -> None:
    page, _ = open_in(browser, url)
    page.wait_for_selector(f'[data-target="{name}"]', timeout=60_000)
    page.wait_for_function(
        """name => [...document.querySelectorAll('.u-row')].some(
            row => row.querySelector(`[data-target="${name}"]`) && /\\d/.test(row.querySelector('.big')?.innerText ?? ''))""",
        arg=name,
        timeout=60_000,
    )
    page.close()


def _add_on_the_page(page: Page, address: str) -> None:
    page.get_by_label("Base URL").fill(address)
    page.get_by_label("Base URL").press("Enter")
    page.get_by_role("button", name="Find models").click()
    page.get_by_text("2 models at").wait_for(timeout=30_000)
    page.get_by_label("Model", exact=True).click()
    page.keyboard.type("large")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Test", exact=True).click()
    page.get_by_text("first token after").wait_for(timeout=30_000)
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("was saved").wait_for(timeout=30_000)
