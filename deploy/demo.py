"""`make demo`: a generated month in the dashboard, marked as generated on every page, until Ctrl-C."""

from __future__ import annotations

import os
import subprocess  # nosec B404
import sys
import threading
from pathlib import Path

from benchmarks.checks import checks
from benchmarks.history import history
from deploy.run import DASHBOARD_PORT, HOST, ROOT, complaint
from store import open_store
from store.clock import now_ms
from store.schema import Run

DAYS = 30
NOTICE = "Generated data: a demonstration. Nothing on these pages was measured."
FEED_S = 5.0
DATA = ROOT / "data"


def fill(path: Path) -> str:
    """A new store with a generated month that ends now; returns its URL."""
    for old in path.parent.glob(f"{path.name}*"):
        old.unlink()
    url = f"sqlite:///{path}"
    store = open_store(url)
    try:
        now = now_ms()
        count = store.write(history(now, DAYS)) + store.write(checks(now, DAYS))
    finally:
        store.close()
    print(f"{count:,} generated rows in {path}")
    return url


def keep_alive(url: str, stop: threading.Event) -> None:
    """Record a collector's run every few seconds, so that no page says that the collector has stopped."""
    store = open_store(url)
    while not stop.is_set():
        store.write([Run("probe", now_ms() - 2_000, "demo", now_ms() - 1_000, 6)])
        stop.wait(FEED_S)
    store.close()


def main() -> int:
    """Fill the store and run the dashboard over it. Returns the exit code."""
    port = int(os.environ.get("UPTOKEN_PORT") or DASHBOARD_PORT)
    if why := complaint(port, "UPTOKEN_PORT", "the dashboard"):
        print(why.replace("make run", "make demo"), file=sys.stderr)
        return 2
    print(f"Generating {DAYS} days of six targets; this takes about ten seconds.")
    url = fill(DATA / "demo.db")
    stop = threading.Event()
    feeder = threading.Thread(target=keep_alive, args=(url, stop))
    feeder.start()
    environment = os.environ | {"UPTOKEN_STORE": url, "UPTOKEN_NOTICE": NOTICE}
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    print(f"The dashboard: http://{HOST}:{port}")
    try:
        # the command is made here, of this program's own parts
        return subprocess.call([*command, "--server.address", HOST], cwd=ROOT, env=environment)  # nosec B603
    except KeyboardInterrupt:
        return 0
    finally:
        stop.set()
        feeder.join()


if __name__ == "__main__":
    sys.exit(main())
