"""A disk that is full, a folder that may not be written, a file that is gone, damaged or held: said in a sentence, and
nothing that was there is lost.
"""

from __future__ import annotations

import io
import itertools
import os
import random
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import apsw
import pytest

from collectors.registry import choose_collectors
from collectors.scheduler.console import ConsoleReport
from collectors.scheduler.scheduler import Scheduler
from store import StoreError, open_store
from store.schema import PROBES
from tests.collectors.builders import config
from tests.collectors.cli_fixture import ROOT, CliFixture, until
from tests.factories import MINUTE, NOON, probe
from tests.fault_server import FaultServer
from tests.faults.integrity import assert_sound, probes_of

pytestmark = pytest.mark.waits


# -- a full disk


def test_a_file_that_may_grow_no_more_is_exit_code_3_and_keeps_what_it_had(place: CliFixture) -> None:
    assert place.run("run")[0] == 0
    before = place.probes()
    room = place.store_path.stat().st_size

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room // 8, room // 8))

    done = subprocess.run(
        [sys.executable, "-m", "collectors", "run", "--all"],
        env=os.environ | {"UPTOKEN_STORE": place.url, "UPTOKEN_CONFIG": str(place.config), "UPTOKEN_LOCATION": "here"},
        cwd=ROOT,
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "could not" in done.stderr and "nothing that was recorded is lost" in done.stderr
    assert "Traceback" not in done.stderr
    assert place.probes()[: len(before)] == before
    assert place.run("run", "--all")[0] == 0
    assert len(place.probes()) == len(before) + 1
    assert_sound(place.store_path)


def test_what_a_full_disk_did_not_take_is_kept_in_memory_and_written_when_there_is_room(
    tmp_path: Path, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.scheduler.scheduler.RETRY_AFTER_S", 0.2)
    path, said = tmp_path / "full.db", io.StringIO()
    store = open_store(f"sqlite:///{path}")
    loop = Scheduler(
        config({"base_url": server.url, "every": "1s"}),
        store,
        "here",
        ConsoleReport(said),
        choose_collectors(["probe"]),
    )
    thread = threading.Thread(target=loop.run_every, args=(1.0,))
    thread.start()
    try:
        until(lambda: store.count(PROBES) >= 2)
        with monkeypatch.context() as full:
            full.setattr(store, "_begin", _no_room)
            until(lambda: "rows are kept in memory and will be written later" in said.getvalue())
            assert "the disk is full; make room" in said.getvalue()
            time.sleep(2)
        count = store.count(PROBES)
        until(lambda: store.count(PROBES) > count + 1)
    finally:
        loop.stop.set()
        thread.join()
        loop.close()
        store.close()
    moments = [row.started_at for row in probes_of(path)]
    gaps = [after - before for before, after in itertools.pairwise(moments)]
    assert max(gaps) < 1_900, "a probe of the time when the disk was full is missing"
    assert_sound(path)


def _no_room(_work: object) -> int:
    raise apsw.FullError("database or disk is full")


def test_what_cannot_be_kept_in_memory_is_counted_and_said(
    tmp_path: Path, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.scheduler.recorder.MOST_UNSAVED_ROWS", 3)
    said = io.StringIO()
    store = open_store(f"sqlite:///{tmp_path}/a.db")
    loop = Scheduler(config({"base_url": server.url}), store, "here", ConsoleReport(said), choose_collectors(["probe"]))

    def refuse(*_: object, **__: object) -> int:
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "write", refuse)
    for _ in range(3):  # a probe and a run each; with the first, how the day's budget stands
        with pytest.raises(StoreError):
            loop.run_once(everything=True)
    assert "3 rows are kept in memory and will be written later; 4 older rows had to be dropped" in said.getvalue()
    loop.close()
    store.close()


# -- a file that is gone, and one that came back


def test_a_store_that_is_removed_while_it_is_written_is_said_and_goes_on_when_it_is_back(place: CliFixture) -> None:
    process = place.start_loop()
    until(lambda: len(place.probes()) >= 2)
    away = place.folder / "away"
    away.mkdir()
    for path in place.store_path.parent.glob("uptoken.db*"):
        if not path.name.endswith("lock"):
            path.rename(away / path.name)
    time.sleep(3)
    assert not place.store_path.exists(), "a new file would hide that the old one is gone"
    for path in away.iterdir():
        path.rename(place.store_path.parent / path.name)
    count = len(place.probes())
    until(lambda: len(place.probes()) > count + 2)
    process.terminate()
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert "was removed while it was open: put it back" in out + err
    moments = [row.started_at for row in place.probes()]
    assert max(b - a for a, b in itertools.pairwise(moments)) < 1_900
    assert_sound(place.store_path)


def test_a_store_that_stays_away_is_exit_code_3(place: CliFixture, server: FaultServer) -> None:
    process = place.start_loop()
    until(lambda: len(place.probes()) >= 1)
    for path in place.store_path.parent.glob("uptoken.db*"):
        path.unlink()
    before = len(server.requests)
    until(lambda: len(server.requests) >= before + 3)  # so that one of them has an answer that cannot be kept
    process.terminate()
    _, err = process.communicate(timeout=20)
    assert process.returncode == 3
    assert "was removed while it was open" in err


# -- a damaged file


@pytest.mark.parametrize("how", ["header", "cut", "emptied of sense"])
def test_a_damaged_store_is_exit_code_3_stays_as_it_is_and_can_be_repaired(place: CliFixture, how: str) -> None:
    store = open_store(place.url)
    store.write(probe(NOON + n * MINUTE) for n in range(3_000))
    store.close()
    path, chance = place.store_path, random.Random(3)
    with path.open("r+b") as file:
        if how == "header":
            file.write(chance.randbytes(60))
        elif how == "cut":
            file.truncate(path.stat().st_size // 2)
        else:
            for page in range(2, path.stat().st_size // 4_096):
                file.seek(page * 4_096)
                file.write(chance.randbytes(64))
    before = path.read_bytes()
    code, _, err = place.run("run")
    assert (code, len(err.strip().splitlines())) == (3, 1), err
    assert "damaged" in err
    assert path.read_bytes() == before
    code, _, err = place.run("repair")
    assert path.read_bytes() == before
    if code == 0:
        assert "probes: " in err and "restore" in err
        assert_sound(path.with_name("uptoken.db.repaired"))
    else:
        assert code == 3 and "nothing can be read" in err


# -- rights and locks


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to write as somebody else")
def test_a_store_of_somebody_else_is_exit_code_3(place: CliFixture, tmp_path: Path) -> None:
    assert place.run("run")[0] == 0
    for folder in (tmp_path, *tmp_path.parents):
        if "pytest-of-" in str(folder):
            folder.chmod(0o755)
    place.store_path.parent.chmod(0o755)
    before = place.store_path.read_bytes()
    script = (
        "import os, sys; from cli import main; import collectors.scheduler.scheduler, store.sqlite,"
        " collectors.http.connection; os.setgid(65534); os.setuid(65534);"
        " sys.argv = ['collectors', 'run', '--all']; main()"
    )
    done = place.python(script)
    assert done.returncode == 3, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and "Permission denied" in done.stderr
    assert place.store_path.read_bytes() == before


def test_a_store_that_another_program_holds_delays_no_probe_and_loses_none(place: CliFixture) -> None:
    process = place.start_loop()
    until(lambda: len(place.probes()) >= 2)
    other = apsw.Connection(str(place.store_path))
    other.set_busy_timeout(5_000)
    other.execute("BEGIN IMMEDIATE")
    time.sleep(8)
    held = len(place.probes())
    other.execute("COMMIT")
    other.close()
    until(lambda: len(place.probes()) >= held + 8)
    process.terminate()
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "locked by another program" in out + err
    moments = [row.started_at for row in place.probes()]
    assert max(b - a for a, b in itertools.pairwise(moments)) < 1_900
