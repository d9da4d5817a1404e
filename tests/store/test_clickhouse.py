"""What is ClickHouse's own: its tables on a cluster, its errors, and that it comes to the same as SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store import Selection, Store, StoreError, open_store
from store.clickhouse_schema import Layout
from store.rollups import STEP_MS
from store.rows import INCIDENTS, PROBES, RUNS, Run
from tests.factories import DAY, MINUTE, NOON, probe
from tests.stats.test_rollups import a_week
from tests.store.stores import HAS_CHDB, opened

needs_engine = pytest.mark.skipif(not HAS_CHDB, reason="pip install -r requirements-clickhouse.txt")


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[Store]:
    yield from opened("chdb", tmp_path)


def test_on_a_cluster_every_table_is_replicated_and_sharded() -> None:
    made = list(Layout("fleet", "main", 90).statements())
    assert all("ON CLUSTER 'main'" in statement for statement in made)
    [probes] = [s for s in made if s.startswith("CREATE TABLE IF NOT EXISTS fleet.probes_local")]
    assert "ReplicatedMergeTree('/clickhouse/tables/{shard}/fleet/probes', '{replica}')" in probes
    assert "PARTITION BY toYYYYMM" in probes and "INTERVAL 90 DAY" in probes
    assert probes.endswith("ORDER BY (target, location, profile, started_at)")
    [spread] = [s for s in made if s.startswith("CREATE TABLE IF NOT EXISTS fleet.probes ON")]
    assert "Distributed('main', 'fleet', 'probes_local', cityHash64(target, location, profile))" in spread
    [models] = [s for s in made if "fleet.models_local" in s and "CREATE TABLE" in s and "Distributed" not in s]
    assert "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/fleet/models', '{replica}', version)" in models
    views = [s for s in made if "MATERIALIZED VIEW" in s]
    assert len(views) == len(STEP_MS) and all("FROM fleet.probes_local" in view for view in views)


def test_on_one_server_they_are_plain() -> None:
    made = list(Layout("uptoken").statements())
    assert not any(word in statement for statement in made for word in ("CLUSTER", "Replicated", "Distributed", "TTL"))


def test_a_server_that_is_not_there_is_said_without_the_password() -> None:
    pytest.importorskip("clickhouse_connect")
    with pytest.raises(StoreError) as caught:
        open_store("clickhouse://me:secret@127.0.0.1:9/uptoken")
    assert "could not open the store at clickhouse://me:…@127.0.0.1:9/uptoken" in str(caught.value)
    assert "secret" not in str(caught.value)


@needs_engine
def test_both_engines_come_to_the_same(clickhouse: Store, tmp_path: Path) -> None:
    sqlite = open_store(f"sqlite:///{tmp_path}/same.db")
    probes = a_week()
    for store in (sqlite, clickhouse):
        assert store.write(probes) == len(probes)
    for step in STEP_MS:
        assert list(clickhouse.rollups(step)) == list(sqlite.rollups(step))
    assert list(clickhouse.read(INCIDENTS)) == list(sqlite.read(INCIDENTS))
    assert list(clickhouse.read(PROBES, Selection(failed=True))) == list(sqlite.read(PROBES, Selection(failed=True)))
    assert clickhouse.series() == sqlite.series()
    assert clickhouse.rebuild() == len(probes)
    for step in STEP_MS:
        assert list(clickhouse.rollups(step)) == list(sqlite.rollups(step))
    sqlite.close()


@needs_engine
def test_a_batch_that_is_sent_again_counts_once(clickhouse: Store) -> None:
    batch = [probe(NOON + n * MINUTE) for n in range(100)]
    assert (clickhouse.write(batch), clickhouse.write(batch), clickhouse.write(batch[50:])) == (100, 0, 0)
    assert sum(row[-1] for row in clickhouse.rollups("day", columns=("ok",))) == 100


@needs_engine
def test_an_incident_that_began_before_the_selection_is_not_taken_for_a_new_one(clickhouse: Store) -> None:
    clickhouse.write([probe(NOON - DAY + n * MINUTE, "timeout") for n in range(-5, 5)])
    assert list(clickhouse.read(INCIDENTS, Selection(since=NOON - DAY))) == []
    assert clickhouse.count(INCIDENTS) == 1


@needs_engine
def test_a_store_that_was_opened_for_reading_is_not_written(clickhouse: Store) -> None:
    reader = open_store(clickhouse.url, read_only=True)  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match="opened for reading"):
        reader.write([Run("probe", NOON, "here", NOON, 0)])
    assert reader.count(RUNS) == 0
    reader.close()
