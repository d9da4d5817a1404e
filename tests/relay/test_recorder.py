"""The recorder never makes the relay wait, loses at most a second, and counts what it drops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from collectors.relay import recorder as module
from collectors.relay.recorder import Recorder
from store import Selection, Store, StoreError, open_store
from store.clock import now_ms
from store.schema import REQUESTS, RUNS, USAGE, Request, Row, Run, Usage
from tests.factories import DAY, attempt

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def url(tmp_path: Path) -> str:
    found = f"sqlite:///{tmp_path}/s.db"
    open_store(found).close()
    return found


def rows(count: int, **more: Any) -> list[Request]:
    now = now_ms()
    return [attempt(now, request_id=f"gen-{n}", **more) for n in range(count)]


def recorded(url: str) -> int:
    with closing(open_store(url, read_only=True)) as store:
        return store.count(REQUESTS)


def runs(url: str) -> list[Run]:
    with closing(open_store(url, read_only=True)) as store:
        return [Run(*row) for row in store.read(RUNS, Selection(targets=("relay",)))]


def usage(url: str) -> list[Usage]:
    with closing(open_store(url, read_only=True)) as store:
        return [row for row in (Usage(*values) for values in store.read(USAGE)) if row.source == "relay"]


def wait_until(is_so: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if is_so():
            return True
        time.sleep(0.02)
    return is_so()


def slowest_record_ms(recorder: Recorder, some: list[Request], per_second: float) -> float:
    """The longest that `record` took, at this rate."""
    slowest = 0.0
    for row in some:
        began = time.perf_counter()
        recorder.record(row)
        slowest = max(slowest, time.perf_counter() - began)
        time.sleep(1 / per_second)
    return slowest * 1_000


class Fake:
    """A store whose `write` does what a test says."""

    patience_s = 1.0

    def __init__(self, write: Callable[[list[Row]], None]) -> None:
        self._write = write

    def write(self, some: list[Row]) -> int:
        self._write(some)
        return len(some)

    def close(self) -> None:
        pass


def fake(write: Callable[[list[Row]], None]) -> Callable[[], Store]:
    return lambda: Fake(write)  # type: ignore[return-value]


# -- what is written


def test_a_row_is_in_the_store_within_a_second(url: str) -> None:
    recorder = Recorder(lambda: open_store(url))
    for row in rows(3):
        recorder.record(row)
    assert wait_until(lambda: recorded(url) == 3, 1.0)
    assert (recorder.queued, recorder.written, recorder.dropped, recorder.last_error) == (0, 3, 0, None)
    recorder.close(5)


def test_closing_writes_what_waits_with_the_days_usage_and_a_run(url: str) -> None:
    recorder = Recorder(lambda: open_store(url))
    for row in rows(1_200, app="https://a.example"):
        recorder.record(row)
    recorder.close(5)
    assert (recorded(url), recorder.written) == (1_200, 1_200)
    assert [(run.location, run.rows, run.skipped, run.error) for run in runs(url)] == [("here", 1_200, 0, None)]
    assert 0 < (runs(url)[0].queued or 0) <= 1_200
    assert [(row.app, row.requests, row.tokens) for row in usage(url)] == [("https://a.example", 1_200, 1_200 * 46)]


def test_a_relay_that_closes_just_after_its_last_row_was_written_records_its_run(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread has decided that no run is due yet, and is not at its loop's end yet."""
    written, closing_began = threading.Event(), threading.Event()

    def begin_if_due(_: Any) -> None:
        if recorded(url):
            written.set()
            closing_began.wait(5)

    monkeypatch.setattr(module._UsageRefresher, "begin_if_due", begin_if_due)
    recorder = Recorder(lambda: open_store(url))
    recorder.record(rows(1)[0])
    assert written.wait(5)
    closer = threading.Thread(target=recorder.close, args=[5])
    closer.start()
    while recorder._stop_at is None:
        time.sleep(0.001)
    closing_began.set()
    closer.join(10)
    assert [run.rows for run in runs(url)] == [1]


def test_an_idle_relay_writes_nothing(url: str) -> None:
    recorder = Recorder(lambda: open_store(url))
    time.sleep(1.2)
    recorder.close(5)
    assert (recorded(url), runs(url), usage(url)) == (0, [], [])


def test_a_restart_and_a_second_location_add_up(url: str) -> None:
    for location in ("here", "there", "here"):
        recorder = Recorder(lambda: open_store(url))
        for number, row in enumerate(rows(10, location=location)):
            recorder.record(attempt(row.started_at, request_id=f"{location}-{now_ms()}-{number}", location=location))
        recorder.close(5)
    assert [(row.requests, row.tokens) for row in usage(url)] == [(30, 30 * 46)]


def test_what_a_killed_relay_left_undone_the_next_one_makes_up_for(url: str) -> None:
    with closing(open_store(url)) as store:
        store.write([attempt(now_ms()), attempt(now_ms() - DAY)])  # and no usage
    recorder = Recorder(lambda: open_store(url))
    assert wait_until(lambda: len(usage(url)) == 2, 5)
    recorder.close(5)


# -- when it cannot be


def test_a_full_queue_drops_rows_counts_them_and_never_blocks() -> None:
    held = threading.Event()
    recorder = Recorder(fake(lambda _: (held.wait(30), None)[1]), most_queued=100)
    began = time.perf_counter()
    for row in rows(1_000):
        recorder.record(row)
    assert time.perf_counter() - began < 0.5
    assert (recorder.queued, recorder.dropped) == (100, 900)
    held.set()
    recorder.close(5)
    assert (recorder.queued, recorder.written, recorder.dropped) == (0, 100, 900)


@pytest.mark.waits
def test_a_store_that_is_locked_for_30_seconds_delays_nobody_and_what_fits_is_written_afterwards(
    url: str, tmp_path: Path
) -> None:
    """200 rows a second for 30 s are 6,000; the queue has room for 5,000 of them."""
    lock = apsw.Connection(str(tmp_path / "s.db"))
    lock.execute("BEGIN IMMEDIATE")
    recorder = Recorder(lambda: open_store(url), most_queued=5_000)
    began = time.monotonic()
    slowest = slowest_record_ms(recorder, rows(6_000), 210)
    time.sleep(max(0.0, 30 - (time.monotonic() - began)))
    assert slowest < 50, f"{slowest:.1f} ms"
    assert "locked by another program" in (recorder.last_error or "")
    assert (recorder.queued, recorder.written, recorder.dropped) == (5_000, 0, 1_000)
    lock.execute("ROLLBACK")
    assert wait_until(lambda: recorded(url) == 5_000, 10)
    recorder.close(5)
    [run] = runs(url)
    assert (run.rows, run.skipped, run.queued) == (5_000, 1_000, 5_000)
    assert "locked by another program" in (run.error or "")


def test_a_broken_store_stops_recording_and_nothing_else() -> None:
    def broken(_: list[Row]) -> None:
        raise StoreError("could not write the store s.db: the disk is full")

    recorder = Recorder(fake(broken), most_queued=10)
    assert slowest_record_ms(recorder, rows(50), 500) < 50
    assert wait_until(lambda: recorder.last_error is not None, 2)
    assert (recorder.queued, recorder.dropped) == (10, 40)
    began = time.monotonic()
    recorder.close(0.5)
    assert time.monotonic() - began < 3
    assert (recorder.queued, recorder.written, recorder.dropped) == (0, 0, 50)


def test_a_store_that_cannot_be_opened_at_first_is_tried_again(url: str) -> None:
    tries = []

    def opens_late() -> Store:
        tries.append(1)
        if len(tries) < 3:
            raise StoreError("there is no store yet")
        return open_store(url)

    recorder = Recorder(opens_late)
    recorder.record(attempt(now_ms()))
    assert wait_until(lambda: recorded(url) == 1, 5)
    recorder.close(5)


def test_a_row_that_no_store_takes_is_dropped_and_the_others_are_written(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_RETRY_S", 0.01)
    recorder = Recorder(lambda: open_store(url))
    good = rows(5)
    for row in (*good[:2], attempt(now_ms(), request_id="bad", prompt_tokens=2**70), *good[2:]):
        recorder.record(row)
    assert wait_until(lambda: recorder.written == 5, 5)
    recorder.close(5)
    assert (recorded(url), recorder.dropped) == (5, 1)


def test_no_row_is_dropped_because_the_store_was_locked_while_parts_were_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second write fails, whatever is in it."""
    monkeypatch.setattr(module, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(module, "DOUBTED_AFTER", 0)
    kept, calls = list[Row](), [0]

    def flickers(some: list[Row]) -> None:
        calls[0] += 1
        if calls[0] % 2:
            raise StoreError("it was locked by another program for too long")
        kept.extend(some)

    recorder = Recorder(fake(flickers))
    for row in rows(40):
        recorder.record(row)
    recorder.close(5)
    assert recorder.dropped == 0
    assert {row.request_id for row in kept if isinstance(row, Request)} == {f"gen-{n}" for n in range(40)}


def test_an_unexpected_error_is_named_by_its_kind_alone() -> None:
    def breaks(_: list[Row]) -> None:
        raise RuntimeError("with words that could be anybody's")

    recorder = Recorder(fake(breaks))
    recorder.record(attempt(now_ms()))
    assert wait_until(lambda: recorder.last_error is not None, 2)
    assert recorder.last_error == "unexpected RuntimeError"
    recorder.close(0.1)


# -- processes

SCRIPT = """
import signal, sys, time
from collectors.relay.recorder import Recorder
from store import open_store
from store.clock import now_ms
from tests.factories import attempt
recorder = Recorder(lambda: open_store(sys.argv[1]))
number, going = 0, True
def stop(*_):
    global going
    going = False
signal.signal(signal.SIGTERM, stop)
while going:
    number += 1
    recorder.record(attempt(now_ms(), request_id=f"gen-{number}"))
    print(number, now_ms(), flush=True)
    time.sleep(0.005)
recorder.close(5)
"""


def _record_until(url: str, number: int, life_s: float) -> list[tuple[int, int]]:
    """A process that records 200 rows a second, ended by a signal: the numbers of its rows, and their moments."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, url],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    lines = [process.stdout.readline()]
    until = time.monotonic() + life_s
    while time.monotonic() < until:
        lines.append(process.stdout.readline())
    process.send_signal(number)
    lines += process.stdout.read().splitlines()
    process.wait(30)
    return [(int(number), int(at)) for number, at in (line.split() for line in lines if len(line.split()) == 2)]


@pytest.mark.waits
@pytest.mark.parametrize("life_s", [0.9, 1.6, 2.3])
def test_kill_9_loses_at_most_a_second(url: str, life_s: float) -> None:
    told = _record_until(url, signal.SIGKILL, life_s)
    with closing(open_store(url, read_only=True)) as store:
        kept = {int(row[0].removeprefix("gen-")) for row in store.read(REQUESTS, columns=("request_id",))}
    ended_at = told[-1][1]
    lost = [at for number, at in told if number not in kept]
    assert len(told) > 20
    assert all(ended_at - at <= 1_000 for at in lost), f"{max(ended_at - at for at in lost)} ms were lost"


@pytest.mark.waits
def test_sigterm_loses_nothing(url: str) -> None:
    told = _record_until(url, signal.SIGTERM, 1.3)
    assert recorded(url) == len(told) > 100
    assert sum(row.requests or 0 for row in usage(url)) == len(told)
