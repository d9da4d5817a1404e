"""Rows that were paid for and could not be recorded, and imports that hold nobody up: nothing is lost or by half."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import apsw
import pytest

from collectors.scheduler.spool import Spool
from store import Store, StoreError, open_store
from store.formats import csv_chunks
from store.pending import PendingFile, pending_paths, write_pending
from store.schema import PROBES, RUNS, TABLES
from tests.collectors.cli_fixture import CliFixture, until
from tests.factories import MINUTE, NOON, probe
from tests.fault_server import FaultServer
from tests.faults.integrity import assert_sound
from tests.store.stores import STORES, opened
from tests.store.test_every_table import rows_of

pytestmark = pytest.mark.waits


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    yield from opened(request.param, tmp_path_factory.mktemp("store"))


def probes_of(server: FaultServer) -> int:
    """How many probes were sent, and paid for."""
    return sum(request["line"].startswith("POST") for request in server.requests)


# -- what a run could not record

IMPATIENT = (
    "import sys, store.sqlite; store.sqlite.PATIENCE_S = 0.3; from cli import main;"
    " sys.argv = ['collectors', 'run', '--all']; main()"
)


def test_what_a_run_probed_while_the_store_was_locked_is_recorded_by_the_next_run_once(
    place: CliFixture, server: FaultServer
) -> None:
    assert place.run("run")[0] == 0
    other = apsw.Connection(str(place.store_path))
    other.execute("BEGIN IMMEDIATE")
    for number in (1, 2):
        done = place.python(IMPATIENT)
        assert done.returncode == 3
        assert "rows are saved in" in done.stdout + done.stderr and "locked by another program" in done.stderr
        assert len(pending_paths(place.store_path)) == number
    asked = probes_of(server)
    other.execute("ROLLBACK")
    other.close()
    files = pending_paths(place.store_path)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in files)
    again = [path.read_bytes() for path in files]
    assert len(place.probes()) == 1
    code, out, err = place.run("run", "--only", "catalog")
    assert code == 0, err
    assert (out + err).count("imported ") == 2
    assert len(place.probes()) == 3 == asked
    assert pending_paths(place.store_path) == []
    before = place.probes(), _runs(place)
    for path, content in zip(files, again, strict=True):  # the process was killed before it removed the file
        path.write_bytes(content)
    code, out, err = place.run("run", "--only", "catalog")
    assert code == 0 and (out + err).count(", 0 of them new") == 2
    assert (place.probes(), _runs(place)) == before
    assert_sound(place.store_path)


def _runs(place: CliFixture) -> list[tuple[object, ...]]:
    store = open_store(place.url, read_only=True)
    rows = [row for row in store.read(RUNS) if row[0] == "probe"]
    store.close()
    return rows


def test_a_loop_that_is_ended_while_the_store_is_locked_loses_no_probe(place: CliFixture) -> None:
    process = place.start_loop()
    until(lambda: len(place.probes()) >= 2)
    other = apsw.Connection(str(place.store_path))
    other.set_busy_timeout(5_000)
    other.execute("BEGIN IMMEDIATE")
    time.sleep(3)
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 3
    other.execute("COMMIT")
    other.close()
    assert place.run("run")[0] == 0
    moments = [row.started_at for row in place.probes()]
    ended = len(moments) - 1
    assert ended >= 4, err
    assert max(b - a for a, b in pairwise(moments[:ended])) < 1_900
    assert_sound(place.store_path)


def test_slots_that_wait_in_a_file_are_not_probed_again(place: CliFixture, server: FaultServer) -> None:
    assert place.run("run")[0] == 0
    assert place.run("export", "targets")[0] == 0
    connection = apsw.Connection(str(place.store_path))
    for table in ("probes", "series", "hourly", "daily", "blocks", "runs"):
        connection.execute(f"DELETE FROM {table}")
    place.store_path.with_name("uptoken.db.collector-state").unlink()
    connection.execute("BEGIN IMMEDIATE")
    asked = probes_of(server)
    assert place.python(IMPATIENT.replace(", '--all'", "")).returncode == 3
    assert probes_of(server) == asked + 1
    assert place.python(IMPATIENT.replace(", '--all'", "")).returncode == 0  # nothing is due
    assert probes_of(server) == asked + 1
    connection.execute("ROLLBACK")
    connection.close()
    assert place.run("run")[0] == 0
    assert probes_of(server) == asked + 1
    assert len(place.probes()) == 1


def test_rows_that_find_no_room_are_counted_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.scheduler.spool.MOST_BYTES", 2_000)
    said: list[str] = []
    spool = Spool(tmp_path / "a.db", said.append)
    assert spool.save([probe(NOON)])
    assert not spool.save([probe(NOON + n) for n in range(20)])
    assert "20 rows are lost" in said[-1]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_that_makes_no_sense_is_set_aside_and_said(tmp_path: Path) -> None:
    said: list[str] = []
    store = open_store(f"sqlite:///{tmp_path}/a.db")
    path = write_pending(tmp_path / "a.db", "spool", [probe(NOON)])
    path.write_text('{"table": "probes", "columns": ["colour"]}\n')
    Spool(tmp_path / "a.db", said.append).import_rows(store, 1.0)
    assert "cannot be imported" in said[-1]
    assert path.with_name(f"{path.name}.refused").exists()
    assert pending_paths(tmp_path / "a.db") == []
    store.close()


def test_every_table_comes_through_a_file_unchanged_on_every_engine(store: Store, tmp_path: Path) -> None:
    rows = [row for table in TABLES.values() if not table.is_derived for row in rows_of(table)]
    path = write_pending(tmp_path / "a.db", "import", rows)
    pending = PendingFile(path)
    while pending.step(store):
        pass
    assert pending.new == len(rows)
    for table in TABLES.values():
        if not table.is_derived:
            assert [table.row(*row) for row in store.read(table)] == rows_of(table), table.name
    again = PendingFile(write_pending(tmp_path / "a.db", "import", rows))
    while again.step(store):
        pass
    assert again.new == 0


# -- imports


def rows_file(place: CliFixture, count: int, name: str = "rows.csv") -> Path:
    path = place.folder / name
    rows = (
        PROBES.values(probe(NOON + n * MINUTE, "ok" if n % 50 else "timeout", location="far")) for n in range(count)
    )
    with path.open("w", newline="", encoding="utf-8") as file:
        for text, _ in csv_chunks(PROBES, rows):
            file.write(text)
    return path


def count_imported(place: CliFixture) -> int:
    """Without a look at each of them, which would hold up what imports them."""
    with closing(apsw.Connection(str(place.store_path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        return int(connection.execute("SELECT count(*) FROM probes WHERE location = 'far'").get)


def test_an_import_holds_up_no_loop(place: CliFixture) -> None:
    path = rows_file(place, 40_000)
    process = place.start_loop()
    until(lambda: len(place.probes()) >= 2)
    began = time.time() * 1_000
    code, _, err = place.run("import", "probes", str(path))
    ended = time.time() * 1_000
    assert (code, err) == (0, "40,000 rows read, 40,000 new, 0 already present\n")
    process.terminate()
    out, said = process.communicate(timeout=20)
    assert "locked by another program" not in out + said
    moments = [row.started_at for row in place.probes() if row.location == "here"]
    assert max(b - a for a, b in pairwise(moments)) < 1_900
    assert ended - began > 2_000, "too short an import to show anything"
    assert_sound(place.store_path)


SLOW_IMPORT = """
import sys, time, store.pending
from cli import main
step = store.pending.PendingFile.step
def slowly(self, store):
    again = step(self, store)
    print(self.read, flush=True)
    time.sleep(0.05)
    return again
store.pending.PendingFile.step = slowly
write = store.pending.write_pending
def says(*args, **more):
    print("reading", flush=True)
    return write(*args, **more)
import cli.import_ as it
it.write_pending = says
sys.argv = ["collectors", "import", "probes", sys.argv[1]]
main()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_import_that_is_interrupted_is_there_not_at_all_or_whole_after_the_next_run(
    place: CliFixture, number: signal.Signals
) -> None:
    import subprocess
    import sys

    path = rows_file(place, 20_000)
    assert place.run("run")[0] == 0

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", SLOW_IMPORT, str(path)],
            cwd=place.folder,
            env=place.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    early = start()
    assert early.stdout is not None and early.stdout.readline() == "reading\n"
    early.send_signal(number)
    early.communicate(timeout=20)
    assert len(place.probes()) == 1
    late = start()
    assert late.stdout is not None and late.stdout.readline() == "reading\n"
    while int(late.stdout.readline()) < 5_000:
        pass
    late.send_signal(number)
    _, err = late.communicate(timeout=20)
    assert 5_000 < len(place.probes()) < 20_001
    assert ("and will be imported by the next `run` or `import`" in err) == (number == signal.SIGINT)
    loop = place.start_loop()
    until(lambda: count_imported(place) == 20_000, 60)
    # it says so, and removes the file, after the last rows are in
    until(lambda: not [each.name for each in place.store_path.parent.iterdir() if "import" in each.name])
    loop.terminate()
    out, err = loop.communicate(timeout=20)
    assert "20,000 rows from uptoken.db.import-" in out + err
    assert_sound(place.store_path)


def test_a_file_that_is_wrong_at_its_end_leaves_nothing(place: CliFixture) -> None:
    assert place.run("run")[0] == 0
    path = rows_file(place, 5_000)
    path.write_text(path.read_text()[:-200])
    code, _, err = place.run("import", "probes", str(path))
    assert code == 2 and "is the file cut off?" in err
    assert len(place.probes()) == 1
    assert not [each.name for each in place.store_path.parent.iterdir() if "import" in each.name]


def test_an_import_and_a_restore_keep_away_from_each_other(place: CliFixture) -> None:
    assert place.run("run")[0] == 0
    from collectors.scheduler.lock import nobody_writes, writing

    with nobody_writes(place.url):
        code, _, err = place.run("import", "probes", str(rows_file(place, 10)))
        assert code == 3 and "being restored, repaired or rebuilt" in err
    with writing(place.url), pytest.raises(StoreError, match="another collector is running"), nobody_writes(place.url):
        pass
    assert len(place.probes()) == 1
