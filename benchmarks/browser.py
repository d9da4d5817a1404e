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
from pathlib import Path
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
