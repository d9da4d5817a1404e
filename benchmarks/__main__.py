"""`make bench`: what is promised in numbers, measured on this machine. `python -m benchmarks NAME` for one of them."""

from __future__ import annotations

import sys

from benchmarks import accuracy, export, tick
from benchmarks.tools import machine

ALL = {"accuracy": accuracy.main, "tick": tick.main, "export": export.main}


def main() -> int:
    """Print the tables as Markdown; 1 when a promise was not kept, 2 for an unknown name."""
    names = sys.argv[1:] or list(ALL)
    if unknown := [name for name in names if name not in ALL]:
        print(f"there is no benchmark {unknown[0]!r}; there are {', '.join(ALL)}", file=sys.stderr)
        return 2
    print(f"Measured on {machine()}.\n", flush=True)
    kept = True
    for name in names:
        said = ALL[name]()
        kept &= "NOT KEPT" not in said
        print(f"### {name}\n\n{said}\n", flush=True)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
