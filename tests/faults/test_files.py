"""The store's files: half-made ones, interrupted replacements, several names, and disks that are full or read-only."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw
import pytest

from store import StoreError, open_store
from store.backup import back_up, restore
from store.part_files import part_file
from store.paths import replaced_stores
from store.repair import salvage
from store.schema import INCIDENTS
from tests.collectors.cli_fixture import ROOT, CliFixture, until
from tests.factories import DAY, HOUR, MINUTE, NOON, probe
from tests.faults.integrity import assert_sound, probes_of
from tests.faults.test_repair import closed, filled

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount")


def python(script: str, *words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, words)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


@contextmanager
def mounted(folder: Path, *words: str) -> Iterator[Path]:
    """Skips where this machine may not mount; a bind mount, or a disk of a few megabytes."""
    if subprocess.run(["mount", *words, str(folder)], capture_output=True, check=False).returncode:
        pytest.skip("this machine may not mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


# -- half-made files


SLOW_REPAIR = """
import sys, time
from pathlib import Path
import store.repair
write = store.repair._write
def slowly(*args):
    write(*args)
    if args[2]:
        print(len(args[2]), flush=True)
        time.sleep(0.3)
store.repair._write = slowly
store.repair.salvage(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_repair_that_is_killed_leaves_nothing_that_restore_takes_and_the_next_one_clears_it_away(
    tmp_path: Path,
) -> None:
    path, target = closed(tmp_path / "a.db", 20), tmp_path / "a.db.repaired"
    process = python(SLOW_REPAIR, path, target)
    assert process.stdout is not None
    while int(process.stdout.readline()) < 100:  # some thousand probes are written, more are to come
        pass
    process.kill()
    process.wait()
    assert not target.exists()
    leftovers = list(tmp_path.glob(".*.part"))
    assert len(leftovers) == 2, "a half file and the copy that it was made from"
    half = next(left for left in leftovers if left.is_file())
    before = path.read_bytes()
    with pytest.raises(StoreError, match="is not complete"):
        restore(half, path)
    for ending in ("", "-wal"):
        shutil.copyfile(half.with_name(half.name + ending), tmp_path / f"found.db{ending}")
    for opening in (lambda: open_store(f"sqlite:///{tmp_path}/found.db"), lambda: restore(tmp_path / "found.db", path)):
        with pytest.raises(StoreError, match="is not complete"):
            opening()
    assert path.read_bytes() == before
    salvage(path, target)
    assert not list(tmp_path.glob(".*.part*"))
    assert len(probes_of(target)) == len(probes_of(path))
    assert target.stat().st_mode & 0o777 == 0o600
    restore(target, path)
    assert_sound(path)


def test_what_a_living_process_makes_is_not_cleared_away(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from store.part_files import part_file\n"
        "with part_file(Path(sys.argv[1])) as part: print('ready', flush=True); time.sleep(60)"
    )
    living, dead = python(script, tmp_path / "a"), python(script, tmp_path / "a")
    for process in (living, dead):
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    dead.kill()
    dead.wait()
    assert len(list(tmp_path.glob(".a.*.part"))) == 2
    with part_file(tmp_path / "a") as part:
        assert len(list(tmp_path.glob(".a.*.part"))) == 2  # the living one's, and this one's
        part.write_text("whole")
    living.kill()
    living.wait()
    assert (tmp_path / "a").read_text() == "whole"


def test_a_repair_without_room_leaves_no_file(tmp_path: Path) -> None:
    path = closed(tmp_path / "a.db", 20)
    limit = path.stat().st_size // 3
    script = (
        "import resource, sys; from pathlib import Path; from store.repair import salvage\n"
        "import shutil, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "source, target = map(Path, sys.argv[1:3])\n"
        "import store.repair; copy = store.repair.temporary_copy\n"
        "from contextlib import contextmanager\n"
        "@contextmanager\n"
        "def copied(*args):\n"
        "    with copy(*args) as it:\n"
        f"        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "        yield it\n"
        "store.repair.temporary_copy = copied\n"
        "try: salvage(source, target)\n"
        "except store.repair.StoreError as problem: print(problem)"
    )
    process = python(script, path, tmp_path / "new.db")
    out, _ = process.communicate(timeout=60)
    assert "could not" in out
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith((".", "new"))] == []


def test_incidents_whose_raw_probes_were_pruned_are_brought_over(tmp_path: Path) -> None:
    path, repaired = tmp_path / "a.db", tmp_path / "repaired.db"
    store = open_store(f"sqlite:///{path}")
    down = {*range(100, 103), *range(285, 291), *range(400, 404)}  # the second one goes on at the boundary: 288
    start = NOON - NOON % DAY - 2 * DAY
    store.write(probe(start + n * 10 * MINUTE, "timeout" if n in down else "ok") for n in range(432))
    incidents = list(store.read(INCIDENTS))
    assert len(incidents) == 3
    while store.prune(start + 2 * DAY):
        pass
    store.close()
    found = salvage(path, repaired)
    again = open_store(f"sqlite:///{repaired}")
    assert list(again.read(INCIDENTS)) == incidents
    assert found.rows["incidents"] == 2
    again.rebuild()
    assert list(again.read(INCIDENTS)) == incidents
    again.close()


def test_roll_ups_of_a_series_whose_last_raw_probes_cannot_be_read_are_brought_over(tmp_path: Path) -> None:
    path, repaired = tmp_path / "a.db", tmp_path / "repaired.db"
    store = open_store(f"sqlite:///{path}")
    store.write(probe(NOON - 9 * DAY + n * HOUR, target=name) for n in range(48) for name in "ab")
    while store.prune(NOON):
        pass
    days = list(store.rollups("day"))
    store.close()
    connection = apsw.Connection(str(path))
    connection.execute("DELETE FROM probes WHERE target = 'b'")
    connection.close()
    salvage(path, repaired)
    again = open_store(f"sqlite:///{repaired}", read_only=True)
    assert list(again.rollups("day")) == days
    again.close()


# -- a replacement that is interrupted


STEPS = ["hardlink_to", "sync_path", "_remove_logs", "replace"]
KILLED_RESTORE = """
import os, signal, sys
from pathlib import Path
import store.backup, store.part_files
step, when = sys.argv[3], sys.argv[4]
owner = Path if hasattr(Path, step) else store.backup
does = getattr(owner, step)
def dies(*args):
    if when == "after":
        does(*args)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, step, dies)
store.backup.restore(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_restore_that_is_killed_at_any_step_leaves_one_of_the_two_stores(
    tmp_path: Path, step: str, when: str
) -> None:
    path, copy = tmp_path / "a.db", tmp_path / "copy.db"
    store = filled(path, 1)
    old = probes_of(path)
    back_up(path, copy)
    store.write([probe(NOON + MINUTE)])
    new = probes_of(path)
    killed = python(KILLED_RESTORE, copy, path, step, when)
    assert killed.wait(60) == -signal.SIGKILL
    store.close()
    assert probes_of(path) in (old, new)
    assert_sound(path)
    restore(copy, path)
    assert probes_of(path) == old
    assert path.stat().st_nlink == 1
    assert any(probes_of(aside) == new for aside in replaced_stores(path))
    assert not list(tmp_path.glob(".*.part*"))


def test_what_cannot_be_written_into_the_old_file_is_put_aside_with_it_and_an_interruption_is_said(
    tmp_path: Path,
) -> None:
    path, copy = tmp_path / "a.db", tmp_path / "copy.db"
    store = filled(path, 1)
    back_up(path, copy)
    reader = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM probes").fetchall()  # it keeps the WAL from being written into the file
    store.write([probe(NOON + n * MINUTE) for n in range(1, 5)])
    new = probes_of(path)
    killed = python(KILLED_RESTORE, copy, path, "replace", "before")
    assert killed.wait(60) == -signal.SIGKILL
    [aside] = replaced_stores(path)
    reader.close()
    store.close()
    with pytest.raises(StoreError, match=r"was interrupted: .*restore .*\.before-"):
        open_store(f"sqlite:///{path}")
    restore(aside, path)
    assert probes_of(path) == new
    assert_sound(path)


def test_a_missing_store_beside_one_that_was_put_aside_is_refused_by_every_command(place: CliFixture) -> None:
    assert place.run("run")[0] == 0
    path = place.store_path
    assert place.run("backup", str(place.folder / "copy.db"))[0] == 0
    assert place.run("restore", str(place.folder / "copy.db"))[0] == 0
    path.unlink()
    [aside] = replaced_stores(path)
    rows = place.folder / "probes.csv"
    rows.write_text("")
    words = ["run", "check", "check --health", "export probes", f"import probes {rows}", f"backup {rows}.db", "rebuild"]
    for line in words:
        code, _, err = place.run(*line.split())
        assert code == 3, line
        assert "no store at" in err and "Traceback" not in err, line
        if not line.startswith("backup"):
            assert f"restore {aside}" in err, line
        assert not path.exists(), line
    code, _, err = place.run("restore", str(aside))
    assert code == 0, err
    assert len(place.probes()) == 1


# -- several names


@pytest.mark.alone
@pytest.mark.waits
def test_two_loops_over_a_store_and_a_symbolic_link_to_it_share_the_work(place: CliFixture) -> None:
    assert place.run("run")[0] == 0
    link = place.folder / "link.db"
    link.symlink_to(place.store_path)
    loops = [place.start_loop("--store", url) for url in (place.url, f"sqlite:///{link}")]
    count = len(place.probes())
    until(lambda: len(place.probes()) >= count + 8)
    for loop in loops:
        loop.terminate()
    for loop in loops:
        assert loop.communicate(timeout=20) and loop.returncode == 0
    moments = sorted(row.started_at for row in place.probes())[1:]
    assert len(moments) <= (moments[-1] - moments[0]) / 1_000 + 2, "slots were probed twice"  # one begins each second
    assert not list(place.folder.glob("link.db?*"))


def test_a_restore_through_a_symbolic_link_replaces_the_store_and_not_the_link(place: CliFixture) -> None:
    assert place.run("run")[0] == 0
    link, copy = place.folder / "link.db", place.folder / "copy.db"
    link.symlink_to(place.store_path)
    at_link = ("--store", f"sqlite:///{link}")
    assert place.run("backup", str(copy), *at_link)[0] == 0
    assert place.run("run", "--all")[0] == 0
    assert place.run("restore", str(copy), *at_link)[0] == 0
    assert link.is_symlink()
    assert len(place.probes()) == 1
    process = place.start_loop(*at_link)
    until(lambda: len(place.probes()) > 3)
    for command in ("repair", "rebuild"):
        code, _, err = place.run(command)
        assert code == 3 and "another collector is running" in err
    process.kill()
    process.communicate()
    rows = len(place.probes())
    assert place.run("repair", *at_link)[0] == 0  # with what was in the WAL when it was killed
    assert len(probes_of(place.store_path.with_name("uptoken.db.repaired"))) == rows


def test_a_hard_link_is_refused(place: CliFixture) -> None:
    assert place.run("run")[0] == 0
    other = place.folder / "other.db"
    other.hardlink_to(place.store_path)
    code, _, err = place.run("run", "--store", f"sqlite:///{other}")
    assert code == 3 and "2 names (hard links)" in err


@ROOT_ONLY
def test_a_folder_that_is_mounted_twice_has_one_lock_and_a_file_mounted_alone_is_refused(place: CliFixture) -> None:
    assert place.run("run")[0] == 0
    again, alone = place.folder / "again", place.folder / "alone.db"
    again.mkdir()
    alone.touch()
    with mounted(again, "--bind", str(place.store_path.parent)):
        loop = place.start_loop()
        count = len(place.probes())
        until(lambda: len(place.probes()) > count)
        code, _, err = place.run("rebuild", "--store", f"sqlite:///{again}/uptoken.db")
        assert code == 3 and f"another collector is running for this store (process {loop.pid})" in err
        loop.terminate()
        loop.communicate(timeout=20)
    with mounted(alone, "--bind", str(place.store_path)):
        code, _, err = place.run("run", "--store", f"sqlite:///{alone}")
        assert code == 3 and "mount its folder" in err


# -- disks that are full or may not be written


def left_open(path: Path) -> None:
    """As a collector that was killed leaves it: rows in the WAL alone, and no `-shm` file that is of use."""
    store = filled(path, 1)
    for ending in ("", "-wal"):
        shutil.copyfile(path.with_name(path.name + ending), path.with_name("killed.db" + ending))
    store.close()
    path.unlink()
    for ending in ("", "-wal"):
        path.with_name("killed.db" + ending).rename(path.with_name(path.name + ending))
    assert path.with_name(path.name + "-wal").stat().st_size


@ROOT_ONLY
@pytest.mark.parametrize("state", ["closed", "killed"])
@pytest.mark.parametrize("command", ["backup", "repair", "export"])
def test_a_store_in_a_folder_that_may_not_be_written_can_be_saved_elsewhere(
    place: CliFixture, command: str, state: str
) -> None:
    path = place.store_path
    path.parent.mkdir()
    left_open(path) if state == "killed" else filled(path, 1).close()
    copied = place.folder / "copied"
    shutil.copytree(path.parent, copied)
    rows = probes_of(copied / "uptoken.db")
    out = place.folder / ("out.csv" if command == "export" else "out.db")
    words = {"backup": [str(out)], "repair": ["--output", str(out)], "export": ["probes", "--output", str(out)]}
    with mounted(path.parent, "--bind", str(path.parent)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(path.parent)], check=True)
        before = sorted(each.name for each in path.parent.iterdir())
        code, _, err = place.run(command, *words[command])
        assert sorted(each.name for each in path.parent.iterdir()) == before
    if command == "export" and state == "killed":  # what is not checkpointed cannot be read in place
        assert code == 3 and "backup" in err
        return
    assert code == 0, err
    if command != "export":
        assert probes_of(out) == rows
        assert_sound(out)


@ROOT_ONLY
@pytest.mark.parametrize("state", ["closed", "killed", "running"])
@pytest.mark.parametrize("command", ["backup", "repair"])
def test_a_store_on_a_full_disk_can_be_saved_elsewhere(place: CliFixture, command: str, state: str) -> None:
    path = place.store_path
    path.parent.mkdir()
    with mounted(path.parent, "-t", "tmpfs", "-o", "size=8m,nr_inodes=40", "tmpfs"):
        store = None
        if state == "running":
            store = filled(path, 1)
        elif state == "killed":
            left_open(path)
        else:
            filled(path, 1).close()
        fill_up(path.parent)
        out = place.folder / "out.db"
        code, _, err = place.run(command, *([str(out)] if command == "backup" else ["--output", str(out)]))
        if store:
            store.close()
    assert code == 0, err
    assert len(probes_of(out)) == 3 * 288
    assert_sound(out)


def fill_up(folder: Path) -> None:
    """No block and no file more."""
    with suppress(OSError), (folder / "filling").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4_096)
    with suppress(OSError):
        for number in range(1_000):
            (folder / f"filling{number}").touch()


def test_an_export_that_was_killed_is_cleared_away_by_the_next_one(place: CliFixture) -> None:
    assert place.run("run")[0] == 0
    out = place.folder / "out.csv"
    script = (
        "import os, signal, sys, cli.export as export; from cli import main\n"
        "export.write_rows = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"sys.argv = ['collectors', 'export', 'probes', '--output', '{out}']; main()"
    )
    assert place.python(script).returncode == -signal.SIGKILL
    assert not out.exists()
    assert len(list(place.folder.glob(".out.csv.*.part"))) == 1
    assert place.run("export", "probes", "--output", str(out))[0] == 0
    assert not list(place.folder.glob(".out.csv.*.part"))


def test_what_a_run_left_that_was_killed_while_it_wrote_the_shared_state_is_cleared_away(place: CliFixture) -> None:
    assert place.run("run")[0] == 0
    state = place.store_path.with_name("uptoken.db.collector-state")
    left = state.with_name(f".{state.name}.{4_000_000 << 16}")
    left.write_text("{")
    assert place.run("run")[0] == 0
    assert not left.exists()


def test_a_file_system_without_hard_links_gets_a_copy_of_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    path, copy = closed(tmp_path / "a.db", 1), tmp_path / "copy.db"
    back_up(path, copy)
    before = probes_of(path)
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    aside = restore(copy, path)
    assert aside is not None and probes_of(aside) == before == probes_of(path)
    assert aside.stat().st_mode & 0o777 == 0o600
