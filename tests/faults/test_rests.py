"""A server asks for a rest: it gets one, whoever runs next. Real processes, a server on loopback."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collectors.scheduler.schedule import schedule_of
from store import open_store
from store.schema import RATE_LIMITS, RUNS, RateLimit, Run
from tests.collectors.cli_fixture import CliFixture, until
from tests.fault_server import DONE, GOOD, FaultServer, Script, answer, chunked, event

pytestmark = pytest.mark.waits

SLOW_DOWN = {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}


GOOD_RESPONSE = chunked(*GOOD)


def _first(first: Script, then: Script = GOOD_RESPONSE) -> tuple[Script, list[float]]:
    """A server that responds to its first request like this, and then like that; and when requests came."""
    times: list[float] = []

    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        if request["line"].startswith("POST"):
            times.append(time.time())
        (first if len(times) <= 1 else then)(connection, request)

    return script, times


def _limits(place: CliFixture) -> list[RateLimit]:
    store = open_store(place.url, read_only=True)
    found = [RateLimit(*row) for row in store.read(RATE_LIMITS)]
    store.close()
    return found


def _runs(place: CliFixture) -> list[Run]:
    store = open_store(place.url, read_only=True)
    found = [Run(*row) for row in store.read(RUNS)]
    store.close()
    return [run for run in found if run.collector == "probe"]


def _skipped(place: CliFixture) -> int:
    return sum(run.skipped for run in _runs(place))


def _place(folder: Path, server: FaultServer) -> CliFixture:
    """Two seconds are enough for a busy machine to send a probe in the slot in which it was planned."""
    place = CliFixture(folder, server.url)
    place.set_every("2s")
    return place


def _next_slot(every_s: float = 2.0) -> None:
    """Wait until a probe of `a` would be due again."""
    time.sleep(every_s + 0.05)


def test_a_timers_next_runs_leave_a_server_alone_until_the_moment_that_it_named(tmp_path: Path) -> None:
    script, times = _first(answer(429, SLOW_DOWN, Retry_After="3600"))
    with FaultServer(script) as server:
        place = _place(tmp_path, server)
        code, out, _ = place.run("run")
        assert code == 0
        said = r"a rests until [0-9:-]+ ?[0-9:]* because the server asked for it \(HTTP 429, retry after 1 h\)"
        assert re.search(said, out)
        for _ in range(2):
            _next_slot()
            code, out, err = place.run("run")
            assert (code, err) == (0, "")
            assert re.search(f"not probed: {said.replace('a rests', 'a: rests')}", out)
    assert len(times) == 1
    assert [(row.outcome, row.error) for row in place.probes()] == [
        ("rate_limited", "HTTP 429, rate_limit_exceeded: slow down (retry after 3600)")
    ]
    assert _skipped(place) == 2
    [row] = _limits(place)
    assert row.rests_until is not None
    assert abs(row.rests_until - (times[0] + 3_600) * 1_000) < 1_000
    assert row.reason == "the server asked for it (HTTP 429, retry after 1 h)"


def test_a_person_who_asks_for_a_probe_gets_one_and_a_good_response_ends_the_rest(tmp_path: Path) -> None:
    script, times = _first(answer(429, SLOW_DOWN, Retry_After="3600"))
    with FaultServer(script) as server:
        place = _place(tmp_path, server)
        place.run("run")
        _next_slot()
        place.run("run", "--all")
        assert len(times) == 2
        assert _limits(place)[0].rests_until is None
        _next_slot()
        code, out, _ = place.run("run")
    assert code == 0 and "rests" not in out
    assert [row.outcome for row in place.probes()] == ["rate_limited", "ok", "ok"]


def test_without_the_shared_file_the_store_says_who_rests(tmp_path: Path) -> None:
    script, times = _first(answer(429, SLOW_DOWN, Retry_After="3600"))
    with FaultServer(script) as server:
        place = _place(tmp_path, server)
        place.run("run")
        for path in (tmp_path / "data").glob("*state*"):
            path.unlink()
        _next_slot()
        _, out, _ = place.run("run")
    assert "retry after 1 h" in out and "not probed" in out
    assert len(times) == 1


def test_what_is_due_next_is_reckoned_from_the_end_of_a_rest(tmp_path: Path) -> None:
    script, _ = _first(answer(429, SLOW_DOWN, Retry_After="7200"))
    with FaultServer(script) as server:
        place = _place(tmp_path, server)
        place.set_every("10m")
        place.run("run")
        _, out, _ = place.run("run", "--only", "probe")
    minutes = re.search(r"nothing is due; the next probe is in ([0-9.]+) (h|min)", out)
    assert minutes is not None
    assert 119 <= float(minutes[1]) * (60 if minutes[2] == "h" else 1) <= 131, "two hours, and up to a slot"


def _clock_ahead_in_the_file(place: CliFixture) -> None:
    [path] = (place.folder / "data").glob("*collector-state*")
    sections = json.loads(path.read_bytes())
    ahead = round(time.time() * 1_000) + 5 * 365 * 86_400_000
    sections["here"]["rests"]["a"][:2] = [ahead, ahead + 3_600_000]
    path.write_text(json.dumps(sections))
    with sqlite3.connect(place.store_path) as connection:
        connection.execute("DELETE FROM rate_limits")


def _clock_ahead_in_the_store(place: CliFixture) -> None:
    for path in (place.folder / "data").glob("*collector-state*"):
        path.unlink()
    with sqlite3.connect(place.store_path) as connection:
        years = 5 * 365 * 86_400_000
        connection.execute(
            f"UPDATE rate_limits SET updated_at = updated_at + {years}, rests_until = rests_until + {years}"
        )


def _endless_in_the_store(place: CliFixture) -> None:
    """A day at most since it was noted, whatever the row says."""
    for path in (place.folder / "data").glob("*collector-state*"):
        path.unlink()
    with sqlite3.connect(place.store_path) as connection:
        connection.execute("UPDATE rate_limits SET updated_at = updated_at - 86400000, rests_until = 9000000000000000")


@pytest.mark.parametrize("spoil", [_clock_ahead_in_the_file, _clock_ahead_in_the_store, _endless_in_the_store])
def test_a_rest_that_a_wrong_clock_noted_is_not_believed(tmp_path: Path, spoil: Callable[[CliFixture], None]) -> None:
    script, times = _first(answer(429, SLOW_DOWN, Retry_After="3600"))
    with FaultServer(script) as server:
        place = _place(tmp_path, server)
        place.run("run")
        spoil(place)
        _next_slot()
        code, out, _ = place.run("run")
    assert code == 0 and "rests" not in out
    assert len(times) == 2


def test_a_loop_skips_the_slots_of_a_rest_and_is_on_time_for_the_next_one(tmp_path: Path) -> None:
    script, times = _first(answer(429, SLOW_DOWN, Retry_After="3"))
    with FaultServer(script) as server:
        place = _place(tmp_path, server)
        process = place.start_loop()
        until(lambda: len(times) >= 3, 20)
        process.terminate()
        out, err = process.communicate(timeout=20)
    assert err == ""
    schedule = schedule_of("a", "ping", 1.0)
    slots = [schedule.slot_at(round(at * 1_000)) for at in times]
    rested = slots[1] - slots[0] - 1
    assert rested in (2, 3), "three seconds hold the beginnings of three slots, of which the first may be under way"
    assert times[1] - times[0] >= 3
    late_ms = [round(at * 1_000) - schedule.begins(slot) for at, slot in zip(times[1:], slots[1:], strict=True)]
    assert all(0 <= late < 300 for late in late_ms), late_ms
    assert out.count("not probed: a: rests until") == 1, "one rest is told once"
    # a probe decides the slot that it was planned in, also when the next one begins before it has left
    decided = schedule.slot_at(min(run.started_at for run in _runs(place)))
    assert _skipped(place) == slots[1] - decided - 1
    # ... and that one, too, when it is still under way then
    first, second = [row.stands_for_s for row in place.probes()][:2]
    assert first in (1.0, slots[0] - decided + 1.0) and second == 1.0, "a rest is nobody's uptime"


def test_both_profiles_rest_and_no_confirmation_is_sent_into_it(tmp_path: Path) -> None:
    down = answer(503, {"error": {"message": "down for maintenance"}}, Retry_After="3600")
    script, times = _first(down, down)
    with FaultServer(script) as server:
        place = _place(tmp_path, server)
        place.config.write_text(place.config.read_text().replace('throughput_every = "off"', 'throughput_every = "2s"'))
        place.run("run")
        before = len(times)
        for _ in range(2):
            _next_slot()
            place.run("run")
    # both were due at once: whichever came second was skipped, or was under way already
    assert 1 <= before <= 2
    assert len(times) == before
    assert {(row.outcome, row.stands_for_s > 0) for row in place.probes()} == {("server_error", True)}


def test_a_short_rest_only_delays_the_confirmation(tmp_path: Path) -> None:
    script, times = _first(answer(503, {"error": {"message": "restarting"}}, Retry_After="1"))
    with FaultServer(script) as server:
        place = _place(tmp_path, server)
        place.set_every("10s")
        place.run("run")
    assert len(times) == 2 and times[1] - times[0] >= 1
    assert [(row.outcome, row.stands_for_s) for row in place.probes()] == [("server_error", 0.0), ("ok", 10.0)]


def test_an_error_inside_a_stream_can_ask_for_a_rest(tmp_path: Path) -> None:
    said = {"message": "Rate limit reached. Please try again in 7m12s.", "code": "rate_limit_exceeded"}
    script, times = _first(chunked(event({"error": said}), DONE))
    with FaultServer(script) as server:
        place = _place(tmp_path, server)
        place.run("run")
        _next_slot()
        _, out, _ = place.run("run")
    assert "because the server asked for it (an error in its stream, retry after 7.2 min)" in out
    assert len(times) == 1


def test_a_rest_is_at_most_a_day(tmp_path: Path) -> None:
    script, times = _first(answer(429, SLOW_DOWN, Retry_After="604800"))
    with FaultServer(script) as server:
        place = _place(tmp_path, server)
        _, out, _ = place.run("run")
    assert "(HTTP 429, retry after 7 d; a rest is at most a day)" in out
    [row] = _limits(place)
    assert row.rests_until is not None
    assert abs(row.rests_until - (times[0] + 86_400) * 1_000) < 1_000


def test_overlapping_runs_know_of_a_rest_at_once(tmp_path: Path) -> None:
    """The first run is kept busy by another target, and has not recorded anything, when the second one plans."""
    script, times = _first(answer(429, SLOW_DOWN, Retry_After="3600"))

    def hangs(connection: socket.socket, _: dict[str, Any]) -> None:
        time.sleep(6)

    with FaultServer(script) as server, FaultServer(hangs) as hanging:
        place = _place(tmp_path, server)
        place.config.write_text(
            place.config.read_text().replace("[collector]\n", '[collector]\ntimeout = "5s"\n')
            + f'[[target]]\nname = "h"\nmodel = "m"\nevery = "60s"\nbase_url = "{hanging.url}"\n'
        )
        first = place.start("run")
        until(lambda: times, 15)
        runs = []
        for _ in range(2):
            _next_slot()
            runs.append(place.run("run"))
        first.kill()  # what it knew is not lost with it
        first.communicate(timeout=10)
        _next_slot()
        runs.append(place.run("run"))
    assert [code for code, _, _ in runs] == [0, 0, 0]
    assert all("not probed: a: rests until" in out for _, out, _ in runs)
    assert len(times) == 1


def test_a_target_that_gets_another_model_does_not_rest_for_the_old_one(tmp_path: Path) -> None:
    script, times = _first(answer(429, SLOW_DOWN, Retry_After="3600"))
    with FaultServer(script) as server:
        place = _place(tmp_path, server)
        place.run("run")
        place.config.write_text(place.config.read_text().replace('model = "m"', 'model = "m2"'))
        _next_slot()
        place.run("run")
    assert len(times) == 2


def test_what_is_left_is_recorded_at_most_once_a_minute_and_rests_nobody(tmp_path: Path) -> None:
    headers = {
        "x_ratelimit_limit_requests": "60",
        "x_ratelimit_remaining_requests": "0",
        "x_ratelimit_reset_requests": "9s",
    }
    script, times = _first(
        chunked(*GOOD, **headers), chunked(*GOOD, **(headers | {"x_ratelimit_remaining_requests": "7"}))
    )
    with FaultServer(script) as server:
        place = _place(tmp_path, server)
        place.run("run")
        _next_slot()
        place.run("run")
        assert len(times) == 2
        [row] = _limits(place)
        assert (row.rests_until, row.reason, row.requests_limit, row.requests_remaining) == (None, None, 60, 0)
        assert row.requests_reset_at is not None and abs(row.requests_reset_at - (times[0] + 9) * 1_000) < 1_000
        with sqlite3.connect(tmp_path / "data" / "uptoken.db") as connection:
            connection.execute("UPDATE rate_limits SET updated_at = updated_at - 60000")
        _next_slot()
        place.run("run")
    assert [row.requests_remaining for row in _limits(place)] == [7]
