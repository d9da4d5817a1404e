"""Runs of a timer that overlap, as cron starts them: real processes, a target that hangs, one that does not."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from collectors.scheduler.lock import nobody_writes
from collectors.scheduler.schedule import schedule_of
from store import open_store
from store.schema import BUDGETS, RUNS, Probe, Run
from tests.collectors.cli_fixture import CliFixture, until
from tests.fault_server import GOOD, FaultServer, chunked, raw

pytestmark = pytest.mark.waits

EVERY_S = 3.0


@contextmanager
def _place(folder: Path, *, timeout_s: float = 5.0, more: str = "", every_s: float = EVERY_S) -> Iterator[CliFixture]:
    """A healthy target `a` and one that hangs, `h`: 5 s, 1 s, 5 s make 11 s of a first failure."""
    with FaultServer(chunked(*GOOD)) as good, FaultServer(raw(60.0)) as hanging:
        place = CliFixture(folder, good.url)
        place.config.write_text(
            f'[collector]\nevery = "{every_s:g}s"\ntimeout = "{timeout_s:g}s"\nconfirm_after = "1s"\n'
            f'throughput_every = "off"\n{more}\n'
            f'[[target]]\nname = "a"\nmodel = "m"\nbase_url = "{good.url}"\n'
            f'[[target]]\nname = "h"\nmodel = "m"\nbase_url = "{hanging.url}"\n'
        )
        yield place


def _timer(place: CliFixture, runs: int, every_s: float = EVERY_S) -> list[subprocess.Popen[str]]:
    """Start a run each interval, whether the last one has ended or not."""
    began = time.monotonic()
    processes = []
    for number in range(runs):
        time.sleep(max(0.0, began + number * every_s - time.monotonic()))
        processes.append(place.start("run"))
    return processes


def _ended(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    found = []
    for process in processes:
        out, err = process.communicate(timeout=60)
        found.append((process.returncode, out, err))
    return found


def _posts(server: FaultServer) -> list[dict[str, object]]:
    return [request for request in server.requests if request["line"].startswith("POST")]


def _by_target(place: CliFixture) -> dict[str, list[Probe]]:
    found: dict[str, list[Probe]] = {"a": [], "h": []}
    for probe in place.probes():
        found[probe.target].append(probe)
    return found


def _runs(place: CliFixture) -> list[Run]:
    store = open_store(place.url, read_only=True)
    found = [Run(*row) for row in store.read(RUNS)]
    store.close()
    return [run for run in found if run.collector == "probe"]


@pytest.mark.alone
def test_a_target_that_hangs_costs_no_other_one_a_slot_and_decides_all_of_its_own(tmp_path: Path) -> None:
    with _place(tmp_path) as place:
        ended = _ended(_timer(place, 7))
    assert [code for code, _, _ in ended] == [0] * 7
    assert [err for _, _, err in ended] == [""] * 7
    probes = _by_target(place)
    # the last run waits until 23 s: no other came at 21 s, so it made that tick itself
    assert [(row.outcome, row.stands_for_s) for row in probes["a"]] == [("ok", EVERY_S)] * 8
    assert all(2 < (b.started_at - a.started_at) / 1_000 < 4 for a, b in pairwise(probes["a"]))
    # 11 s from 0 s on cover the slots of 0, 3, 6 and 9 s; 5 s from 12 s on those of 12 and 15 s; 5 s from 18 s on two
    assert [row.outcome for row in probes["h"]] == ["timeout"] * 4
    assert [row.stands_for_s for row in probes["h"]] == [0, 12, 6, 6]
    assert sum(run.skipped for run in _runs(place)) == 5, "at 3, 6, 9, 15 and 21 s it was under way"


def test_both_kinds_of_scheduling_agree_which_slots_a_hanging_target_decides(tmp_path: Path) -> None:
    with _place(tmp_path) as place:
        process = place.start("run", "--every", "1")
        until(lambda: len(_by_target(place)["h"]) >= 3, 30)
        process.terminate()
        process.communicate(timeout=20)
    rows = _by_target(place)["h"]
    schedule = schedule_of("h", "ping", EVERY_S)
    assert rows[0].stands_for_s == 0
    # the first probe of all starts at once, anywhere in its slot
    assert rows[1].stands_for_s in (12, 15)
    first = schedule.slot_at(rows[0].started_at)
    assert schedule.slot_at(rows[2].started_at) == first + rows[1].stands_for_s / EVERY_S
    assert rows[2].stands_for_s == 6


def test_a_run_that_is_killed_loses_only_its_own_probes_and_the_others_take_its_slots(tmp_path: Path) -> None:
    with _place(tmp_path) as place:
        first = place.start("run")
        until(lambda: _by_target(place)["a"], 15)  # the healthy one is recorded while the other hangs
        first.kill()
        first.communicate(timeout=10)
        assert _by_target(place)["h"] == []
        _ended([place.start("run")])
        probes = _by_target(place)
    assert len(probes["h"]) == 2, "its slot was not decided by the run that was killed"
    assert probes["h"][1].stands_for_s >= EVERY_S
    assert max(Counter(schedule_of("a", "ping", EVERY_S).slot_at(row.started_at) for row in probes["a"]).values()) == 1


def test_a_budget_holds_across_runs_that_overlap_and_one_that_is_killed(tmp_path: Path) -> None:
    # at most 64 x $1,000 + 16 x $1,000 per million = $0.08 a probe: three of them fit, whichever run makes them
    with FaultServer(raw(60.0)) as hanging:
        place = CliFixture(tmp_path, hanging.url)
        targets = "".join(
            f'[[target]]\nname = "t{n}"\nmodel = "m"\nbase_url = "{hanging.url}"\n'
            "usd_per_million_input = 1000\nusd_per_million_output = 1000\n"
            for n in range(2)
        )
        place.config.write_text(
            '[collector]\nevery = "1s"\ntimeout = "4s"\nconfirm_after = "100ms"\nthroughput_every = "off"\n'
            f"usd_per_day = 0.25\nmax_parallel = 200\n{targets}"
        )
        first = place.start("run")
        until(lambda: len(_posts(hanging)) == 2, 15)
        first.kill()
        first.communicate(timeout=10)
        ended = _ended([place.start("run") for _ in range(4)])
    assert [code for code, _, _ in ended] == [0] * 4
    assert len(_posts(hanging)) == 3, "what the killed run had sent may have been billed"
    assert sum("could exceed the budget" in out for _, out, _ in ended) >= 1
    assert len(place.probes()) == 1


def test_requests_per_day_hold_across_runs_that_overlap(tmp_path: Path) -> None:
    with FaultServer(chunked(*GOOD)) as server:
        place = CliFixture(tmp_path, server.url)
        place.config.write_text(place.config.read_text() + "requests_per_day = 3\n")
        _ended([place.start("run", "--all") for _ in range(6)])
    assert len(place.probes()) <= 3
    assert len(_posts(server)) <= 3


def test_a_run_that_lasts_makes_the_ticks_that_systemd_does_not_start_meanwhile(tmp_path: Path) -> None:
    """systemd starts no second run of a service that is active, so a run that waits for a probe does its work."""
    with _place(tmp_path, timeout_s=6, every_s=3) as place:
        text = place.config.read_text()
        place.config.write_text(text.split('[[target]]\nname = "h"')[0])
        _ended(_timer(place, 5, 3.0))  # the timer's step is known from its last runs
        place.config.write_text(text)
        before = len(_by_target(place)["a"])
        time.sleep(1)
        _ended([place.start("run")])  # 6 s, 1 s, 6 s
        fresh = _by_target(place)["a"][before:]
    assert 4 <= len(fresh) <= 6, "13 s are four or five slots of 3 s"
    schedule = schedule_of("a", "ping", 3)
    assert max(Counter(schedule.slot_at(row.started_at) for row in fresh).values()) <= 2
    assert sum(row.stands_for_s for row in fresh) == 3 * len(fresh)


@pytest.mark.alone
def test_an_interval_that_is_shorter_than_the_timers_is_said_with_the_one_to_set(tmp_path: Path) -> None:
    with FaultServer(chunked(*GOOD)) as server:
        place = CliFixture(tmp_path, server.url)
        place.set_every("1s")
        ended = _ended(_timer(place, 5, 3.0))
        code, out, _ = place.run("check")
    assert "a run starts every" not in ended[0][1]
    wanted = "a is to be probed every 1 s, but a run starts every 3 s: 33% of its slots can be decided"
    assert wanted in ended[-1][1]
    assert code == 0
    assert wanted in " ".join(out.split())
    assert 'Set every = "3s"' in " ".join(out.split())


BREAKS = """
import collectors.probe, sys
from cli import main
real = collectors.probe.probe_once
def probe_once(task):
    if task.target.name == "a":
        raise RuntimeError("a bug with the key sk-canary-0123456789")
    return real(task)
collectors.probe.probe_once = probe_once
sys.argv = ["collectors", "run"]
main()
"""


def test_a_bug_of_ours_is_a_row_and_exit_code_1_and_no_outage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K", "sk-canary-0123456789")
    with FaultServer(chunked(*GOOD)) as server:
        place = CliFixture(tmp_path, server.url)
        text = place.config.read_text() + 'api_key_env = "K"\nusd_per_million_input = 1\nusd_per_million_output = 1\n'
        place.config.write_text(text + f'[[target]]\nname = "b"\nmodel = "m"\nbase_url = "{server.url}"\n')
        done = place.python(BREAKS)
    assert done.returncode == 1
    assert "Uptoken itself failed; please report this" in done.stderr
    assert "in probe_once\nRuntimeError: a bug with the key [key]" in done.stderr
    assert "sk-canary" not in done.stderr + done.stdout
    rows = {row.target: row for row in place.probes()}
    assert (rows["a"].outcome, rows["a"].error) == ("internal_error", "RuntimeError: a bug with the key [key]")
    assert rows["b"].outcome == "ok"
    assert [run.error for run in _runs(place)] == ["a: RuntimeError: a bug with the key [key]"]
    store = open_store(place.url, read_only=True)
    [(usd,)] = store.read(BUDGETS, columns=("usd",))
    store.close()
    assert usd == pytest.approx((64 + 16) / 1e6), "what was set aside for it stays set aside"


def test_two_locations_over_one_store_do_not_wait_for_each_others_probes(tmp_path: Path) -> None:
    with FaultServer(raw(60.0)) as hanging:
        place = CliFixture(tmp_path, hanging.url)
        place.config.write_text(place.config.read_text().replace('confirm_after = "50ms"', 'timeout = "8s"'))
        processes = [place.start("run", UPTOKEN_LOCATION=name) for name in ("here", "there")]
        until(lambda: len(_posts(hanging)) == 2, 7)
        for process in processes:
            process.kill()
            process.communicate(timeout=10)


def _service(place: CliFixture) -> subprocess.Popen[str]:
    """A run as systemd starts it."""
    return subprocess.Popen(
        ["sh", "-c", f"SYSTEMD_EXEC_PID=$$ exec {sys.executable} -m collectors run"],
        cwd=place.folder,
        env=place.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_first_run_of_a_service_makes_the_ticks_of_a_timer_that_it_does_not_know_yet(tmp_path: Path) -> None:
    # a run takes over a tenth of the interval after a timer would have come, and may be a quarter late: of 4 s, the
    # 0.6 s between the two are enough for a machine that is busy
    with _place(tmp_path, timeout_s=7, every_s=4) as place:
        place.config.write_text(place.config.read_text().replace('name = "h"', 'name = "h"\nevery = "24h"'))
        _ended([_service(place)])  # 7 s, 1 s, 7 s
        probes = _by_target(place)
    assert [row.outcome for row in probes["h"]] == ["timeout"] * 2
    assert len(probes["a"]) >= 4, "15 s are four slots of 4 s"
    assert all(2 < (b.started_at - a.started_at) / 1_000 < 8 for a, b in pairwise(probes["a"])), "a slot was lost"
    assert [row.stands_for_s for row in probes["a"]] == [4] * len(probes["a"])


def test_a_run_that_lasts_leaves_the_next_ticks_to_a_run_that_reads_the_changed_configuration(tmp_path: Path) -> None:
    with _place(tmp_path, timeout_s=3, every_s=1) as place:
        process = _service(place)  # it makes a tick a second, for as long as a probe hangs
        try:
            until(lambda: len(_by_target(place)["a"]) >= 4, 20)
            assert process.poll() is None
            place.config.write_text(place.config.read_text().replace('name = "h"', 'name = "h"\nevery = "1h"'))
            process.communicate(timeout=15)
        finally:
            process.kill()
    assert process.returncode == 0


def test_what_a_run_saw_is_recorded_when_the_store_cannot_be_read_for_the_ticks_it_takes_over(tmp_path: Path) -> None:
    with _place(tmp_path, timeout_s=3, every_s=1) as place:
        done = place.python(
            "import os, sys\nos.environ['SYSTEMD_EXEC_PID'] = str(os.getpid())\n"
            "from collectors.scheduler.state import SchedulerState\nfrom store import StoreError\n"
            "read, calls = SchedulerState.read_series, []\n"
            "def read_series(state):\n"
            "    calls.append(1)\n"
            "    if len(calls) > 1: raise StoreError('the server is gone')\n"
            "    read(state)\n"
            "SchedulerState.read_series = read_series\n"
            "from cli import main\nsys.argv = ['collectors', 'run']\nsys.exit(main())\n"
        )
        probes = _by_target(place)
    assert "the server is gone: nothing more is planned until then" in done.stdout
    assert done.returncode == 0, done.stderr
    assert [row.outcome for row in probes["h"]] == ["timeout"] * 2


def test_a_loop_that_may_not_start_fails_so_that_a_supervisor_starts_it_again(tmp_path: Path) -> None:
    with FaultServer(chunked(*GOOD)) as server:
        place = CliFixture(tmp_path, server.url)
        with nobody_writes(place.url):
            code, _, err = place.run("run", "--every", "1")
            assert code == 3
            assert "the store is being restored, repaired or rebuilt: start this run again afterwards" in err
            assert place.run("run")[0] == 0, "a timer starts the next one anyway"


def _with_files(place: CliFixture, soft: int, hard: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "collectors", "run"],
        cwd=place.folder,
        env=place.environment,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),
        capture_output=True,
        text=True,
        check=False,
    )


def test_more_targets_than_files_are_allowed_are_no_outage_of_theirs(tmp_path: Path) -> None:
    with FaultServer(raw(60.0)) as hanging:
        place = CliFixture(tmp_path, hanging.url)
        names = "".join(
            f'[[target]]\nname = "t{n}"\nmodel = "m"\nbase_url = "{hanging.url}"\nmax_parallel = 200\n'
            for n in range(80)
        )
        place.config.write_text(
            '[collector]\nevery = "1h"\ntimeout = "2s"\nconfirm_after = "50ms"\nthroughput_every = "off"\n' + names
        )
        allowed = _with_files(place, 64, 4_096)
        assert {row.outcome for row in place.probes()} == {"timeout"}, "it asks for the files that it needs"
        assert allowed.returncode == 0
        before = len(place.probes())
        place.config.write_text(place.config.read_text().replace("1h", "1s"))
        time.sleep(1)
        refused = _with_files(place, 64, 64)
        outcomes = {row.outcome for row in sorted(place.probes(), key=lambda row: row.started_at)[before:]}
    assert outcomes <= {"timeout", "offline"}, refused.stderr
    assert refused.returncode == 0
