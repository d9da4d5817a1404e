"""Forty seconds of `tests.faults.soaking`, which can go on for a day."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.waits


def test_nothing_leaks_and_every_probe_is_accounted_for() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.soaking", "--minutes", "0.7"],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert "slots were due" in done.stdout
