"""A collector that is killed loses nothing that it said it had."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.timeout(300)


def test_two_hundred_kills_lose_no_tick_and_leave_no_half_of_one() -> None:
    """In a process of its own: this one has threads, and is not to be forked. A thousand: see `tests.faults.killing`."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.killing", "200"], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    told = re.search(r"(\d+) ticks were told as recorded", done.stdout)
    assert told is not None and int(told[1]) > 40, "the kills fell before the first tick"
