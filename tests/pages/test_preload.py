"""What is done before the first viewer comes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import gc, sys, app
print(gc.get_freeze_count() > 50_000, "plotly.graph_objs" in sys.modules, "pages.shell.main" in sys.modules)
"""


def test_what_pages_use_is_loaded_and_set_aside_and_no_page_has_run() -> None:
    told = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["True", "True", "False"]
