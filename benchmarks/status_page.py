"""The public status page of 20 targets beside a running collector: requests a second, bytes, and time to complete."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.browser import FLAGS, dashboard
from benchmarks.catalog import CHROMIUM
from benchmarks.tools import ROOT, endpoint, percentile, table
from store import open_store
from store.schema import Row
from tests.factories import DAY, MINUTE, probe, target

TARGETS, DAYS, STEP_MIN = 20, 90, 15
SECONDS, CONNECTIONS, VISITS = 20.0, 16, 30
LEAST_RATE, MOST_BYTES, MOST_MS = 1_000.0, 40_000, 100.0
EVERY_S = 2


def name_of(number: int) -> str:
    """As long as a model's name is."""
    return f"Acme Large 70B Instruct, provider {number:02d}"


def history(now: int) -> Iterator[Row]:
    """Three outages of two hours each and a day without data for each target."""
    chance = random.Random(17)
    for number in range(TARGETS):
        name = name_of(number)
        yield target(name, every_s=60.0 * STEP_MIN, updated_at=now)
        outages = [chance.randrange(DAYS * 24) for _ in range(3)]
        silent = chance.randrange(DAYS)
        for n in range(DAYS * 24 * 60 // STEP_MIN):
            at = now - n * STEP_MIN * MINUTE
            is_down = any(hour <= n * STEP_MIN // 60 < hour + 2 for hour in outages)
            if (now - at) // DAY != silent:
                yield probe(at, "timeout" if is_down else "ok", target=name, stands_for_s=60.0 * STEP_MIN)


@contextmanager
def collector(url: str, folder: Path, base_url: str) -> Iterator[None]:
    """A collector that probes the same targets every two seconds."""
    lines = [f'[collector]\nevery = "{EVERY_S}s"\nthroughput_every = "off"']
    lines += [
        f'[[target]]\nname = "{name_of(number)}"\nmodel = "first_ms=50,tokens=4"\nbase_url = "{base_url}"'
        for number in range(TARGETS)
    ]
    (folder / "targets.toml").write_text("\n".join(lines))
    command = [sys.executable, "-m", "collectors", "run", "--every", "1", "--config", f"{folder}/targets.toml"]
    process = subprocess.Popen(
        [*command, "--store", url],
        cwd=ROOT,
        env=os.environ | {"UPTOKEN_LOCATION": "here"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


class Client(asyncio.Protocol):
    """One kept connection that asks again as soon as it has the whole response."""

    def __init__(self, port: int, until: float, took: list[float]) -> None:
        self._request = f"GET /status/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept-Encoding: gzip\r\n\r\n".encode()
        self._until, self._took, self._received = until, took, b""
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, _, body = self._received.partition(b"\r\n\r\n")
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or -1)
        if length < 0 or len(body) < length:
            return
        assert head.startswith(b"HTTP/1.1 200 "), head
        self._took.append((time.perf_counter() - self._asked) * 1_000)
        if time.perf_counter() < self._until:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, problem: Exception | None) -> None:
        self.over.set_result(None)

    def _ask(self) -> None:
        self._received, self._asked = b"", time.perf_counter()
        self._transport.write(self._request)


async def load(port: int) -> list[float]:
    """How long each response took, in milliseconds, of as many as there were in `SECONDS`."""
    took: list[float] = []
    until, loop = time.perf_counter() + SECONDS, asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: Client(port, until, took), "127.0.0.1", port) for _ in range(CONNECTIONS)
    ]
    await asyncio.gather(*(client.over for _, client in made))
    return took


def ask(port: int) -> tuple[float, bytes]:
    """Milliseconds from a new connection to the whole page, and the page."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/status/", headers={"Accept-Encoding": "gzip"})
    body = connection.getresponse().read()
    connection.close()
    return (time.perf_counter() - began) * 1_000, gzip.decompress(body)


def visits(address: str) -> list[float]:
    """Milliseconds until a browser has loaded and drawn the page, without what it knew before."""
    from playwright.sync_api import sync_playwright

    milliseconds = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for _ in range(VISITS):
            context = browser.new_context(viewport={"width": 1_440, "height": 1_000})
            page = context.new_page()
            page.goto(f"{address}/status/")
            milliseconds.append(
                page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"),
            )
            context.close()
        browser.close()
    return milliseconds


def main() -> str:
    """The table, as Markdown."""
    with tempfile.TemporaryDirectory() as folder, endpoint() as base_url:
        url = f"sqlite:///{folder}/status.db"
        store = open_store(url)
        began = time.time_ns() // 1_000_000
        store.write(history(began))
        store.close()
        with dashboard(url) as address, collector(url, Path(folder), base_url):
            port = urlsplit(address).port or 0
            time.sleep(10)
            first_ms, _ = ask(port)
            loaded = visits(address) if CHROMIUM is not None else []
            single = [ask(port) for _ in range(VISITS)]
            took = asyncio.run(load(port))
            body = single[-1][1]
        store = open_store(url, read_only=True)
        written = sum(1 for series in store.series() if series.newest.started_at > began)
        store.close()
    rate, p95 = len(took) / SECONDS, percentile([ms for ms, _ in single], 0.95)
    lines = [
        _line("requests a second, 16 connections", f"{rate:,.0f}", f"at least {LEAST_RATE:,.0f}", rate >= LEAST_RATE),
        _line("the same: p50, p99", f"{percentile(took, 0.5):.1f} ms, {percentile(took, 0.99):.1f} ms", "", True),
        _line(
            f"the page of {TARGETS} targets",
            f"{len(body) / 1e3:.1f} kB, {len(gzip.compress(body, 6)) / 1e3:.1f} kB compressed",
            f"{MOST_BYTES / 1e3:.0f} kB",
            len(body) < MOST_BYTES,
        ),
        _line("a new connection to the whole page, p95", f"{p95:.1f} ms", f"{MOST_MS:.0f} ms", p95 <= MOST_MS),
        _line("the very first, which reads the store", f"{first_ms:.0f} ms", "", True),
    ]
    if loaded:
        ms = percentile(loaded, 0.95)
        lines.append(_line("loaded in Chromium, p95", f"{ms:.0f} ms", f"{MOST_MS:.0f} ms", ms <= MOST_MS))
    lines.append(_line("targets that the collector probed meanwhile", str(written), str(TARGETS), written == TARGETS))
    return table(("", "measured", "promised", ""), lines)


def _line(what: str, measured: str, promised: str, is_kept: bool) -> list[str]:
    return [what, measured, promised, "" if is_kept else "NOT KEPT"]


if __name__ == "__main__":
    print(main())
