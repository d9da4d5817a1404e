"""Export of 1,000,000 probes: time and memory, beside the sqlite3 shell's CSV mode on the same file."""

from __future__ import annotations

import shutil
import sys
import tempfile
from itertools import islice

from benchmarks.history import DAY_MS, history
from benchmarks.tools import Process, median, run, table
from store import open_store
from store.schema import PROBES, Probe

ROWS = 1_000_000
NOW = 1_795_521_600_000
LEAST_SHARE = 0.25


def _export(url: str, form: str, *more: str) -> Process:
    command = [sys.executable, "-m", "collectors", "export", "probes", "--store", url, "--format", form, *more]
    return run([*command, "--output", "/dev/stdout"])


def main() -> str:
    """The table, as Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        path, url = f"{folder}/bench.db", f"sqlite:///{folder}/bench.db"
        store = open_store(url)
        probes = (row for row in history(NOW, 120) if isinstance(row, Probe))
        store.write(islice(probes, ROWS))
        assert store.count(PROBES) == ROWS
        store.close()
        tenth = _export(url, "csv", "--until", str_of(NOW - 108 * DAY_MS))
        ours = {form: _export(url, form) for form in ("csv", "jsonl", "parquet")}
        shell = shutil.which("sqlite3")
        theirs = [run([shell, "-csv", "-header", path, "SELECT * FROM probes"]) for _ in range(3)] if shell else []
    rows = [
        [f"{form}, {ROWS:,} rows", f"{seen.wall_s:.1f} s", f"{ROWS / seen.wall_s:,.0f}", f"{seen.peak_mb:.0f} MB"]
        for form, seen in ours.items()
    ]
    rows.append(["csv, about a tenth of them", f"{tenth.wall_s:.1f} s", "", f"{tenth.peak_mb:.0f} MB"])
    if not theirs:
        return table(("export", "time", "rows a second", "peak memory"), rows) + "\n\nNo sqlite3 shell to compare with."
    shell_s = median([seen.wall_s for seen in theirs])
    rows.append(["the sqlite3 shell, csv", f"{shell_s:.1f} s", f"{ROWS / shell_s:,.0f}", f"{theirs[0].peak_mb:.0f} MB"])
    share = shell_s / ours["csv"].wall_s
    flat = ours["csv"].peak_mb < tenth.peak_mb * 1.1
    said = f"{share:.0%} of the shell's speed (promised: {LEAST_SHARE:.0%}), memory {'flat' if flat else 'NOT FLAT'}"
    kept = share >= LEAST_SHARE and flat
    headings = ("export", "time", "rows a second", "peak memory")
    return f"{table(headings, rows)}\n\nPromised: {'kept' if kept else 'NOT KEPT'}; {said}."


def str_of(moment: int) -> str:
    """A moment as the command line takes it."""
    from store.formats import iso

    return iso(moment)


if __name__ == "__main__":
    print(main())
