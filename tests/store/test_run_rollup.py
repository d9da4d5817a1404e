"""Old runs are merged by hour, and the file becomes smaller when rows have gone."""

from __future__ import annotations

from pathlib import Path

import apsw

from store import open_store
from store.schema import PROBES, RUNS, Run
from store.sqlite import FREE_PAGES, SqliteStore
from tests.factories import DAY, HOUR, MINUTE, NOON, probe


def opened(path: Path) -> SqliteStore:
    store = open_store(f"sqlite:///{path}")
    assert isinstance(store, SqliteStore)
    return store


def run(at: int, rows: int = 1, skipped: int = 0, error: str | None = None, **more: str) -> Run:
    return Run(more.get("collector", "probe"), at, more.get("location", "here"), at + 1_000, rows, skipped, error)


def runs_of(store: SqliteStore) -> list[Run]:
    return [Run(*row) for row in store.read(RUNS)]


def test_the_runs_of_an_hour_become_one_row_of_those_that_went_well_and_one_of_those_that_did_not(
    tmp_path: Path,
) -> None:
    store = opened(tmp_path / "u.db")
    store.write(
        [
            run(NOON, rows=3, skipped=1),
            run(NOON + 20 * MINUTE, rows=4),
            Run("probe", NOON + 30 * MINUTE, "here", NOON + 30 * MINUTE + 4_000, 5, 2),
            run(NOON + 5 * MINUTE, rows=0, error="first"),
            run(NOON + 55 * MINUTE, rows=0, error="last"),
            run(NOON, location="there"),
            run(NOON, collector="catalog"),
            run(NOON + HOUR),
        ]
    )
    assert store.compact(NOON + HOUR + 30 * MINUTE) == 3
    assert store.compact(NOON + HOUR + 30 * MINUTE) == 0
    assert runs_of(store) == [
        run(NOON, collector="catalog"),
        Run("probe", NOON, "here", NOON + 2_000, 12, 3, None, 3),  # 1, 1 and 4 s: 2 s on average
        run(NOON, location="there"),
        Run("probe", NOON + 5 * MINUTE, "here", NOON + 5 * MINUTE + 1_000, 0, 0, "last", 2),
        run(NOON + HOUR),
    ]
    store.close()


def test_runs_that_are_merged_and_come_again_with_an_old_export_are_not_counted_twice(tmp_path: Path) -> None:
    store = opened(tmp_path / "u.db")
    old = [run(NOON + n * MINUTE, error="no" if n == 7 else None) for n in range(10)]
    store.write(old)
    store.compact(NOON + HOUR)
    merged = runs_of(store)
    assert [row.count for row in merged] == [9, 1]
    assert store.write(old, on_conflict="ignore") == 0
    assert runs_of(store) == merged
    again = opened(tmp_path / "again.db")
    assert again.write(merged, on_conflict="ignore") == 2
    assert runs_of(again) == merged
    # a run of that hour that ended late is new, whatever was merged
    assert store.write([run(NOON + 30 * MINUTE)]) == 1
    store.compact(NOON + HOUR)
    assert [row.count for row in runs_of(store)] == [10, 1]
    store.close()
    again.close()


def test_ticks_every_5_seconds_become_24_rows_a_day(tmp_path: Path) -> None:
    store, days = opened(tmp_path / "u.db"), 3
    store.write(run(NOON + n * 5_000) for n in range(days * 17_280))
    while store.compact(NOON + days * DAY):
        pass
    assert store.count(RUNS) == days * 24
    assert sum(row.count for row in runs_of(store)) == days * 17_280
    store.close()


def test_free_pages_go_back_to_the_disk_in_steps(tmp_path: Path) -> None:
    path = tmp_path / "u.db"
    store = opened(path)
    store.write(probe(NOON - 40 * DAY + n * MINUTE, error="e" * 300) for n in range(30_000))
    _checkpoint(store)
    full = path.stat().st_size
    while store.prune(NOON):
        pass
    steps = 0
    while store.compact(NOON):
        steps += 1
    _checkpoint(store)
    assert steps > 3
    assert path.stat().st_size < full / 2
    connection = apsw.Connection(str(path))
    assert connection.execute("PRAGMA freelist_count").get == FREE_PAGES
    assert connection.execute("PRAGMA integrity_check").get == "ok"
    assert store.count(PROBES) == 1
    connection.close()
    store.close()


def _checkpoint(store: SqliteStore) -> None:
    with store._connection() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
