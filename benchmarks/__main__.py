"""`make bench`: what is promised in numbers, measured on this machine. `python -m benchmarks NAME` for one of them."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.tools import ROOT, machine

ALL = (
    *("accuracy", "timers", "tick", "alerts", "export", "catalog", "download", "ingest", "many"),
    *("api", "visit", "status_page", "relay", "identity"),
)


def main() -> int:
    """Print the tables as Markdown; 1 when a promise was not kept, 2 for an unknown name."""
    names = sys.argv[1:] or list(ALL)
    if unknown := [name for name in names if name not in ALL]:
        print(f"there is no benchmark {unknown[0]!r}; there are {', '.join(ALL)}", file=sys.stderr)
        return 2
    print(f"Measured on {machine()}.\n", flush=True)
    kept = True
    for name in names:
        # each in a process of its own: what a child has at its start counts as its memory, and this one is small
        done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        kept &= done.returncode == 0 and "NOT KEPT" not in done.stdout
        print(f"### {name}\n\n{done.stdout}", flush=True)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
