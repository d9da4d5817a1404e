"""A dashboard to open, and the browser's flags: for the benchmarks and for the browser tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def dashboard(url: str) -> Iterator[str]:
    """The dashboard over a store, in a process of its own; its address."""
    with dashboard_process(url) as (address, _):
        yield address


@contextmanager
def dashboard_process(url: str) -> Iterator[tuple[str, int]]:
    """The same; its address and the process' id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)],
        cwd=ROOT,
        env=os.environ | {"UPTOKEN_STORE": url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 60
        while True:
            try:
                urlopen(f"{address}/_stcore/health", timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < until, "the dashboard did not start"
                time.sleep(0.1)
        yield address, process.pid
    finally:
        process.terminate()
        process.wait()
