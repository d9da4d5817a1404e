"""Copies while a store is written, putting them back, and what can be saved of a damaged file."""

from __future__ import annotations

import functools
import random
import tempfile
import threading
from collections import defaultdict
from pathlib import Path

import apsw
import pytest

from store import Store, StoreError, open_store
from store.backup import back_up, check, restore
from store.repair import salvage
from store.schema import INCIDENTS, PROBES, TABLES, Probe
from tests.factories import DAY, HOUR, MINUTE, NOON, model, probe, target
from tests.faults.integrity import assert_sound, probes_of
from tests.store.test_every_table import rows_of

PAGE = 4_096


def filled(path: Path, days: int = 6) -> Store:
    store = open_store(f"sqlite:///{path}")
    store.write([target(name) for name in "abc"])
    store.write([model(NOON, description="A model. " * 30)])
    chance = random.Random(1)
    store.write(
        probe(NOON - n * 5 * MINUTE, "ok" if chance.random() < 0.95 else "timeout", target=name)
        for name in "abc"
        for n in range(days * 288)
    )
    return store


def closed(path: Path, days: int = 6) -> Path:
    """As `filled`, and closed: made once, and copied."""
    path.write_bytes(_content(days))
    return path


@functools.cache
def _content(days: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        filled(path := Path(folder) / "filled.db", days).close()
        return path.read_bytes()


# -- backup and restore


def test_a_copy_that_is_made_under_load_is_sound_and_of_one_moment(tmp_path: Path) -> None:
    source, over = tmp_path / "busy.db", threading.Event()
    store = filled(source)
    written = []

    def write() -> None:
        while not over.is_set():
            at = NOON + (len(written) + 1) * MINUTE
            store.write([probe(at, target=name) for name in "abc"])
            written.append(at)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            least, copy = len(written), tmp_path / f"copy{number}.db"
            back_up(source, copy)
            most = len(written) + 1
            found = probes_of(copy)
            ticks = [sum(p.started_at > NOON for p in found if p.target == name) for name in "abc"]
            assert len(set(ticks)) == 1, "half a tick"
            assert least <= ticks[0] <= most
            assert_sound(copy)
            assert copy.stat().st_mode & 0o777 == 0o600
    finally:
        over.set()
        writer.join()
        store.close()


def test_a_copy_does_not_overwrite_a_file(tmp_path: Path) -> None:
    source = closed(tmp_path / "a.db", 1)
    with pytest.raises(StoreError, match="already exists"):
        back_up(source, source)
    with pytest.raises(StoreError, match=r"no store at .*missing.db"):
        back_up(tmp_path / "missing.db", tmp_path / "b.db")
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".db") == ["a.db"]


def test_what_is_restored_is_the_copy_and_what_was_there_is_kept(tmp_path: Path) -> None:
    path, copy = tmp_path / "a.db", tmp_path / "copy.db"
    store = filled(path, 1)
    before = probes_of(path)
    back_up(path, copy)
    store.write([probe(NOON + MINUTE)])
    store.close()
    aside = restore(copy, path)
    assert aside is not None
    assert probes_of(path) == before
    assert len(probes_of(aside)) == len(before) + 1
    restore(aside, path)  # and back
    assert len(probes_of(path)) == len(before) + 1
    assert_sound(path)


def test_a_store_that_is_open_goes_on_with_what_was_restored(tmp_path: Path) -> None:
    path, copy = tmp_path / "a.db", tmp_path / "copy.db"
    store = filled(path, 1)
    count = store.count(PROBES)
    back_up(path, copy)
    store.write([probe(NOON + MINUTE)])
    restore(copy, path)
    store.write([probe(NOON + 2 * MINUTE)])
    assert store.count(PROBES) == count + 1
    store.close()
    assert_sound(path)


def test_a_damaged_or_foreign_copy_is_not_put_in_the_place_of_a_store(tmp_path: Path) -> None:
    path, copy = closed(tmp_path / "a.db", 1), closed(tmp_path / "copy.db", 2)
    damage(copy, random.Random(1), 6)
    foreign = tmp_path / "foreign.db"
    apsw.Connection(str(foreign)).execute("CREATE TABLE a (b)")
    before = path.read_bytes()
    for wrong in (copy, foreign, tmp_path / "missing.db"):
        with pytest.raises(StoreError):
            restore(wrong, path)
    assert path.read_bytes() == before


# -- repair


def damage(path: Path, chance: random.Random, pages: int) -> None:
    """Random bytes over some pages, the first one spared."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        for _ in range(pages):
            file.seek(chance.randrange(1, size // PAGE) * PAGE + chance.randrange(PAGE // 2))
            file.write(chance.randbytes(PAGE // 2))


@pytest.mark.parametrize("seed", range(12))
def test_what_can_be_read_of_a_damaged_file_is_saved_and_the_file_is_not_changed(tmp_path: Path, seed: int) -> None:
    path, repaired = closed(tmp_path / "a.db"), tmp_path / "repaired.db"
    original = probes_of(path)
    damage(path, random.Random(seed), 4)
    before = path.read_bytes()
    found = salvage(path, repaired)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob(".*repair*"))
    saved = probes_of(repaired)
    assert set(saved) <= set(original)
    # an inner page of a tree that is small stands for half of a target's rows
    assert found.rows["probes"] == len(saved) > 0.45 * len(original)
    assert set(saved) >= _of_whole_days(path, original)
    assert_sound(repaired)


def _of_whole_days(path: Path, original: list[Probe]) -> set[Probe]:
    """The probes of each target's days that have no row which cannot be read alone, by its key."""
    damaged = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    days, broken = defaultdict[tuple[str, int], set[Probe]](set), set()
    for row in original:
        day = (row.target, row.started_at // DAY)
        days[day].add(row)
        try:
            read = damaged.execute(
                "SELECT * FROM probes WHERE target = ? AND started_at = ?", (row.target, row.started_at)
            ).get
        except apsw.Error:
            read = None
        if read is None:
            broken.add(day)
    damaged.close()
    return set().union(*(rows for day, rows in days.items() if day not in broken))


def test_a_file_that_was_cut_gives_its_beginning(tmp_path: Path) -> None:
    path, repaired = closed(tmp_path / "a.db"), tmp_path / "repaired.db"
    original = set(probes_of(path))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 2 // 3)
    with pytest.raises(StoreError, match="repair"):
        check(path)
    salvage(path, repaired)
    saved = probes_of(repaired)
    assert set(saved) <= original
    assert len(saved) > len(original) // 10
    assert_sound(repaired)


def test_a_sound_store_is_saved_whole_also_what_is_not_checkpointed_and_what_is_rolled_up_alone(tmp_path: Path) -> None:
    path, repaired = tmp_path / "a.db", tmp_path / "repaired.db"
    store = filled(path)
    while store.prune(NOON - 3 * DAY):
        pass
    store.write([probe(NOON + HOUR)])
    for table in TABLES.values():
        if not table.is_derived and table is not PROBES:
            store.write(rows_of(table))
    found = salvage(path, repaired)
    assert not found.holes and not found.dropped
    again = open_store(f"sqlite:///{repaired}")
    for table in TABLES.values():
        if table is not INCIDENTS:
            assert list(again.read(table)) == list(store.read(table)), table.name
    for step in ("hour", "day", "block"):
        assert list(again.rollups(step)) == list(store.rollups(step))  # type: ignore[arg-type]
    assert [s.first_at for s in again.series()] == [s.first_at for s in store.series()]
    assert again.write([probe(NOON - 4 * DAY, target="a", location="here")]) == 0  # what was forgotten stays so
    again.close()
    store.close()


def test_what_is_no_store_gives_nothing(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.db"
    wrong.write_bytes(random.Random(1).randbytes(50_000))
    with pytest.raises(StoreError, match="nothing can be read"):
        salvage(wrong, tmp_path / "new.db")
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.db"]
