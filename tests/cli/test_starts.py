"""Each command starts as a program of its own, with the imports that it makes itself: other tests fork one that has them.

Not here: `add` (test_add.py), `password` (tests/settings/test_password.py), `relay` (tests/relay/test_process.py).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cli import COMMANDS
from tests.collectors.cli_fixture import CliFixture
from tests.fault_server import GOOD, FaultServer, chunked

STARTS = [
    ("run", "--all", "--only", "probe"),
    ("check",),
    ("change", "a", "--every", "2h"),
    ("pause", "a", "--for", "1h"),
    ("resume", "a"),
    ("exclude", "a", "--from", "2026-01-01", "--to", "2026-01-02"),
    ("rename", "a", "b"),
    ("alerts", "list"),
    ("export", "probes", "--output", "probes.parquet"),
    ("import", "probes", "probes.parquet"),
    ("backup", "copy.db"),
    ("restore", "copy.db"),
    ("repair", "--output", "saved.db"),
    ("rebuild",),
    ("remove-future", "--yes"),
    ("remove", "c", "--yes"),
    ("delete", "b", "--yes"),
]
ELSEWHERE = {"add", "password", "relay"}


@pytest.mark.process
@pytest.mark.timeout(300)
def test_each_command_starts_and_works(tmp_path: Path, subtests: pytest.Subtests) -> None:
    assert {words[0] for words in STARTS} | ELSEWHERE == COMMANDS.keys()
    with FaultServer(chunked(*GOOD)) as server:
        place = CliFixture(tmp_path, server.url)
        with place.config.open("a") as file:
            file.write(f'[[target]]\nname = "c"\nmodel = "m"\nbase_url = "{server.url}"\n')
        for words in STARTS:
            with subtests.test(" ".join(words)):
                done = subprocess.run(
                    [sys.executable, "-m", "collectors", *words],
                    cwd=place.folder,
                    env=place.environment,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=False,
                )
                assert (done.returncode, "Traceback" in done.stderr) == (0, False), done
