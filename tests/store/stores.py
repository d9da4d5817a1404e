"""Every store that the contract is run over: a new engine adds its URL here and nothing else."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from store import Store, open_store

HAS_CHDB = importlib.util.find_spec("chdb") is not None and importlib.util.find_spec("clickhouse_connect") is not None
NEEDS_ENGINE = [
    pytest.mark.clickhouse,
    pytest.mark.skipif(
        not HAS_CHDB, reason="ClickHouse's engine is not installed: pip install -r requirements-clickhouse.txt"
    ),
]
STORES = ["sqlite", pytest.param("chdb", marks=NEEDS_ENGINE)]
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where a sync costs nothing; null where there is no such place."""
_engine: list[Store] = []
_home: list[tempfile.TemporaryDirectory[str]] = []


def needs_engine(test: Callable[..., None]) -> Callable[..., None]:
    """A test of ClickHouse's engine alone."""
    for mark in NEEDS_ENGINE:
        test = mark(test)
    return test


def opened(name: str, folder: Path) -> Iterator[Store]:
    """An empty store. ClickHouse's engine holds one folder a process, so all its tests share it, emptied in between."""
    if name == "sqlite":
        store = open_store(f"sqlite:///{folder}/test.db")
        yield store
        store.close()
        return
    if not _engine:
        _home.append(tempfile.TemporaryDirectory(dir=MEMORY))
        _engine.append(open_store(f"chdb://{_home[0].name}/chdb"))
    store = _engine[0]
    yield store
    for table in _tables(store):
        store._database.command(f"TRUNCATE TABLE uptoken.{table}")  # type: ignore[attr-defined]


def _tables(store: Store) -> list[str]:
    """Those that have rows: to empty all of them takes a test of a few rows as long again."""
    sql = "SELECT name FROM system.tables WHERE database = 'uptoken' AND engine LIKE '%MergeTree' AND total_rows > 0"
    return [name for (name,) in store._database.rows(sql)]  # type: ignore[attr-defined]
