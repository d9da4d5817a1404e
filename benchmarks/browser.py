"""A dashboard to open, and the browser's flags: for the benchmarks and for the browser tests."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from benchmarks.tools import ROOT

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
RESTED = """document.querySelector(
    '[data-stale="true"], [data-testid="stSkeleton"], [data-testid="stStatusWidget"]') === null"""
"""In JavaScript: whether Streamlit has drawn all that it knows of."""


def free_port() -> int:
    """A port that nobody listens on, and that the system gives to nobody before it is used: its own begin at 32768."""
    while True:
        port = secrets.randbelow(10_000) + 20_000
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def dashboard(url: str) -> Iterator[str]:
    """The dashboard over a store, in a process of its own; its address."""
    with dashboard_process(url) as (address, _):
        yield address


@contextmanager
def dashboard_process(
    url: str, *flags: str, host: str = "127.0.0.1", port: int = 0, log: Path | None = None
) -> Iterator[tuple[str, int]]:
    """With flags of Streamlit; its address and the process' id. `log`: where `benchmarks.served` notes times."""
    port = port or free_port()
    program = ["streamlit"] if log is None else ["benchmarks.served", str(log)]
    process = subprocess.Popen(
        [sys.executable, "-m", *program, "run", "app.py", "--server.port", str(port), *flags],
        cwd=ROOT,
        env=os.environ | {"UPTOKEN_STORE": url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://{host}:{port}"
    base = flags[flags.index("--server.baseUrlPath") + 1].strip("/") + "/" if "--server.baseUrlPath" in flags else ""
    try:
        until = time.monotonic() + 60
        while True:
            try:
                urlopen(f"{address}/{base}_stcore/health", timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < until, "the dashboard did not start"
                time.sleep(0.1)
        yield address, process.pid
    finally:
        process.terminate()
        process.wait()


@dataclass(frozen=True)
class Network:
    """What lies between the browser and the server."""

    name: str
    megabits: float | None = None
    """Per second, in each direction; null: as fast as loopback is."""
    latency_ms: int = 0

    def apply(self, page: Any) -> Any:
        """Have a page of Chromium see it; returns the session of the browser's protocol that does."""
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        if self.megabits is not None:
            bytes_a_second = self.megabits * 1_000_000 / 8
            limits = {"downloadThroughput": bytes_a_second, "uploadThroughput": bytes_a_second}
            session.send("Network.emulateNetworkConditions", {"offline": False, "latency": self.latency_ms, **limits})
        return session


NETWORKS = (
    Network("loopback"),
    Network("20 Mbit/s and 40 ms", 20, 40),
    Network("5 Mbit/s and 100 ms", 5, 100),
)


@dataclass(frozen=True)
class Visit:
    """A first visit: seconds to all charts, the requests by then, and what came over the network for them."""

    seconds: float
    requests: int
    megabytes: float


def first_visit(browser: Any, address: str, is_drawn: str, charts: int, network: Network) -> Visit:
    """From an empty profile to the moment at which the JavaScript function `is_drawn(charts)` is true."""
    context = browser.new_context(viewport={"width": 1_440, "height": 1_000})
    page = context.new_page()
    session = network.apply(page)
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_function(is_drawn, arg=charts, polling=10, timeout=60_000)
    seconds = time.perf_counter() - began
    context.close()
    return Visit(seconds, len(sizes), sum(sizes) / 1e6)
