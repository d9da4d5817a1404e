"""2,000 targets of which a fifth hang: how late the others start, and what became of every probe that was due.

A target that hangs takes a connection and never answers. The lateness of a probe is what its start is behind its
target's own moment.
"""

from __future__ import annotations

import io
import socket
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.tools import endpoint, percentile, table
from collectors.registry import choose_collectors
from collectors.scheduler.console import ConsoleReport
from collectors.scheduler.schedule import schedule_of
from collectors.scheduler.scheduler import Scheduler
from settings.targets import parse
from store import open_store
from store.schema import PROBES, RUNS

TARGETS, HANGING = 2_000, 400
EVERY_S, TIMEOUT_S, SECONDS = 20.0, 15.0, 75.0
MOST_LATE_MS = 1_000.0


def configuration(good_url: str, bad_url: str) -> str:
    """Four of five targets answer."""
    lines = [f'[collector]\nevery = "{EVERY_S:g}s"\ntimeout = "{TIMEOUT_S:g}s"\nthroughput_every = "off"']
    for number in range(TARGETS):
        kind, url = ("bad", bad_url) if number % (TARGETS // HANGING) == 0 else ("good", good_url)
        lines.append(f'[[target]]\nname = "{kind} {number:04d}"\nmodel = "first_ms=100,tokens=4"\nbase_url = "{url}"')
    return "\n".join(lines)


def main() -> str:
    """The table, as Markdown."""
    hanging = socket.create_server(("127.0.0.1", 0), backlog=4_096)  # nobody takes what is put through to it
    bad_url = f"http://127.0.0.1:{hanging.getsockname()[1]}/v1"
    with endpoint() as good_url, tempfile.TemporaryDirectory() as folder:
        settings = parse(configuration(good_url, bad_url), Path("targets.toml"), {})
        store = open_store(f"sqlite:///{folder}/many.db")
        loop = Scheduler(settings, store, "here", ConsoleReport(io.StringIO()), choose_collectors(["probe"]))
        thread = threading.Thread(target=loop.run_every, args=(1.0,))
        began = time.time_ns() // 1_000_000
        thread.start()
        time.sleep(SECONDS)
        ended = time.time_ns() // 1_000_000
        loop.stop.set()
        thread.join()
        loop.close()
        rows = list(store.read(PROBES, columns=("target", "started_at", "outcome")))
        skipped = sum(count for (count,) in store.read(RUNS, columns=("skipped",)))
        store.close()
    hanging.close()
    # at the start all are due at once; from the second interval on each has its own moment
    since, until = began + round(EVERY_S * 1_500), ended - round(TIMEOUT_S * 1_000) - 2_000
    late = [
        (at - schedule_of(name, "ping", EVERY_S).phase_ms) % (EVERY_S * 1_000)
        for name, at, _ in rows
        if name.startswith("good") and since <= at < until
    ]
    wrong = sum(outcome != "ok" for name, _, outcome in rows if name.startswith("good"))
    slots = round((until - since) / (EVERY_S * 1_000) * TARGETS)
    seen = sum(since <= at < until for _, at, _ in rows)
    p99 = percentile(late, 0.99)
    lines = [
        ["starts behind the target's moment, p50", f"{percentile(late, 0.5):.0f} ms", "", ""],
        ["the same, p99", f"{p99:.0f} ms", f"{MOST_LATE_MS:.0f} ms", "" if p99 <= MOST_LATE_MS else "NOT KEPT"],
        [
            f"probes of {TARGETS - HANGING:,} targets that answer, not ok",
            str(wrong),
            "0",
            "" if not wrong else "NOT KEPT",
        ],
        [
            "probes that were due, rows of them, left out and counted in all",
            f"{slots:,}, {seen:,}, {skipped:,}",
            "none missing",
            "" if seen + skipped >= slots * 0.995 else "NOT KEPT",
        ],
    ]
    told = f"{TARGETS:,} targets each {EVERY_S:g} s for {SECONDS:g} s; {HANGING} hang, for {TIMEOUT_S:g} s each."
    return f"{told}\n\n{table(('', 'measured', 'promised, at most', ''), lines)}"


if __name__ == "__main__":
    print(main())
