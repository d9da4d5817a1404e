"""`kill -9` of a real collector at random moments: `python -m tests.faults.killing 1000`.

The collector is the real loop over real requests to a server on loopback, tick after tick without a pause. It says each
tick once the loop has it recorded. It runs in a fork of this process, which has everything imported, so that a thousand
starts take minutes and the kills fall among ticks and not among imports; `exec` is what is left out.
"""

from __future__ import annotations

import gc
import io
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import apsw

from collectors.registry import choose_collectors
from collectors.scheduler.console import ConsoleReport
from collectors.scheduler.scheduler import Scheduler
from store import open_store
from store.schema import PROBES, RUNS
from tests.collectors.builders import config
from tests.faults.integrity import assert_sound
from tests.forked import import_everything

TARGETS = 5
LIVES = 2.0
"""The longest life of a collector, in times that it takes to its first tick: some are killed before it."""
FIRST_TICKS = 5
"""Of so many the fastest counts: a machine that was busy for a moment would make every life long."""
SOUND_EVERY = 25


@dataclass
class Tally:
    """What came of it."""

    kills: int = 0
    ticks_told: int = 0
    ticks_kept: int = 0


def collect(path: Path, base_url: str, told: int) -> None:
    """Tick after tick for ever; each run's moment goes into the pipe once the tick is recorded."""
    settings = config(*({"base_url": base_url} for _ in range(TARGETS)))
    store = open_store(f"sqlite:///{path}")
    loop = Scheduler(settings, store, "here", ConsoleReport(io.StringIO()), choose_collectors(["probe"]))
    while True:
        loop.run_once(everything=True)
        [newest] = store.read(RUNS, columns=("started_at",), newest_first=True, limit=1)
        os.write(told, f"{newest[0]}\n".encode())


def kill_after(path: Path, base_url: str, life_s: float) -> list[int]:
    """Start a collector, kill it after so long, and return the runs that it said were recorded."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            collect(path, base_url, writer)
        finally:
            os._exit(1)
    os.close(writer)
    time.sleep(life_s)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the collector ended by itself"
    with os.fdopen(reader) as said:
        return [int(line) for line in said.read().splitlines(keepends=True) if line.endswith("\n")]


def first_tick_s(path: Path, base_url: str) -> float:
    """How long a collector takes to its first tick here."""
    reader, writer = os.pipe()
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            collect(path, base_url, writer)
        finally:
            os._exit(1)
    os.close(writer)
    os.read(reader, 1)
    took_s = time.monotonic() - began
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reader)
    return took_s


def check(path: Path, told: list[int], tally: Tally) -> None:
    """Everything that was told is there, and no half of a tick."""
    store = open_store(f"sqlite:///{path}", read_only=True)
    rows = dict(store.read(RUNS, columns=("started_at", "rows")))
    probes = store.count(PROBES)
    store.close()
    assert set(told) <= rows.keys(), "a tick that was recorded is gone"
    assert probes == sum(rows.values()), "half a tick"
    tally.ticks_told += len(told)
    tally.ticks_kept = len(rows)


def kill_many(folder: Path, base_url: str, times: int, seed: int = 1) -> Tally:
    """Kill a collector so many times over one store. Raises AssertionError at the first thing that is lost."""
    chance, path, tally = random.Random(seed), folder / "killed.db", Tally()
    open_store(f"sqlite:///{path}").close()
    longest_s = LIVES * min(first_tick_s(path, base_url) for _ in range(FIRST_TICKS))
    for number in range(times):
        told = kill_after(path, base_url, chance.uniform(0.01, longest_s))
        tally.kills += 1
        check(path, told, tally)
        if number % SOUND_EVERY == SOUND_EVERY - 1:
            connection = apsw.Connection(str(path))
            assert connection.execute("PRAGMA integrity_check").get == "ok"
            connection.close()
    assert_sound(path)
    return tally


def main() -> None:
    """With the server in a process of its own, since a process with threads should not be forked."""
    import subprocess

    times = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    import_everything()
    gc.collect()
    gc.freeze()
    with (
        subprocess.Popen([sys.executable, "-m", "tests.fault_server"], stdout=subprocess.PIPE, text=True) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        assert server.stdout is not None
        try:
            began = time.perf_counter()
            tally = kill_many(Path(folder), server.stdout.readline().strip(), times)
        finally:
            server.terminate()
    print(
        f"killed {tally.kills} times in {time.perf_counter() - began:.0f} s: {tally.ticks_told} ticks were told as"
        f" recorded, {tally.ticks_kept} are there, all of those and none by half"
    )


if __name__ == "__main__":
    main()
