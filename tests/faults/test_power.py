"""A power cut at any moment: the store is sound, and what was told as recorded is there."""

from __future__ import annotations

import random
from pathlib import Path

import apsw
import pytest

from store import StoreError, open_store
from store.schema import PROBES, RUNS, Run
from tests.factories import MINUTE, NOON, probe
from tests.faults.integrity import assert_sound
from tests.faults.recording import Tape, recording

TICKS, TARGETS, POINTS, FLIPS = 60, "abcd", 500, 100


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Tape:
    """An hour of ticks, each in one transaction, with checkpoints among them."""
    path = tmp_path_factory.mktemp("tape") / "store.db"
    with recording(wal_pages=60) as tape:
        store = open_store(f"sqlite:///{path}")
        for tick in range(TICKS):
            at = NOON + tick * MINUTE
            outcome = "timeout" if tick % 9 in (3, 4) else "ok"
            store.write([*(probe(at, outcome, target=name) for name in TARGETS), Run("probe", at, "here", at, 4)])
            tape.told(tick)
        store.close()
    return tape


def left_by(disk: dict[str, bytes], folder: Path) -> Path:
    folder.mkdir()
    for name, content in disk.items():
        if not name.endswith("-shm"):
            (folder / name).write_bytes(content)
    return folder / "store.db"


def ticks_in(path: Path) -> set[int]:
    """Which ticks are there. Raises AssertionError for a half one."""
    store = open_store(f"sqlite:///{path}")
    moments = [at for (at,) in store.read(PROBES, columns=("started_at",))]
    runs = {at for (at,) in store.read(RUNS, columns=("started_at",))}
    store.close()
    assert sorted(moments) == sorted(at for at in runs for _ in TARGETS), "half a tick"
    return {(at - NOON) // MINUTE for at in runs}


def test_at_five_hundred_moments_nothing_that_was_told_is_lost(tape: Tape, tmp_path: Path) -> None:
    chance = random.Random(7)
    assert sum(event.kind == "sync" for event in tape.events) > TICKS
    first_told = next(n for n, event in enumerate(tape.events) if event.kind == "told")
    for number in range(POINTS):
        until = chance.randrange(first_told, len(tape.events))
        path = left_by(tape.disk_after(until, chance), tmp_path / str(number))
        assert tape.ticks_told(until) <= ticks_in(path)
        connection = apsw.Connection(str(path))
        assert connection.execute("PRAGMA integrity_check").get == "ok"
        connection.close()
        if number % 50 == 0:
            assert_sound(path)


def test_a_cut_while_the_store_is_made_leaves_none_or_an_empty_one(tape: Tape, tmp_path: Path) -> None:
    chance = random.Random(8)
    first_told = next(n for n, event in enumerate(tape.events) if event.kind == "told")
    for number in range(100):
        path = left_by(tape.disk_after(chance.randrange(1, first_told), chance), tmp_path / str(number))
        assert ticks_in(path) <= {0}


def test_flipped_bits_and_a_torn_tail_of_the_wal_are_survived_or_refused_aloud(tape: Tape, tmp_path: Path) -> None:
    chance = random.Random(9)
    survived = 0
    for number in range(FLIPS):
        disk = tape.disk_after(chance.randrange(len(tape.events) // 2, len(tape.events)), chance)
        wal = bytearray(disk["store.db-wal"])
        if len(wal) < 5_000:
            continue
        if number % 2:
            del wal[chance.randrange(32, len(wal)) :]
        else:
            wal[chance.randrange(32, len(wal))] ^= 1 << chance.randrange(8)
        path = left_by(disk | {"store.db-wal": bytes(wal)}, tmp_path / str(number))
        try:
            ticks_in(path)
        except StoreError as problem:
            assert "damaged" in str(problem)
            continue
        survived += 1
        connection = apsw.Connection(str(path))
        assert connection.execute("PRAGMA integrity_check").get == "ok"
        connection.close()
    assert survived > FLIPS // 2


def test_without_its_syncs_the_same_tape_loses_ticks(tape: Tape, tmp_path: Path) -> None:
    """Else the tests above would show nothing."""
    chance = random.Random(10)
    unsynced = Tape([event for event in tape.events if event.kind != "sync" or event.file != "store.db-wal"])
    lost = 0
    for number in range(20):
        until = chance.randrange(len(unsynced.events) // 2, len(unsynced.events))
        path = left_by(unsynced.disk_after(until, chance), tmp_path / str(number))
        try:
            lost += not unsynced.ticks_told(until) <= ticks_in(path)
        except (StoreError, AssertionError):
            lost += 1
    assert lost
