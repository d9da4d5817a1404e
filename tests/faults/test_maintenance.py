"""Pauses, exclusions, renames and deletions beside a collector that runs: real processes, a server on loopback."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from store import open_store
from store.schema import INCIDENTS, PAUSES, TARGETS, Pause, Target
from tests.collectors.cli_fixture import CliFixture, until
from tests.fault_server import FaultServer

pytestmark = pytest.mark.waits
SECOND = '[collector]\nevery = "1s"\nthroughput_every = "off"\nconfirm_after = "50ms"\n'


def _place(folder: Path, server: FaultServer, more: str = "", head: str = SECOND) -> CliFixture:
    place = CliFixture(folder, server.url, configures=False)
    targets = "".join(f'[[target]]\nname = "{name}"\nmodel = "m"\nbase_url = "{server.url}"\n' for name in "ab")
    place.config.write_text(f"{head}{targets}{more}\n")
    return place


def _outcomes(place: CliFixture, name: str) -> list[str]:
    probes = sorted((p for p in place.probes() if p.target == name), key=lambda probe: probe.started_at)
    return [probe.outcome for probe in probes]


def _posts(server: FaultServer) -> int:
    return sum(request["line"].startswith("POST") for request in server.requests)


def _say(place: CliFixture, *words: str) -> str:
    code, out, err = place.run(*words)
    assert code == 0, err
    return out


HOUR = '[collector]\nevery = "1h"\nthroughput_every = "off"\nconfirm_after = "50ms"\n'


def test_a_single_run_sends_nothing_in_a_maintenance_window_and_records_that(
    tmp_path: Path, server: FaultServer
) -> None:
    now = datetime.now(UTC)
    window = f"from = {now - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}\nto = {now + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    place = _place(tmp_path, server, f'[[maintenance]]\nname = "Move"\ntargets = ["a"]\n{window}', HOUR)
    out = _say(place, "run")
    assert _posts(server) == 1
    paused, probed = sorted(place.probes(), key=lambda probe: probe.target)
    assert (paused.outcome, paused.stands_for_s, paused.cost_usd, paused.http_status) == ("paused", 3_600, None, None)
    assert paused.error and paused.error.startswith("maintenance (Move) until 20")
    assert probed.outcome == "ok"
    assert "----  a  paused: maintenance (Move)" in out
    store = open_store(place.url, read_only=True)
    planned = {row.name: row.maintenance for row in (Target(*values) for values in store.read(TARGETS))}
    assert planned["b"] is None and json.loads(planned["a"] or "")[0]["name"] == "Move"
    store.close()
    assert "nothing is due" in _say(place, "run")
    assert len(place.probes()) == 2


def test_a_running_collector_obeys_a_pause_and_its_end_within_a_tick(tmp_path: Path, server: FaultServer) -> None:
    place = _place(tmp_path, server)
    loop = place.start("run", "--every", "1")
    try:
        until(lambda: _outcomes(place, "a"))
        out = _say(place, "pause", "a", "--for", "1h", "--reason", "new disk")
        assert out.startswith("a: paused until 20") and "`resume` ends it" in out
        paused_at = time.time() * 1_000
        until(lambda: _outcomes(place, "a")[-2:] == ["paused", "paused"])
        first = min(p.started_at for p in place.probes() if p.outcome == "paused")
        assert first - paused_at < 2_500  # its tick, and the slot after it
        assert _say(place, "resume", "*").startswith("a: resumed")
        until(lambda: _outcomes(place, "a")[-1] == "ok")
        slots = sorted(p.started_at for p in place.probes() if p.target == "a")
        assert max(after - before for before, after in pairwise(slots)) < 1_900, slots  # no gap
        assert set(_outcomes(place, "b")) == {"ok"}
        assert "nothing was paused" in _say(place, "resume", "a")
    finally:
        loop.terminate()
        loop.communicate(timeout=20)
    store = open_store(place.url, read_only=True)
    [pause] = [Pause(*row) for row in store.read(PAUSES)]
    assert pause.ends_at is not None and pause.ends_at < time.time() * 1_000 and pause.reason == "new disk"
    store.close()


def test_a_pause_ends_by_itself_and_a_new_one_takes_its_place(tmp_path: Path, server: FaultServer) -> None:
    place = _place(tmp_path, server)
    _say(place, "run")
    _say(place, "pause", "a", "b")
    _say(place, "pause", "a*", "--for", "1s")
    time.sleep(1.1)
    _say(place, "run")
    assert _outcomes(place, "a") == ["ok", "ok"] and _outcomes(place, "b") == ["ok", "paused"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("pause", "c"), "no target is named 'c'; there is 'a', 'b' (see --help)"),
        (("pause", "a", "--for", "soon"), "'soon' is not a duration; write it as 30s, 5m, 1h or 1d"),
        (("pause",), "Missing argument 'TARGET...'"),
        (("exclude", "a"), "give targets and --from, or --undo ID, or --list"),
        (("exclude", "a", "--from", "1h", "--to", "2h"), "--to must be later than --from"),
        (("exclude", "a", "--from", "1h", "--to", "2099-01-01"), "it is in the future: use pause"),
        (("exclude", "--undo", "x"), "no range with the ID 'x' is excluded; --list shows them"),
        (("delete", "c"), "no target is named 'c'"),
        (("delete", "a"), "there is no terminal to ask on: add --yes"),
        (("rename", "c", "d"), "no target is named 'c'"),
        (("rename", "a", "a"), "give two different names"),
        (("rename", "a", "b"), "has a target 'b' besides 'a': give each its own name"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_2(
    tmp_path: Path, server: FaultServer, words: tuple[str, ...], message: str
) -> None:
    place = _place(tmp_path, server)
    before = place.config.read_text()
    code, _, err = place.run(*words)
    assert code == 2 and message in err and "Traceback" not in err
    assert place.config.read_text() == before


def test_an_outage_that_is_excluded_is_no_incident_and_comes_back_when_that_is_undone(tmp_path: Path) -> None:
    place = CliFixture(tmp_path, "http://127.0.0.1:9/v1")
    place.set_every("1s")
    for _ in range(2):
        _say(place, "run")
        time.sleep(1)

    def incidents() -> int:
        store = open_store(place.url, read_only=True)
        try:
            return store.count(INCIDENTS)
        finally:
            store.close()

    before = place.probes()
    assert incidents() == 1 and "nothing is excluded" in _say(place, "exclude", "--list")
    out = _say(place, "exclude", "*", "--from", "1h", "--reason", "our own switch")
    assert out.startswith(f"a: {len(before)} probes count as paused now")
    [line] = _say(place, "exclude", "--list").splitlines()
    assert line.endswith("  a  our own switch")
    assert incidents() == 0 and {p.outcome for p in place.probes()} == {"paused"}
    assert f"a: {len(before)} probes count again" in _say(place, "exclude", "--undo", line.split()[0])
    assert incidents() == 1 and place.probes() == before


def test_a_target_is_renamed_while_its_collector_runs_and_nothing_is_lost(tmp_path: Path, server: FaultServer) -> None:
    place = _place(tmp_path, server, '# a window\n[[maintenance]]\ntargets = ["a"]\nfrom = 2020-01-01\nto = 2020-01-02')
    loop = place.start("run", "--every", "1")
    try:
        until(lambda: len(_outcomes(place, "a")) >= 2)
        before = {p.started_at for p in place.probes() if p.target == "a"}
        out = _say(place, "rename", "a", "acme/a")
        assert out.startswith("a is acme/a now: ") and "targets.toml was changed" in out
        count = len(_outcomes(place, "acme/a"))
        until(lambda: len(_outcomes(place, "acme/a")) > count)
    finally:
        loop.terminate()
        loop.communicate(timeout=20)
    assert before <= {p.started_at for p in place.probes() if p.target == "acme/a"}
    assert _outcomes(place, "a") == []
    text = place.config.read_text()
    assert '# a window\n[[maintenance]]\ntargets = ["acme/a"]' in text and 'name = "acme/a"' in text
    store = open_store(place.url, read_only=True)
    assert {row.name: row.state for row in (Target(*row) for row in store.read(TARGETS))} == {
        "acme/a": "active",
        "b": "active",
    }
    slots = sum(row[-1] for row in store.rollups("day", columns=("ok",)) if row[0] == "acme/a")
    assert slots == len(_outcomes(place, "acme/a"))
    store.close()


def test_a_target_is_deleted_with_its_roll_ups_and_the_others_stay(tmp_path: Path, server: FaultServer) -> None:
    place = _place(tmp_path, server)
    _say(place, "run")
    kept = [p for p in place.probes() if p.target == "b"]
    code, out, err = place.run("delete", "a", "--yes")
    assert code == 0 and out.startswith("a: 1 probes, 0 requests and all their roll-ups were deleted")
    assert "a: still in targets.toml, so a new history begins" in err
    assert place.probes() == kept
    store = open_store(place.url, read_only=True)
    assert {row[0] for row in store.rollups("hour")} == {series.newest.target for series in store.series()} == {"b"}
    store.close()
