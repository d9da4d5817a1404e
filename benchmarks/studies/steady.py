"""500 targets at 5 s for ten minutes, a real loop process: is every slot decided or counted, and what does it take?

python -m benchmarks.studies.steady --minutes 10
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from itertools import groupby
from pathlib import Path

from benchmarks.tools import ROOT, endpoint, percentile, table
from collectors.scheduler.schedule import schedule_of
from store import open_store
from store.schema import PROBES, RUNS

TARGETS, EVERY_S, SAMPLE_S = 500, 5.0, 5.0
TICK = os.sysconf("SC_CLK_TCK")
Row = tuple[str, int, float, str]


def _status(pid: int) -> dict[str, int]:
    """Memory in kB and threads."""
    text = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in text.splitlines())
    return {name: int(fields[name].split()[0]) for name in ("VmRSS", "VmHWM", "Threads")}


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def _undecided(rows: list[Row]) -> tuple[int, int]:
    """How many slots lie between each target's third probe (before, it makes up for where it began) and its last, and
    how many of them no probe decides.
    """
    due = undecided = 0
    for name, group in groupby(sorted(rows), key=lambda row: row[0]):
        mine = list(group)[2:]
        schedule = schedule_of(name, "ping", EVERY_S)
        due += schedule.slot_at(mine[-1][1]) - schedule.slot_at(mine[0][1])
        undecided += schedule.slot_at(mine[-1][1]) - schedule.slot_at(mine[0][1])
        undecided -= sum(round(stands_for_s / EVERY_S) for _, _, stands_for_s, _ in mine[:-1])
    return due, undecided


def measure(minutes: float) -> str:
    """The table, as Markdown."""
    with endpoint() as url, tempfile.TemporaryDirectory() as folder:
        lines = [f'[collector]\nevery = "{EVERY_S:g}s"\nthroughput_every = "off"']
        lines += [
            f'[[target]]\nname = "t{n:03d}"\nmodel = "first_ms=100,tokens=4"\nbase_url = "{url}"'
            for n in range(TARGETS)
        ]
        (Path(folder) / "targets.toml").write_text("\n".join(lines))
        store_url = f"sqlite:///{folder}/steady.db"
        process = subprocess.Popen(
            [sys.executable, "-m", "collectors", "run", "--every", f"{EVERY_S:g}"],
            cwd=folder,
            env=os.environ
            | {"PYTHONPATH": str(ROOT), "UPTOKEN_STORE": store_url, "UPTOKEN_CONFIG": f"{folder}/targets.toml"},
            stdout=subprocess.DEVNULL,
        )
        time.sleep(2 * EVERY_S)  # imports, and all targets at once
        began, cpu_s, samples = time.monotonic(), _cpu_s(process.pid), []
        while time.monotonic() - began < minutes * 60:
            time.sleep(SAMPLE_S)
            samples.append(_status(process.pid))
        share = (_cpu_s(process.pid) - cpu_s) / (time.monotonic() - began)
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        store = open_store(store_url, read_only=True)
        rows: list[Row] = list(store.read(PROBES, columns=("target", "started_at", "stands_for_s", "outcome")))  # type: ignore[arg-type]
        skipped = sum(count for (count,) in store.read(RUNS, columns=("skipped",)))
        store.close()
    since = min(at for _, at, _, _ in rows) + round(3 * EVERY_S * 1_000)
    late = [
        (at - schedule_of(name, "ping", EVERY_S).phase_ms) % (EVERY_S * 1_000) for name, at, _, _ in rows if at >= since
    ]
    due, undecided = _undecided(rows)
    wrong = sum(outcome != "ok" for _, _, _, outcome in rows)
    p99 = percentile(late, 0.99)
    result = [
        ["slots due", f"{due:,}", "", ""],
        ["undecided", f"{undecided:,}", "0", "" if undecided == 0 else "NOT KEPT"],
        ["skipped and counted, of all runs", f"{skipped:,}", "", ""],
        ["probes that were not ok", f"{wrong:,}", "0", "" if not wrong else "NOT KEPT"],
        ["starts behind the target's moment, p50", f"{percentile(late, 0.5):.0f} ms", "", ""],
        ["the same, p99", f"{p99:.0f} ms", "1,000 ms", "" if p99 <= 1_000 else "NOT KEPT"],
        ["of a core", f"{share:.0%}", "", ""],
        ["memory, at most", f"{max(s['VmHWM'] for s in samples) / 1e3:.0f} MB", "", ""],
        ["memory, in the middle and at the end", _middle_and_end(samples), "", ""],
        ["threads, at most", str(max(s["Threads"] for s in samples)), "", ""],
    ]
    head = f"{TARGETS} targets each {EVERY_S:g} s for {minutes:g} minutes, `run --every {EVERY_S:g}`."
    return f"{head}\n\n{table(('', 'measured', 'promised, at most', ''), result)}"


def _middle_and_end(samples: list[dict[str, int]]) -> str:
    return " and ".join(f"{samples[place]['VmRSS'] / 1e3:.0f} MB" for place in (len(samples) // 2, -1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    print(measure(parser.parse_args().minutes))
