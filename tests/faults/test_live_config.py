"""A loop follows its configuration: real processes, a server on loopback, a file that is written or replaced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import pytest

from collectors.scheduler.schedule import schedule_of
from store import open_store
from store.schema import BUDGETS, RUNS, TARGETS, Budget, Probe, Run, Table, Target
from tests.collectors.cli_fixture import CliFixture, until
from tests.fault_server import GOOD, FaultServer, chunked
from tests.forked import Forked

pytestmark = pytest.mark.waits
Kind = TypeVar("Kind")
Save = Callable[[Path, str], None]
SECOND = '[collector]\nevery = "1s"\nthroughput_every = "off"\nconfirm_after = "50ms"\n'


def _in_place(path: Path, text: str) -> None:
    path.write_text(text)


def _by_rename(path: Path, text: str) -> None:
    """As editors and configuration management save."""
    part = path.with_name("part")
    part.write_text(text)
    part.replace(path)


both_ways = pytest.mark.parametrize("save", [_in_place, _by_rename])


def _target(name: str, url: str, more: str = "") -> str:
    return f'[[target]]\nname = "{name}"\nmodel = "m"\nbase_url = "{url}"\n{more}\n'


class Collector:
    """A loop over a place, and what it says."""

    def __init__(self, place: CliFixture, *words: str) -> None:
        self.place = place
        self.log = place.folder / "log"
        with self.log.open("w") as log:
            self.process = Forked(
                [sys.executable, "-m", "collectors", "run", "--every", "1", *words],
                cwd=place.folder,
                env=place.environment | {"PYTHONFAULTHANDLER": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # without a terminal, as a service
            )

    def said(self) -> str:
        return self.log.read_text()

    def rows(self, table: Table, kind: Callable[..., Kind]) -> list[Kind]:
        store = open_store(self.place.url, read_only=True)
        try:
            return [kind(*row) for row in store.read(table)]
        finally:
            store.close()

    def probes(self, name: str) -> list[Probe]:
        return sorted((p for p in self.place.probes() if p.target == name), key=lambda probe: probe.started_at)

    def states(self) -> dict[str, str]:
        return {row.name: row.state for row in self.rows(TARGETS, Target)}

    def notes(self) -> list[Run]:
        runs = [run for run in self.rows(RUNS, Run) if run.collector == "configuration"]
        return sorted(runs, key=lambda run: run.started_at)


@contextmanager
def _collector(folder: Path, text: str | None, *words: str) -> Iterator[Collector]:
    """`text` is null where the configuration is there already."""
    place = CliFixture(folder, "http://127.0.0.1:9/v1", configures=text is not None)
    if text is not None:
        place.config.write_text(text)
    collector = Collector(place, *words)
    try:
        until(lambda: place.probes(), 30)
        yield collector
        assert collector.process.poll() is None, collector.said()
    finally:
        collector.process.terminate()
        try:
            collector.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            collector.process.send_signal(signal.SIGABRT)
            collector.process.wait(timeout=5)
            raise AssertionError(collector.said()) from None
    assert collector.process.returncode == 0, collector.said()


@both_ways
def test_a_target_that_is_added_is_probed_within_one_of_its_intervals(
    tmp_path: Path, server: FaultServer, save: Save
) -> None:
    with _collector(tmp_path, SECOND + _target("a", server.url)) as it:
        saved_at = time.time() * 1_000
        more = _target("new", server.url, 'every = "5s"')
        save(it.place.config, SECOND + _target("a", server.url) + more)
        until(lambda: it.probes("new"), 6)
        assert it.probes("new")[0].started_at - saved_at < 5_000
        until(lambda: it.states() == {"a": "active", "new": "active"})
        assert "1 added (new)" in it.said()
        assert [run.error for run in it.notes()] == [None]
    probes = it.probes("a")
    schedule = schedule_of("a", "ping", 1)
    slots = [schedule.slot_at(probe.started_at) for probe in probes]
    # the first probe of all starts anywhere in its slot; from then on each slot is decided once, reload or not
    assert all(b - a == 1 for a, b in pairwise(slots[1:])), slots
    # it decides the slot that it was planned in, and the next one when that begins while it is under way
    planned = schedule.slot_at(min(run.started_at for run in it.rows(RUNS, Run) if run.collector == "probe"))
    first, *others = [probe.stands_for_s for probe in probes]
    assert first in (1.0, slots[0] - planned + 1.0) and set(others) == {1.0}


@both_ways
def test_a_target_that_is_removed_is_not_probed_any_more_and_said_to_be_removed(
    tmp_path: Path, server: FaultServer, save: Save
) -> None:
    with _collector(tmp_path, SECOND + _target("a", server.url) + _target("b", server.url)) as it:
        until(lambda: it.probes("b"))
        save(it.place.config, SECOND + _target("a", server.url))
        until(lambda: it.states() == {"a": "active", "b": "removed"})
        [removed_at] = [row.updated_at for row in it.rows(TARGETS, Target) if row.name == "b"]
        until(lambda: it.probes("a")[-1].started_at > removed_at + 3_000)
        assert it.probes("b")[-1].started_at <= removed_at


@both_ways
def test_a_wrong_file_is_said_once_and_changes_nothing_until_it_is_mended(
    tmp_path: Path, server: FaultServer, save: Save
) -> None:
    right = SECOND + _target("a", server.url)
    with _collector(tmp_path, right) as it:
        save(it.place.config, right + 'evry = "5s"\n')
        until(lambda: it.notes())
        broken_at = time.time() * 1_000
        until(lambda: it.probes("a")[-1].started_at > broken_at + 3_000)
        assert it.said().count("has no 'evry'") == 1
        assert it.said().count("stays in force") == 1
        [note] = it.notes()
        assert note.error is not None and "line 10" in note.error and "has no 'evry'; did you mean" in note.error
        assert it.states() == {"a": "active"}
        assert it.place.run("check", "--health")[0] == 0
        save(it.place.config, right + _target("new", server.url))
        until(lambda: it.probes("new"))
        until(lambda: len(it.notes()) == 2)
        assert it.notes()[1].error is None
        assert it.said().count("applied the changed ") == 1
    slots = [schedule_of("a", "ping", 1).slot_at(probe.started_at) for probe in it.probes("a")]
    assert all(b - a == 1 for a, b in pairwise(slots[1:])), slots


def test_a_target_with_another_name_is_another_target(tmp_path: Path, server: FaultServer) -> None:
    with _collector(tmp_path, SECOND + _target("a", server.url)) as it:
        it.place.config.write_text(SECOND + _target("b", server.url))
        until(lambda: it.states() == {"a": "removed", "b": "active"})
        assert "targets: 1 added (b), 1 removed (a)" in it.said()
        count = len(it.probes("a"))
        until(lambda: len(it.probes("b")) >= 3)
        assert len(it.probes("a")) <= count + 1  # one that was under way


def test_of_two_changes_within_a_second_the_last_one_is_in_force(tmp_path: Path, server: FaultServer) -> None:
    with _collector(tmp_path, SECOND + _target("a", server.url)) as it:
        _by_rename(it.place.config, SECOND + _target("first", server.url))
        time.sleep(0.4)
        _by_rename(it.place.config, SECOND + _target("other", server.url))
        until(lambda: it.probes("other"))
        until(lambda: it.states()["other"] == "active")
        assert (it.states()["a"], it.states().get("first")) in (("removed", None), ("removed", "removed"))
        assert {run.error for run in it.notes()} == {None}


def test_a_link_that_is_switched_is_a_change(tmp_path: Path, server: FaultServer) -> None:
    """As Kubernetes updates a ConfigMap: targets.toml -> ..data/targets.toml, and ..data is renamed over."""
    for number, name in ((1, "a"), (2, "b")):
        (tmp_path / f"..version{number}").mkdir()
        (tmp_path / f"..version{number}" / "targets.toml").write_text(SECOND + _target(name, server.url))
    data = tmp_path / "..data"
    data.symlink_to("..version1")
    (tmp_path / "targets.toml").symlink_to("..data/targets.toml")
    with _collector(tmp_path, None) as it:
        (tmp_path / "..data_tmp").symlink_to("..version2")
        (tmp_path / "..data_tmp").replace(data)
        for file in (tmp_path / "..version1").iterdir():
            file.unlink()
        until(lambda: it.probes("b"))
        until(lambda: it.states() == {"a": "removed", "b": "active"})
        assert [run.error for run in it.notes()] == [None]


def test_another_variable_for_a_key_is_taken_over(
    tmp_path: Path, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRST_KEY", "first-of-the-test")
    monkeypatch.setenv("SECOND_KEY", "second-of-the-test")
    text = SECOND + _target("a", server.url, 'api_key_env = "{}"')
    with _collector(tmp_path, text.format("FIRST_KEY")) as it:
        it.place.config.write_text(text.format("SECOND_KEY"))
        until(lambda: "second-of-the-test" in str(server.requests[-1]))
        it.place.config.write_text(text.format("NO_SUCH_KEY"))
        until(lambda: it.states() == {"a": "waiting_for_key"})
        until(lambda: "waiting for a key: a is not probed;" in it.said())
    assert "of-the-test" not in it.said()


def test_another_router_is_asked_at_once_for_its_lists(tmp_path: Path, server: FaultServer) -> None:
    with FaultServer(chunked(*GOOD)) as one, FaultServer(chunked(*GOOD)) as other:
        text = SECOND + _target("a", server.url) + '[openrouter]\nbase_url = "{}"\nwatch = ["acme/m"]\n'
        with _collector(tmp_path, text.format(one.url)) as it:
            until(lambda: any("GET /v1/models" in request["line"] for request in one.requests))
            it.place.config.write_text(text.format(other.url))
            until(lambda: any("GET /v1/models" in request["line"] for request in other.requests))
            asked = len(one.requests)
            until(lambda: any("/endpoints" in request["line"] for request in other.requests))
            it.place.config.write_text(text.format(other.url).replace("watch", "wacth"))
            until(lambda: it.notes()[-1].error)
            assert "[openrouter] has no 'wacth'; did you mean 'watch'" in str(it.notes()[-1].error)
            assert len(one.requests) == asked


def test_a_file_that_vanishes_is_a_wrong_one_and_coming_back_as_it_was_mends_it(
    tmp_path: Path, server: FaultServer
) -> None:
    right = SECOND + _target("a", server.url)
    with _collector(tmp_path, right) as it:
        it.place.config.unlink()
        until(lambda: it.notes())
        assert "there is no configuration at" in str(it.notes()[0].error)
        it.place.config.write_text(right)
        until(lambda: len(it.notes()) == 2)
        assert it.notes()[1].error is None
        assert "no target changed" in it.said()


def test_a_file_that_is_written_in_pieces_is_not_complained_of(tmp_path: Path, server: FaultServer) -> None:
    right = SECOND + _target("a", server.url)
    with _collector(tmp_path, right) as it:
        with it.place.config.open("w") as file:
            for piece in (right, "[[target]]\nname = ", '"new"\nmodel = "m"\n', f'base_url = "{server.url}"\n'):
                file.write(piece)
                file.flush()
                time.sleep(0.3)
        until(lambda: it.probes("new"))
        assert [run.error for run in it.notes()] == [None]


def test_a_budget_that_is_lowered_binds_at_once_and_what_was_spent_stays_spent(
    tmp_path: Path, server: FaultServer
) -> None:
    priced = "usd_per_million_input = 1000\nusd_per_million_output = 1000\n"
    text = SECOND + "usd_per_day = {}\n" + _target("a", server.url, priced)
    with _collector(tmp_path, text.format(100)) as it:
        until(lambda: len(it.probes("a")) >= 3)
        it.place.config.write_text(text.format("0.001"))
        until(lambda: "not probed: a: it could exceed the budget" in it.said())
        count = len(it.probes("a"))
        until(lambda: it.rows(BUDGETS, Budget)[0].usd_per_day == 0.001)
        assert it.rows(BUDGETS, Budget)[0].usd > 0
        time.sleep(3)
        assert len(it.probes("a")) <= count + 1  # one that was under way
        it.place.config.write_text(text.format(100))
        until(lambda: len(it.probes("a")) >= count + 3)


@pytest.mark.parametrize(("before_s", "after_s"), [(2, 3), (3, 1), (60, 1), (4, 2)])
def test_a_changed_interval_decides_no_slot_twice(
    tmp_path: Path, server: FaultServer, before_s: int, after_s: int
) -> None:
    text = SECOND + _target("a", server.url, 'every = "{}s"')
    with _collector(tmp_path, text.format(before_s)) as it:
        until(lambda: len(it.probes("a")) >= (1 if before_s > 10 else 3), 30)
        it.place.config.write_text(text.format(after_s))
        until(lambda: sum(probe.stands_for_s == after_s for probe in it.probes("a")) >= 4, 30)
        assert "missed" not in it.said()
    probes = it.probes("a")
    old = [probe for probe in probes if probe.stands_for_s == before_s]
    new = [probe for probe in probes if probe.stands_for_s == after_s]
    assert len(old) + len(new) == len(probes)
    schedule = schedule_of("a", "ping", after_s)
    slots = [schedule.slot_at(probe.started_at) for probe in new]
    assert all(b - a == 1 for a, b in pairwise(slots[1:])), slots
    assert len(set(slots)) == len(slots)
    # the slot that an old probe began in is decided, and the next one is the first that is decided anew
    assert slots[0] > schedule.slot_at(old[-1].started_at)
    if after_s < before_s:
        overlap_s = before_s - (new[0].started_at - old[-1].started_at) / 1_000
        assert overlap_s <= before_s


def test_a_probe_under_way_ends_with_its_old_configuration_and_its_row_is_kept(
    tmp_path: Path, server: FaultServer
) -> None:
    with FaultServer(chunked(4.0, *GOOD)) as slow:
        both = SECOND + _target("a", server.url) + _target("slow", slow.url, 'every = "1h"')
        with _collector(tmp_path, both) as it:
            until(lambda: slow.requests)
            it.place.config.write_text(SECOND + _target("a", server.url))
            until(lambda: it.states()["slow"] == "removed", 4)
            assert it.probes("slow") == []
            until(lambda: it.probes("slow"))
            [row] = it.probes("slow")
            assert (row.outcome, row.stands_for_s) == ("ok", 3_600)
        assert "Traceback" not in it.said()


def test_a_key_file_that_changes_is_a_change(tmp_path: Path, server: FaultServer) -> None:
    key = tmp_path / "key"
    more = _target("keyed", server.url, 'api_key_file = "key"')
    with _collector(tmp_path, SECOND + _target("a", server.url) + more) as it:
        until(lambda: it.states() == {"a": "active", "keyed": "waiting_for_key"})
        key.touch(0o600)
        key.write_text("first-key-of-the-test\n")
        until(lambda: it.probes("keyed"))
        key.write_text("second-key-of-the-test\n")
        until(lambda: any("second-key" in str(request) for request in server.requests))
        key.chmod(0o644)  # others may read it: wrong, until that is mended
        until(lambda: any("can be read by others" in str(run.error) for run in it.notes()))
        key.chmod(0o600)
        until(lambda: it.notes()[-1].error is None)
    assert "key-of-the-test" not in it.said()


def test_sighup_reads_the_file_at_once_and_says_again_what_is_wrong(tmp_path: Path, server: FaultServer) -> None:
    right = SECOND + _target("a", server.url)
    with _collector(tmp_path, right) as it:
        it.place.config.write_text(right + "[\n")
        os.kill(it.process.pid, signal.SIGHUP)
        until(lambda: it.said().count("is not valid TOML") == 1, 1.5)
        os.kill(it.process.pid, signal.SIGHUP)
        until(lambda: it.said().count("is not valid TOML") == 2, 1.5)
        assert len(it.notes()) == 1
        it.place.config.write_text(right + _target("new", server.url))
        os.kill(it.process.pid, signal.SIGHUP)
        until(lambda: "1 added (new)" in it.said(), 1.5)


def test_a_signal_that_comes_as_a_wait_ends_does_not_make_the_loop_wait_for_ever(tmp_path: Path) -> None:
    """It did with CPython's SimpleQueue, whose remaining time is then negative: without end."""
    script = """
import io, signal
from pathlib import Path
from settings.targets import parse
from collectors.scheduler.scheduler import Scheduler
from collectors.registry import choose_collectors
from collectors.scheduler.console import ConsoleReport
from store import open_store
config = parse('[[target]]\\nname="a"\\nmodel="m"\\nbase_url="http://127.0.0.1:9/v1"', Path("targets.toml"), {})
loop = Scheduler(config, open_store("sqlite:///a.db"), "here", ConsoleReport(io.StringIO()), choose_collectors(["probe"]))
signal.signal(signal.SIGALRM, lambda *_: None)
for n in range(1500):
    signal.setitimer(signal.ITIMER_REAL, 0.002 + (n % 50) * 4e-6)
    loop._record_ended(timeout_s=0.002)
loop.close()
"""
    place = CliFixture(tmp_path, "http://127.0.0.1:9/v1")
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=place.environment, timeout=30, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_only_keeps_its_meaning(tmp_path: Path, server: FaultServer) -> None:
    with _collector(tmp_path, SECOND + _target("a", server.url), "--only", "probe") as it:
        it.place.config.write_text(SECOND + 'local_servers_every = "1s"\n' + _target("b", server.url))
        until(lambda: len(it.probes("b")) >= 3)
        assert {run.collector for run in it.rows(RUNS, Run)} == {"probe", "configuration"}


def test_a_run_that_starts_with_a_right_file_says_that_it_is_mended(tmp_path: Path, server: FaultServer) -> None:
    right = SECOND + _target("a", server.url)
    with _collector(tmp_path, right) as it:
        it.place.config.write_text("[")
        until(lambda: it.notes())
    it.place.config.write_text(right)
    assert it.place.run("run", "--all")[0] == 0
    assert [run.error is None for run in it.notes()] == [False, True]


def _counts(process: int) -> tuple[float, int, int]:
    """A process's memory in MB, its threads, and its open files."""
    folder = Path(f"/proc/{process}")
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
    return int(status["VmRSS"].split()[0]) / 1_024, int(status["Threads"]), len(list((folder / "fd").iterdir()))


def test_two_hundred_targets_and_a_reload_each_three_seconds_leak_nothing(tmp_path: Path, server: FaultServer) -> None:
    """Each reload renames a tenth of the targets and moves another tenth to another path of the server."""

    def text(number: int) -> str:
        lines = [SECOND.replace('"1s"', '"5s"')]
        for n in range(200):
            name = f"t{n}" if n % 10 else f"t{n}-{number}"
            lines.append(_target(name, server.url.replace("/v1", f"/v{number}") if n % 10 == 1 else server.url))
        return "\n".join(lines)

    with _collector(tmp_path, text(0)) as it:
        samples = []
        for number in range(1, 15):
            _by_rename(it.place.config, text(number))
            until(lambda n=number: it.said().count("applied the changed ") == n)  # type: ignore[misc]
            time.sleep(2)
            samples.append(_counts(it.process.pid))
        early, late = (tuple(map(max, zip(*part, strict=True))) for part in (samples[2:6], samples[-4:]))
        assert late[0] < early[0] * 1.10, samples
        assert late[1] <= early[1] + 8, samples
        assert late[2] <= early[2] + 20, samples
        assert "Traceback" not in it.said()
        print(samples)
