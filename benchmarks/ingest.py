"""How fast probes come into SQLite with their roll-ups, what is left when the process is killed, and readers meanwhile.

python -m benchmarks.ingest --minutes 10
"""

from __future__ import annotations

import multiprocessing
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.studies.year import probes
from benchmarks.tools import ROOT, percentile, table
from store import Selection, StoreError, open_store
from store.rollups import DAY_MS
from store.schema import PROBES, Probe

TARGETS, READERS, PROCESSES = 100, 32, 4
LEAST_A_SECOND, LEAST_TICKS, MOST_COMMIT_MS, MOST_READ_MS, MOST_WAL_MB = 20_000, 500, 50.0, 200.0, 64.0
NOW = 1_795_478_400_000
"""2026-11-24T00:00Z."""


def _probe(number: int, at: int) -> Probe:
    chance = random.random()
    return Probe(
        f"target {number:03d}", at, "bench", "ping", 60.0, "ok" if chance > 0.003 else "timeout", 200, 0.3, None,
        300 + 500 * chance, 400 + 900 * chance, None, 21, 3, None, 0, "usage", 2e-07, True, None, "m", "stop",
    )  # fmt: skip


def batches(url: str) -> float:
    """Probes a second, a day of each target in batches."""
    store = open_store(url)
    rows = [row for n in range(TARGETS) for row in probes(n, f"target {n:03d}", NOW - 3 * DAY_MS, NOW - 2 * DAY_MS)]
    began = time.perf_counter()
    for start in range(0, len(rows), 10_000):
        store.write(rows[start : start + 10_000])
    seconds = time.perf_counter() - began
    store.close()
    return len(rows) / seconds


def ticks(url: str, count: int = 3_000) -> float:
    """Ticks of one probe a second."""
    store = open_store(url)
    rows = [_probe(n % TARGETS, NOW - DAY_MS + n * 500) for n in range(count)]
    began = time.perf_counter()
    for row in rows:
        store.write([row])
    seconds = time.perf_counter() - began
    store.close()
    return count / seconds


def killed(url: str) -> tuple[int, int]:
    """Write tick after tick in a process that is killed: how many it had said were written, and how many are there."""
    code = (
        "import sys; from benchmarks.ingest import _probe, NOW; from store import open_store\n"
        "store = open_store(sys.argv[1])\n"
        "for n in range(10**9):\n"
        "    store.write([_probe(n % 50, NOW + n)]); print(n + 1, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    time.sleep(2)
    process.send_signal(signal.SIGKILL)
    said = int((process.stdout.read().splitlines() or ["0"])[-1])
    process.wait()
    store = open_store(url)
    there = store.count(PROBES, Selection(since=NOW))
    rolled_up = sum(sum(row[4:]) for row in store.rollups("day", Selection(since=NOW), ("ok", "timeout")))
    store.close()
    assert there == rolled_up, (there, rolled_up)
    return said, there


def _reader(url: str, until: float, seed: int, found: Any) -> None:
    """Some threads of a dashboard's process: what a model's page asks, again and again."""
    times: list[float] = []
    errors: list[str] = []
    store = open_store(url, read_only=True)

    def read(number: int) -> None:
        chance = random.Random(seed * 100 + number)
        while time.time() < until:
            name = f"target {chance.randrange(TARGETS):03d}"
            began = time.perf_counter()
            try:
                list(store.rollups("hour", Selection(NOW - 3 * DAY_MS, NOW, (name,))))
                list(store.read(PROBES, Selection(targets=(name,)), newest_first=True, limit=50))
            except StoreError as problem:
                errors.append(str(problem))
            times.append((time.perf_counter() - began) * 1_000)
            time.sleep(0.2)

    threads = [threading.Thread(target=read, args=(n,)) for n in range(READERS // PROCESSES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    found.put((times, errors))


def beside_readers(url: str, path: Path, minutes: float) -> dict[str, float]:
    """A collector's ticks of 100 probes while readers ask in a loop."""
    found: Any = multiprocessing.Queue()
    until = time.time() + minutes * 60
    readers = [multiprocessing.Process(target=_reader, args=(url, until, n, found)) for n in range(PROCESSES)]
    for reader in readers:
        reader.start()
    store = open_store(url)
    commits, wal_mb, errors, tick = [], 0.0, 0, 0
    while time.time() < until:
        rows = [_probe(n, NOW + DAY_MS + tick * 1_000 + n) for n in range(TARGETS)]
        began = time.perf_counter()
        try:
            store.write(rows)
        except StoreError:
            errors += 1
        commits.append((time.perf_counter() - began) * 1_000)
        wal_mb = max(wal_mb, path.with_name(path.name + "-wal").stat().st_size / 1e6)
        tick += 1
        time.sleep(max(0.0, 1 - (time.perf_counter() - began)))
    times: list[float] = []
    for _ in readers:
        its, problems = found.get()
        times += its
        errors += len(problems)
    for reader in readers:
        reader.join()
    store.close()
    return {
        "commit": percentile(commits, 0.99),
        "read": percentile(times, 0.95),
        "reads": len(times),
        "wal": wal_mb,
        "errors": errors,
    }


def main(minutes: Annotated[float, typer.Option(help="How long the readers ask.")] = 1) -> None:
    """Print the table, as Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ingest.db"
        url = f"sqlite:///{path}"
        a_second, tick_rate = batches(url), ticks(url)
        said, there = killed(url)
        seen = beside_readers(url, path, minutes)
    rows = [
        ["probes a second, in batches", f"{a_second:,.0f}", f"{LEAST_A_SECOND:,}"],
        ["ticks of one probe a second", f"{tick_rate:,.0f}", f"{LEAST_TICKS}"],
        ["killed: commits that were told, probes that are there", f"{said:,}, {there:,}", "none lost"],
        [f"{READERS} readers for {minutes:g} min: their p95", f"{seen['read']:.0f} ms", f"{MOST_READ_MS:.0f} ms"],
        [f"commits of {TARGETS} probes meanwhile, p99", f"{seen['commit']:.0f} ms", f"{MOST_COMMIT_MS:.0f} ms"],
        ["the largest WAL", f"{seen['wal']:.0f} MB", f"{MOST_WAL_MB:.0f} MB"],
        ["reads, failures of readers and writer", f"{seen['reads']:,.0f}, {seen['errors']:.0f}", "none"],
    ]
    kept = (
        a_second >= LEAST_A_SECOND
        and tick_rate >= LEAST_TICKS
        and there >= said
        and seen["commit"] < MOST_COMMIT_MS
        and seen["read"] < MOST_READ_MS
        and seen["wal"] < MOST_WAL_MB
        and not seen["errors"]
    )
    print(f"{table(('', 'measured', 'promised'), rows)}\n\nPromised: {'kept' if kept else 'NOT KEPT'}.")


if __name__ == "__main__":
    typer.run(main)
