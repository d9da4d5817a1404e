"""The whole path, for real: a local Gemma 3, the collector, the dashboard, and their numbers read off the page."""

from __future__ import annotations

import csv
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from openai import OpenAI
from playwright.sync_api import Browser, Page

from benchmarks.browser import free_port
from deploy.run import taken
from pages.components.sample_code import SAMPLES, SampleRequest
from store import open_store
from store.schema import PROBES, REQUESTS, Probe, Request, Row, Table
from tests.chromium import assert_fits, open_in, wait_until_still
from tests.collectors.cli_fixture import until
from tests.middlebox import program

ROOT = Path(__file__).resolve().parents[1]
NEWCOMER_S = 90

TARGETS = """
[collector]
confirm_after = "1s"
throughput_every = "6s"

[[target]]
name = "Real Gemma"
model = "gemma-3-270m"
base_url = "http://127.0.0.1:{model_port}/v1"
every = "2s"
check = "echo"
usd_per_million_input = 0
usd_per_million_output = 0

[[target]]
name = "Nobody there"
model = "ghost"
base_url = "http://127.0.0.1:9/v1"
every = "3s"

[[target]]
name = "No key yet"
model = "google/gemma-3-1b-it:free"
base_url = "https://openrouter.ai/api/v1"
api_key_env = "UPTOKEN_TEST_KEY_THAT_IS_NOT_SET"

[[route]]
model = "gemma"
targets = ["Nobody there", "Real Gemma"]
strategy = "order"
"""

# the model computes on every core, and what asks it does not wait for ever
pytestmark = [pytest.mark.model, pytest.mark.alone, pytest.mark.timeout(300)]


@dataclass
class Everything:
    """What `make run` runs, on ports and a store of its own."""

    url: str
    store_url: str
    process: subprocess.Popen[bytes]
    ports: tuple[int, int, int]

    def probes(self) -> list[Probe]:
        return [Probe(*row) for row in self._read(PROBES)]

    def requests(self) -> list[Request]:
        return [Request(*row) for row in self._read(REQUESTS)]

    def _read(self, table: Table) -> list[Row]:
        store = open_store(self.store_url, read_only=True)
        rows = list(store.read(table))
        store.close()
        return rows


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory, chromium_path: str) -> Iterator[Everything]:
    pytest.importorskip("xllamacpp", reason="the local model is not installed: pip install -r requirements-local.txt")
    folder = tmp_path_factory.mktemp("everything")
    model_port, page_port, relay_port = free_port(), free_port(), free_port()
    (folder / "targets.toml").write_text(TARGETS.format(model_port=model_port))
    store_url = f"sqlite:///{folder}/data/uptoken.db"
    environment = os.environ | {
        "UPTOKEN_CONFIG": str(folder / "targets.toml"),
        "UPTOKEN_STORE": store_url,
        "UPTOKEN_PORT": str(page_port),
        "UPTOKEN_MODEL_PORT": str(model_port),
        "UPTOKEN_RELAY_PORT": str(relay_port),
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.run"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Everything(f"http://127.0.0.1:{page_port}", store_url, process, (model_port, page_port, relay_port))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
        print((folder / "log").read_text(errors="replace")[-4_000:])


def _row(page: Page, name: str) -> str:
    return page.locator(".u-row", has=page.locator(f'a[data-target="{name}"]')).inner_text()


def test_a_newcomer_sees_the_first_real_probe_on_the_screen(everything: Everything, browser: Browser) -> None:
    began = time.monotonic()
    while not taken(everything.ports[1]):
        assert time.monotonic() - began < NEWCOMER_S and everything.process.poll() is None
        time.sleep(0.2)
    page, errors = open_in(browser, everything.url)
    page.wait_for_function(
        """() => [...document.querySelectorAll('.u-row')].some(
            row => row.innerText.includes('Real Gemma') && /● up/.test(row.innerText) && / ms/.test(row.innerText))""",
        timeout=NEWCOMER_S * 1_000,
    )
    assert time.monotonic() - began < NEWCOMER_S
    assert errors == []
    page.close()


def test_the_page_follows_by_itself_and_its_numbers_are_the_stores(everything: Everything, browser: Browser) -> None:
    page, errors = open_in(browser, everything.url)
    page.wait_for_function(
        """() => [...document.querySelectorAll('.u-row')].some(
            row => row.innerText.includes('Real Gemma') && /tok\\/s/.test(row.innerText) && /4k/.test(row.innerText))""",
        timeout=60_000,
    )
    page.wait_for_function(
        "() => [...document.querySelectorAll('.u-row')].some(row => /▼ down/.test(row.innerText))", timeout=60_000
    )
    real = [probe for probe in everything.probes() if probe.target == "Real Gemma" and probe.profile == "ping"]
    assert {probe.outcome for probe in real} == {"ok"}
    assert all(probe.completion_tokens and probe.ttft_ms and probe.served_model == "gemma-3-270m" for probe in real)
    shown = float(re.search(r"([\d,.]+) ms", _row(page, "Real Gemma"))[1].replace(",", ""))  # type: ignore[index]
    times = [probe.ttft_ms for probe in real if probe.ttft_ms is not None]
    assert min(times) - 1 <= shown <= max(times) + 1
    assert "waiting for a key: set UPTOKEN_TEST_KEY_THAT_IS_NOT_SET" in _row(page, "No key yet")
    assert re.search(r"live, last probe \d+ s ago", page.locator(".u-fresh").inner_text())
    assert errors == []
    page.close()


@pytest.mark.parametrize(("mode", "width"), [("light", 1440), ("dark", 390)])
@pytest.mark.parametrize("path", ["", "model?target=Real+Gemma", "model?target=Nobody+there", "system"])
def test_the_pages_of_a_collector_of_a_minute_fit_the_screen(
    everything: Everything, browser: Browser, path: str, width: int, mode: str
) -> None:
    page, errors = open_in(browser, f"{everything.url}/{path}", mode=mode, width=width)
    page.wait_for_selector(".u-metrics")
    if path.startswith("model"):
        page.wait_for_selector(".js-plotly-plot .main-svg")
    wait_until_still(page)
    assert_fits(page, f"new-{path or 'overview'}", mode, width)
    assert errors == []
    page.close()


def test_a_link_reproduces_the_view_and_a_click_leads_to_the_model(everything: Everything, browser: Browser) -> None:
    page, errors = open_in(browser, f"{everything.url}/?range=7+d")
    page.wait_for_selector("text=Probes in the last 7")
    page.click('a[data-target="Real Gemma"]')
    page.wait_for_selector("h1:has-text('Real Gemma')")
    page.wait_for_selector(".js-plotly-plot .main-svg")
    assert "target=Real" in page.url and "range=7" in page.url
    page.wait_for_selector("text=/in total|no incidents/")
    assert page.locator(".js-plotly-plot").count() == 1
    assert errors == []
    page.close()


def test_the_download_is_the_stores_rows(everything: Everything, browser: Browser) -> None:
    page, errors = open_in(browser, f"{everything.url}/export?only=Real+Gemma")
    page.wait_for_selector("a:has-text('Download CSV')")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert download.value.suggested_filename == "probes.csv"
    assert len(rows) >= 3
    assert {row["target"] for row in rows} == {"Real Gemma"}
    assert list(rows[0]) == list(PROBES.names)
    assert errors == []
    page.close()


def test_traffic_through_the_relay_is_on_the_pages_with_its_fallback(everything: Everything, browser: Browser) -> None:
    client = OpenAI(base_url=f"http://127.0.0.1:{everything.ports[2]}/v1", api_key="none")
    app = {"HTTP-Referer": "https://notes.example/a/page", "X-OpenRouter-Title": "Notes"}
    for _ in range(3):
        stream = client.chat.completions.create(
            model="gemma",
            messages=[{"role": "user", "content": "Say one word."}],
            max_tokens=8,
            stream=True,
            extra_headers=app,
        )
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    until(lambda: len(everything.requests()) == 6)
    served = [row for row in everything.requests() if row.served]
    assert {(row.target, row.fallback_for, row.app) for row in served} == {
        ("Real Gemma", "Nobody there", "https://notes.example")
    }
    page, errors = open_in(browser, f"{everything.url}/model?target=Real+Gemma&tab=Traffic")
    traffic = page.locator(".st-key-card_traffic")
    traffic.get_by_role("row", name=re.compile("^Attempts 3 ")).wait_for()
    chains = page.locator(".st-key-card_own_fallbacks")
    assert "3 requests: 3 served, 3 of them after a fallback; 0 failed" in chains.inner_text()
    assert "Nobody there → Real Gemma" in chains.inner_text()
    assert "https://notes.example" in page.locator(".st-key-card_own_apps").inner_text()
    assert errors == []
    page.close()


@pytest.mark.parametrize("name", ["Python (openai)", "Python (requests)", "curl"])
def test_the_sample_code_runs_against_the_real_model(everything: Everything, name: str, tmp_path: Path) -> None:
    language, write = SAMPLES[name]
    if language == "bash":
        program("curl")
    code = write(SampleRequest("gemma-3-270m", f"http://127.0.0.1:{everything.ports[0]}/v1", None))
    code = code.replace("What is the meaning of life?", "Say one word.")
    command = [sys.executable, "-c", code] if language == "python" else ["bash", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.removesuffix("\n"), "it may say nothing but line ends"


def test_ctrl_c_ends_all_four_cleanly(everything: Everything) -> None:
    before = len(everything.probes())
    assert before
    everything.process.send_signal(signal.SIGINT)
    assert everything.process.wait(20) == 0
    assert not any(taken(port) for port in everything.ports)
    assert len(everything.probes()) >= before
