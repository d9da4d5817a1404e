"""A soak: `python -m tests.faults.soaking --minutes 24` is a day of 100 targets at one probe a minute, an hour in each.

Each minute of the day takes a second. The targets fail at random in every way that the tests know, the store is held by
somebody else now and then, and at the end memory, threads and open files have to be what they were, and every probe
that was due a row or counted.
"""

from __future__ import annotations

import argparse
import io
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

import apsw

from collectors.registry import choose_collectors
from collectors.scheduler.console import ConsoleReport
from collectors.scheduler.schedule import schedule_of
from collectors.scheduler.scheduler import Scheduler
from settings.targets import parse
from store import open_store
from store.schema import PROBES, RUNS
from tests.fault_server import GOOD, FaultServer, Script, answer, chunk, chunked, event, raw, reset
from tests.faults.integrity import assert_sound

TARGETS, EVERY_S, TIMEOUT_S = 100, 1.0, 0.6
SAMPLE_S = 2.0
GROWTH = 1.10


def faults(chance: random.Random) -> Script:
    """Nine of ten answers are good; the others are everything else."""
    scripts: list[Script] = [
        answer(500, {"error": {"message": "overloaded"}}),
        answer(429, {"error": {"message": "slow down"}}),
        answer(401, {"error": {"message": "no key"}}),
        chunked(event({"error": {"message": "broke"}})),
        chunked(chunk("4"), end=False),
        chunked(chunk(finish="stop")),
        reset(b"HTTP/1.1 200 OK\r\n"),
        raw(b"no HTTP at all\r\n\r\n"),
        chunked(chunk("4"), 2.0, chunk("2")),
        raw(2.0),
        chunked(b"data: " + b"x" * 300_000 + b"\n\n"),
    ]
    good = chunked(*GOOD)

    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        (good if chance.random() < 0.9 else chance.choice(scripts))(connection, request)

    return script


def _mine() -> tuple[float, int, int]:
    """This process's memory in MB, its threads and its open files."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return int(status["VmRSS"].split()[0]) / 1_024, int(status["Threads"]), len(list(Path("/proc/self/fd").iterdir()))


def hold_now_and_then(path: Path, chance: random.Random, over: threading.Event) -> None:
    """Somebody else who writes for up to a second."""
    while not over.wait(chance.uniform(5, 15)):
        connection = apsw.Connection(str(path))
        connection.set_busy_timeout(5_000)
        connection.execute("BEGIN IMMEDIATE")
        over.wait(chance.uniform(0.1, 1.0))
        connection.execute("COMMIT")
        connection.close()


def soak(url: str, folder: Path, seconds: float) -> str:
    """Returns what was measured. Raises AssertionError for what leaks or is missing."""
    lines = [
        f'[collector]\nevery = "{EVERY_S:g}s"\ntimeout = "{TIMEOUT_S}s"\nconfirm_after = "100ms"\nthroughput_every = "off"'
    ]
    lines += [f'[[target]]\nname = "t{n:03d}"\nmodel = "m"\nbase_url = "{url}"' for n in range(TARGETS)]
    path, over = folder / "soak.db", threading.Event()
    store = open_store(f"sqlite:///{path}")
    loop = Scheduler(
        parse("\n".join(lines), Path("targets.toml"), {}),
        store,
        "here",
        ConsoleReport(io.StringIO()),
        choose_collectors(["probe"]),
    )
    runner = threading.Thread(target=loop.run_every, args=(1.0,))
    holder = threading.Thread(target=hold_now_and_then, args=(path, random.Random(2), over))
    began = time.monotonic()
    runner.start()
    holder.start()
    samples = []
    while time.monotonic() - began < seconds:
        time.sleep(SAMPLE_S)
        samples.append(_mine())
    loop.stop.set()
    over.set()
    runner.join()
    holder.join()
    loop.close()
    told = _judged(samples)
    rows = list(store.read(PROBES, columns=("target", "started_at", "stands_for_s")))
    skipped = sum(count for (count,) in store.read(RUNS, columns=("skipped",)))
    store.close()
    told += _accounted(rows, skipped)
    assert_sound(path)
    return told


def _judged(samples: list[tuple[float, int, int]]) -> str:
    """The middle of the last third beside that of the third before: what leaks moves it, a burst of connections does
    not.
    """
    third = len(samples) // 3
    parts = samples[third : 2 * third], samples[2 * third :]
    said = []
    for place, what in enumerate(("MB of memory", "threads", "open files")):
        before, after = (median(sample[place] for sample in part) for part in parts)
        assert after <= GROWTH * before, f"{what} grew from {before:.0f} to {after:.0f}"
        said.append(f"{before:.0f} -> {after:.0f} {what}")
    return ", ".join(said) + "; "


def _accounted(rows: list[tuple[str, int, float]], skipped: int) -> str:
    """Of every slot of every target between its first and its last probe, one decided it, or it was counted as
    skipped.
    """
    due = decided = 0
    for name, group in groupby(sorted(rows), key=lambda row: row[0]):
        mine = list(group)
        schedule = schedule_of(name, "ping", EVERY_S)
        slots = [round(stands_for_s / EVERY_S) for _, _, stands_for_s in mine]
        due += schedule.slot_at(mine[-1][1]) - schedule.slot_at(mine[0][1]) + max(1, slots[-1])
        decided += sum(slots)
    # a start that was late into the next slot moves an end of a target's time by one
    assert due - decided <= skipped + TARGETS, f"{due - decided} are undecided, and {skipped} were counted as skipped"
    assert decided <= due + TARGETS, f"{decided} of {due} slots were decided"
    return f"{due:,} slots were due, {decided:,} were decided, {skipped:,} were skipped and counted"


def main() -> None:
    """The server is in a process of its own, so that its memory is not the collector's."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=24)
    parser.add_argument("--serve", action="store_true", help="be the server")
    arguments = parser.parse_args()
    if arguments.serve:
        with FaultServer(faults(random.Random(1))) as server:
            print(server.url, flush=True)
            threading.Event().wait()
    command = [sys.executable, "-m", "tests.faults.soaking", "--serve"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server_process,
        tempfile.TemporaryDirectory() as folder,
    ):
        assert server_process.stdout is not None
        try:
            print(soak(server_process.stdout.readline().strip(), Path(folder), arguments.minutes * 60))
        finally:
            server_process.terminate()


if __name__ == "__main__":
    main()
