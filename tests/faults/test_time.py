"""Clocks that are set, processes that are held, collectors that stop: no double, no lost, no negative duration."""

from __future__ import annotations

import io
import signal
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from collectors.registry import choose_collectors
from collectors.scheduler.console import ConsoleReport
from collectors.scheduler.scheduler import Scheduler
from store import open_store
from store.schema import PROBES, RUNS, Probe
from tests.collectors.builders import config
from tests.collectors.cli_fixture import CliFixture, until
from tests.fault_server import FaultServer

pytestmark = pytest.mark.waits

HOUR_NS = 3_600_000_000_000


def test_a_collector_that_was_held_goes_on_without_doubles_and_leaves_a_gap(
    tmp_path: Path, server: FaultServer
) -> None:
    place = CliFixture(tmp_path, server.url)
    process = place.start_loop()
    until(lambda: len(place.probes()) >= 3)
    process.send_signal(signal.SIGSTOP)
    time.sleep(4)
    process.send_signal(signal.SIGCONT)
    count = len(place.probes())
    until(lambda: len(place.probes()) >= count + 3)
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 0
    probes = place.probes()
    steps = [after.started_at - before.started_at for before, after in pairwise(probes)]
    assert sum(step > 3_000 for step in steps) == 1, "the time that it was held is a gap, once"
    # the first probe is made at once, anywhere in its slot, and the second at the beginning of the next one
    assert min(steps[1:]) > 400, "what was missed is not made up for"
    assert all(probe.outcome == "ok" and probe.stands_for_s == 1 for probe in probes)
    store = open_store(place.url, read_only=True)
    counted = sum(count for (count,) in store.read(RUNS, columns=("skipped",)))
    store.close()
    assert 3 <= counted <= 5, "what was missed is counted"


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_set_by_an_hour_silences_nobody_and_makes_no_negative_time(
    tmp_path: Path, server: FaultServer, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    shift, real = [0], time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + shift[0])
    monkeypatch.setattr(time, "time", lambda: (real() + shift[0]) / 1e9)
    store = open_store(f"sqlite:///{tmp_path}/clock.db")
    loop = Scheduler(
        config({"base_url": server.url, "every": "1s"}),
        store,
        "here",
        ConsoleReport(io.StringIO()),
        choose_collectors(["probe"]),
    )
    thread = threading.Thread(target=loop.run_every, args=(1.0,))
    thread.start()
    try:
        until(lambda: store.count(PROBES) >= 2)
        shift[0] = hours * HOUR_NS
        set_at, before = time.monotonic(), store.count(PROBES)
        until(lambda: store.count(PROBES) >= before + 3, 10)
        assert time.monotonic() - set_at < 8
    finally:
        loop.stop.set()
        thread.join()
        loop.close()
    probes = [Probe(*row) for row in store.read(PROBES)]
    store.close()
    assert 5 <= len(probes) < 15, "an hour forward is one probe, not all that were missed"
    assert len({probe.started_at for probe in probes}) == len(probes)
    for probe in probes:
        assert probe.stands_for_s == 1
        assert probe.total_ms is not None and probe.ttft_ms is not None and 0 < probe.ttft_ms <= probe.total_ms < 1_000


def test_health_says_whether_the_collector_runs(tmp_path: Path, server: FaultServer) -> None:
    place = CliFixture(tmp_path, server.url)
    code, _, err = place.run("check", "--health")
    assert (code, "no store at" in err) == (3, True)
    place.run("run")
    code, out, _ = place.run("check", "--health")
    assert code == 0
    assert out.startswith("the collector is running: it last recorded something ")
    store = open_store(place.url)
    newest = store.series()[0].newest
    store.close()
    assert newest.started_at > 0
    later = time.time_ns() - 3 * HOUR_NS
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(time, "time_ns", lambda: later + 6 * HOUR_NS)
        from cli.check import _health

        assert _health(place.url) == 1


def test_a_copy_is_made_put_back_and_undone_by_commands(tmp_path: Path, server: FaultServer) -> None:
    place = CliFixture(tmp_path, server.url)
    place.run("run")
    copy = str(tmp_path / "copy.db")
    assert place.run("backup", copy)[0] == 0
    code, _, err = place.run("backup", copy)
    assert (code, "already exists" in err) == (3, True)
    place.run("run", "--all")
    assert len(place.probes()) == 2
    code, _, err = place.run("restore", copy)
    assert code == 0
    assert len(place.probes()) == 1
    aside = err.split("the previous store is ")[1].split(":")[0]
    assert place.run("restore", aside)[0] == 0
    assert len(place.probes()) == 2
    code, _, err = place.run("repair")
    assert (code, "probes: 2 rows" in err) == (0, True)
    code, _, err = place.run("backup", copy, "--store", "clickhouse://here/db")
    assert (code, "a ClickHouse server has BACKUP" in err) == (2, True)
    process = place.start_loop()
    until(lambda: len(place.probes()) >= 3)
    for words in (("restore", copy), ("repair",)):
        code, _, err = place.run(*words)
        assert (code, "another collector is running" in err) == (3, True)
    process.terminate()
    process.communicate(timeout=20)
