"""The dashboard, with a line in a file for each run of its script: `whole` or `part`, and the seconds of the server.

    python -m benchmarks.served FILE run app.py --server.port 8501

A browser's own clock would count what it is busy drawing meanwhile, too.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Streamlit's command line, with every run of a script timed."""
    from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
    from streamlit.web.cli import main as streamlit

    path, sys.argv = Path(sys.argv[1]), ["streamlit", *sys.argv[2:]]
    original = ScriptRunner._run_script

    def timed(runner: ScriptRunner, rerun: Any) -> None:
        began = time.perf_counter()
        try:
            original(runner, rerun)
        finally:
            kind = "part" if rerun.fragment_id or rerun.fragment_id_queue else "whole"
            with path.open("a") as log:
                log.write(f"{kind} {time.perf_counter() - began:.4f}\n")

    ScriptRunner._run_script = timed  # type: ignore[method-assign]
    streamlit(prog_name="streamlit")


def seconds(path: Path, *kinds: str) -> list[float]:
    """What was noted so far, of these kinds or of all."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [float(line.split()[1]) for line in lines if not kinds or line.split()[0] in kinds]


if __name__ == "__main__":
    main()
