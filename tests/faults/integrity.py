"""Is a store sound? Its file, and what it made of its probes."""

from __future__ import annotations

from pathlib import Path

import apsw

from store import open_store
from store.rollups import STEP_MS
from store.schema import INCIDENTS, PROBES, RUNS, Probe, Run


def probes_of(path: Path) -> list[Probe]:
    store = open_store(f"sqlite:///{path}", read_only=True)
    rows = [Probe(*row) for row in store.read(PROBES)]
    store.close()
    return rows


def runs_of(path: Path) -> list[Run]:
    store = open_store(f"sqlite:///{path}", read_only=True)
    rows = [Run(*row) for row in store.read(RUNS)]
    store.close()
    return rows


def assert_sound(path: Path) -> None:
    """SQLite finds nothing wrong, and roll-ups, incidents and series are those of the probes."""
    connection = apsw.Connection(str(path))
    assert connection.execute("PRAGMA integrity_check").get == "ok"
    series = "SELECT target, location, profile, min(started_at), max(started_at) FROM probes GROUP BY 1, 2, 3"
    kept = "SELECT target, location, profile, first_at, last_at FROM series ORDER BY 1, 2, 3"
    assert connection.execute(series).fetchall() == connection.execute(kept).fetchall()
    connection.close()
    store = open_store(f"sqlite:///{path}")
    before = [list(store.rollups(step)) for step in STEP_MS], list(store.read(INCIDENTS))
    store.rebuild()
    assert ([list(store.rollups(step)) for step in STEP_MS], list(store.read(INCIDENTS))) == before
    store.close()
