"""A clock that is wrong by years, in real processes: nothing of the past is lost, nothing of the present refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from store import Selection, open_store
from store.horizon import horizon
from store.schema import BUDGETS, PROBES, RUNS, Probe
from tests.collectors.cli_fixture import CliFixture, until
from tests.factories import DAY, probe
from tests.fault_server import GOOD, FaultServer, chunked, usage
from tests.middlebox import program

pytestmark = pytest.mark.waits

SHIFTED = """
import pathlib, time
_real_ns, _file = time.time_ns, pathlib.Path(__file__).with_name("shift_s")
def _shifted():
    return _real_ns() + round(float(_file.read_text()) * 1e9)
time.time_ns = _shifted
time.time = lambda: _shifted() / 1e9
"""


class ShiftedPlace(CliFixture):
    """A place whose processes have a clock that is off by `days`, which may change while they run."""

    def __init__(self, folder: Path, base_url: str) -> None:
        super().__init__(folder, base_url)
        (folder / "sitecustomize.py").write_text(SHIFTED)
        self.set_clock(0)

    def set_clock(self, days: float) -> None:
        part = self.folder / "shift_s.part"
        part.write_text(str(days * 86_400))
        part.replace(self.folder / "shift_s")

    @property
    def environment(self) -> dict[str, str]:
        found = super().environment
        return found | {"PYTHONPATH": f"{self.folder}{os.pathsep}{found['PYTHONPATH']}"}


@pytest.fixture
def place(tmp_path: Path, server: FaultServer) -> ShiftedPlace:
    return ShiftedPlace(tmp_path, server.url)


def _now(place: CliFixture) -> int:
    return max(probe.started_at for probe in place.probes() if probe.target == "a")


def test_one_run_with_a_clock_that_is_500_days_ahead_prunes_nothing_and_the_next_one_records(
    place: ShiftedPlace,
) -> None:
    assert place.run("run")[0] == 0
    now = _now(place)
    store = open_store(place.url)
    store.write([probe(now - days * DAY, target="old", location="here") for days in range(1, 399)])
    store.close()
    place.set_clock(500)
    code, out, _ = place.run("run")
    assert code == 0
    assert "the clock was set forward by 500 days" in out
    place.set_clock(0)
    code, out, _ = place.run("run", "--all")
    assert code == 0
    assert "the clock was set back by 500 days" in out
    assert "1 probes in the store are dated in the future" in out
    ages = sorted((now - row.started_at) // DAY for row in place.probes() if row.target == "old")
    assert ages == list(range(1, 399)), "none of them is pruned"
    present = [row for row in place.probes() if row.target == "a" and abs(row.started_at - now) < DAY]
    assert len(present) == 2, "the last run's probe is recorded"
    code, out, err = place.run("check", "--health")
    assert (code, "1 probes are dated in the future" in err) == (0, True)
    place.set_clock(0.5)
    assert place.run("check", "--health")[0] == 1, "what is from the future does not pass for a sign of life"


def test_remove_future_says_what_it_would_do_then_does_it_and_can_be_undone(place: ShiftedPlace) -> None:
    place.run("run")
    place.set_clock(500)
    place.run("run")
    place.set_clock(-500)
    code, out, err = place.run("remove-future")
    assert code == 1, "of everything it would say that it is from the future"
    assert "this machine's clock may be behind" in err
    place.set_clock(0)
    code, out, _ = place.run("remove-future")
    assert code == 0
    assert "probes: 1 rows, up to " in out
    assert "nothing was changed: --yes saves these rows and removes them" in out
    assert len(place.probes()) == 2
    code, out, err = place.run("remove-future", "--yes")
    assert (code, err) == (0, "")
    assert len(place.probes()) == 1
    [saved] = (place.folder / "data").glob("from-the-future-*")
    assert {path.name for path in saved.iterdir()} >= {"probes.jsonl", "runs.jsonl", "budgets.jsonl"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in saved.iterdir())
    assert place.run("import", "probes", str(saved / "probes.jsonl"))[0] == 0
    assert len(place.probes()) == 2
    for _ in range(2):  # within a second too, each in a folder of its own
        assert place.run("import", "probes", str(saved / "probes.jsonl"))[0] == 0
        assert place.run("remove-future", "--yes", "--now", "2026-11-25T00:00Z")[0] == 0
    assert len(list((place.folder / "data").glob("from-the-future-20261125T000000Z*"))) == 2
    assert place.run("remove-future")[1].endswith("no row in this store is dated in the future\n")


def test_a_store_that_an_older_uptoken_pruned_by_a_wrong_clock_says_so_and_records_again_after_the_command(
    place: ShiftedPlace,
) -> None:
    place.run("run")
    store = open_store(place.url)
    store.write([probe(_now(place) + 500 * DAY, target="old")])
    while store.prune(_now(place) + 100 * DAY):
        pass
    store.close()
    code, out, _ = place.run("run", "--all")
    assert code == 1, "what was seen is not recorded"
    assert "1 probes were refused: the store prunes what is older than " in out
    code, _, err = place.run("check", "--health")
    assert (code, "the store refuses every row from before" in err) == (1, True)
    assert place.run("remove-future", "--yes")[0] == 0
    assert place.run("run", "--all")[0] == 0
    assert place.run("check", "--health")[0] == 0


def test_repair_brings_over_no_pruning_by_a_wrong_clock(place: ShiftedPlace) -> None:
    place.run("run")
    store = open_store(place.url)
    store.write([probe(_now(place) + 500 * DAY, target="old")])
    store.prune(_now(place) + 100 * DAY)
    store.close()
    assert place.run("repair")[0] == 0
    assert place.run("restore", f"{place.folder}/data/uptoken.db.repaired")[0] == 0
    before = len(place.probes())
    assert place.run("run", "--all")[0] == 0
    assert len(place.probes()) == before + 1


def test_a_budget_holds_though_the_clock_jumps_from_day_to_day(tmp_path: Path) -> None:
    # $1,000 a million: a probe costs $0.022 and may cost $0.08, so that $0.1 is enough for one of them
    with FaultServer(chunked(*GOOD, usage(10, 12))) as server:
        place = ShiftedPlace(tmp_path, server.url)
        place.configure(server.url, "usd_per_day = 0.1")
        text = place.config.read_text() + "usd_per_million_input = 1000\nusd_per_million_output = 1000\n"
        place.config.write_text(text)
        for days in (0, 500, 0, -30, 0, 500):
            place.set_clock(days)
            assert place.run("run", "--all")[0] == 0
        sent = [request for request in server.requests if request["line"].startswith("POST")]
    assert len(sent) == 1
    store = open_store(place.url, read_only=True)
    assert max(row[2] for row in store.read(BUDGETS)) < 0.1
    store.close()


def test_a_loop_whose_clock_jumps_ahead_and_back_goes_on_and_says_so(place: ShiftedPlace) -> None:
    process = place.start_loop()
    until(lambda: len(place.probes()) >= 2)
    now = _now(place)
    place.set_clock(500)
    until(lambda: any(row.started_at > now + 400 * DAY for row in place.probes()))
    place.set_clock(0)
    count = len(place.probes())
    until(lambda: sum(row.started_at < now + DAY for row in place.probes()) >= 5, 30)
    process.terminate()
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert "the clock was set forward by 500 days" in out
    assert "the clock was set back by 500 days" in out
    assert len(place.probes()) > count


def test_other_collectors_do_not_run_at_every_tick_because_a_run_is_from_the_future(place: ShiftedPlace) -> None:
    for days in (500, 0, 0, 0):
        place.set_clock(days)
        place.run("run", "--only", "local_servers")
    store = open_store(place.url, read_only=True)
    rows = list(store.read(RUNS, Selection(targets=("local_servers",)), columns=("started_at",)))
    store.close()
    assert len(rows) == 2, "one with the wrong clock, one with the right one"


@pytest.mark.parametrize("days", [-400, 500])
def test_the_same_with_the_systems_own_clock(tmp_path: Path, server: FaultServer, days: int) -> None:
    faketime, place = program("faketime"), CliFixture(tmp_path, server.url)
    place.run("run")
    now = _now(place)
    done = subprocess.run(
        [faketime, "-f", f"{days:+d}d", sys.executable, "-m", "collectors", "run", "--all"],
        cwd=tmp_path,
        env=place.environment | {"FAKETIME_DONT_FAKE_MONOTONIC": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert f"the clock was set {'forward' if days > 0 else 'back'} by {abs(days)} days" in done.stdout
    assert place.run("run", "--all")[0] == 0
    rows = [Probe(*row) for row in open_store(place.url, read_only=True).read(PROBES)]
    assert sum(abs(row.started_at - now) < DAY for row in rows) == 2
    assert sum(row.started_at >= horizon(now) for row in rows) == (days > 0)
