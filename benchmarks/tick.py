"""One tick over 100 targets that answer in 250 ms, and the start of a run that has nothing to do: whole processes."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.tools import Process, endpoint, median, run, table
from store import open_store
from store.schema import PROBES, RUNS

TARGETS = 100
MOST_OVER_S, MOST_MB, MOST_START_S = 0.5, 100, 0.5


def _configure(path: Path, base_url: str, every: str) -> None:
    lines = [f'[collector]\nevery = "{every}"\nthroughput_every = "off"\n']
    lines += [
        f'[[target]]\nname = "t{n}"\nmodel = "first_ms=236,tokens=8,step_ms=2"\nbase_url = "{base_url}"\n'
        for n in range(TARGETS)
    ]
    path.write_text("\n".join(lines))


def _collect(config: Path, url: str, *more: str) -> Process:
    return run(
        [sys.executable, "-m", "collectors", "run", "--only", "probe", "--config", str(config), "--store", url, *more]
    )


def main() -> str:
    """The table, as Markdown."""
    with tempfile.TemporaryDirectory() as folder, endpoint() as base_url:
        config, url = Path(folder) / "targets.toml", f"sqlite:///{folder}/bench.db"
        _configure(config, base_url, "1h")
        ticks = [_collect(config, url, "--all") for _ in range(5)]
        idle = [_collect(config, url) for _ in range(9)]
        store = open_store(url, read_only=True)
        outcomes = {outcome for (outcome,) in store.read(PROBES, columns=("outcome",))}
        slowest_s = max(total for (total,) in store.read(PROBES, columns=("total_ms",))) / 1e3
        spans = [(b - a) / 1e3 for a, b in store.read(RUNS, columns=("started_at", "ended_at"))]
        count = store.count(PROBES)
        store.close()
    assert outcomes == {"ok"} and count == TARGETS * len(ticks), (outcomes, count)
    tick_s, whole_s = median(spans), median([tick.wall_s for tick in ticks])
    memory, start_s = max(tick.peak_mb for tick in ticks), median([process.wall_s for process in idle])
    kept = tick_s <= slowest_s + MOST_OVER_S and memory < MOST_MB and start_s < MOST_START_S
    rows = [
        [f"one tick over {TARGETS} targets", f"{tick_s:.2f} s", f"slowest answer {slowest_s:.2f} s + {MOST_OVER_S} s"],
        ["the same, from the start of the process to its end", f"{whole_s:.2f} s", ""],
        ["its memory, peak", f"{memory:.0f} MB", f"{MOST_MB} MB"],
        ["its CPU", f"{median([tick.cpu_s for tick in ticks]):.2f} s", ""],
        ["`python -m collectors run` with nothing due", f"{start_s:.2f} s", f"{MOST_START_S} s"],
    ]
    return f"{table(('', 'measured', 'promised, at most'), rows)}\n\nPromised: {'kept' if kept else 'NOT KEPT'}."


if __name__ == "__main__":
    print(main())
