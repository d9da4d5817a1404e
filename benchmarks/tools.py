"""What several benchmarks use: the endpoint's process, whole-process timing, tables, and the machine's name."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from store.rollups import Rollup, Series

ROOT = Path(__file__).resolve().parents[1]
TINYPROXY = shutil.which("tinyproxy")


@contextmanager
def endpoint(certificate: str | None = None) -> Iterator[str]:
    """The endpoint in a process of its own; its base URL. `certificate` is a file for TLS."""
    command = [sys.executable, "-m", "benchmarks.endpoint", "0", *([certificate] if certificate else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def certificate() -> Iterator[str]:
    """A file with a certificate for this machine and its key, whose authority every client here believes meanwhile."""
    import trustme

    authority = trustme.CA()
    with tempfile.TemporaryDirectory() as folder:
        trusted, own = f"{folder}/ca.pem", f"{folder}/own.pem"
        authority.cert_pem.write_to_path(trusted)
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(own)
        before = os.environ.get("SSL_CERT_FILE")
        os.environ["SSL_CERT_FILE"] = trusted
        try:
            yield own
        finally:
            del os.environ["SSL_CERT_FILE"]
            if before is not None:
                os.environ["SSL_CERT_FILE"] = before


@contextmanager
def tinyproxy() -> Iterator[str]:
    """A tinyproxy on loopback; its URL."""
    assert TINYPROXY is not None
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
        config.write(f"Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nMaxClients 200\nLogLevel Error\n")
        config.flush()
        process = subprocess.Popen([TINYPROXY, "-d", "-c", config.name], stdout=subprocess.DEVNULL)
        try:
            until = time.monotonic() + 10
            while time.monotonic() < until:
                with suppress(OSError):
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                time.sleep(0.02)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def noted(base_url: str) -> dict[str, dict[str, float]]:
    """What the endpoint noted since it was last asked, by probe."""
    # our own endpoint on loopback: whose certificate it shows is no matter
    with urlopen(f"{base_url}/log", context=ssl._create_unverified_context()) as answer:
        found: dict[str, dict[str, float]] = json.load(answer)
    return found


@dataclass(frozen=True)
class Process:
    """A command that ran: seconds on the clock, seconds of CPU, and its peak memory in MB."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    code: int


def run(command: Sequence[str], **environment: str) -> Process:
    """Run a command to its end, output thrown away."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT, env=os.environ | environment
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - began
    return Process(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1_024, process.returncode)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered)) - 1))]


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def machine() -> str:
    """What the numbers were taken on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return f"{os.cpu_count()} cores ({model}), {platform.system()}, Python {platform.python_version()}"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(headings) + " |", "| " + " | ".join("---" for _ in headings) + " |"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def by_series(rollups: Iterable[Rollup]) -> dict[Series, list[Rollup]]:
    """The roll-ups of each series, oldest first."""
    listed: dict[Series, list[Rollup]] = defaultdict(list)
    for rollup in sorted(rollups, key=lambda rollup: rollup.began):
        listed[rollup.series].append(rollup)
    return listed
