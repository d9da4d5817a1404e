"""One version, everywhere."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from collectors.request import USER_AGENT
from settings.version import VERSION

ROOT = Path(__file__).resolve().parents[2]


def test_the_version_is_the_projects() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION


def test_the_command_line_and_probes_say_the_version() -> None:
    said = subprocess.run([sys.executable, "-m", "collectors", "--version"], capture_output=True, text=True, cwd=ROOT)
    assert (said.returncode, said.stdout, said.stderr) == (0, f"uptoken {VERSION}\n", "")
    assert USER_AGENT.startswith(f"uptoken/{VERSION} ")
