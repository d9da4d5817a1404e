"""A forked process is to a test what one that is started is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import forked
from tests.forked import ROOT, Forked

MODULE = "tests.started"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def start(way: type[subprocess.Popen[str]], *words: str, **more: Any) -> subprocess.Popen[str]:
    options = {"env": ENVIRONMENT, "cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return way([sys.executable, "-m", MODULE, *words], **options | more)


BOTH = pytest.mark.parametrize("way", [subprocess.Popen, Forked])


def test_a_forked_process_finds_what_one_that_is_started_finds(tmp_path: Path) -> None:
    found = []
    for way in (subprocess.Popen, Forked):
        environment = ENVIRONMENT | {"A": "\udcff", "PARENT": str(os.getpid())}
        process = start(way, "state", "--x", "\u00e4 b", env=environment, cwd=tmp_path)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
        found.append(json.loads(out))
    assert found[0] == found[1]


@BOTH
def test_its_words_and_its_end_reach_the_test(way: type[subprocess.Popen[str]]) -> None:
    process = start(way, "echo", stdin=subprocess.PIPE)
    assert process.communicate("a word\n", timeout=60) == ("a word\n", "and an error\n")
    assert process.returncode == 0
    process = start(way, "echo", stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    assert process.communicate(timeout=60) == ("and an error\n", None)
    process = start(way, "raise")
    assert process.communicate(timeout=60)[1].endswith("ValueError: a failure\n")
    assert process.returncode == 1
    process = start(way, "unflushed")
    assert (process.communicate(timeout=60)[0], process.returncode) == ("x" * 100 + "\n", 4)
    process = start(way, "text")
    assert (process.communicate(timeout=60), process.returncode) == (("", "a sentence\n"), 1)
    process = start(way, "thread")
    assert (process.communicate(timeout=60)[0], process.returncode) == ("the thread has ended\n", 0)
    with Path("/dev/full").open("w") as full:
        process = start(way, "unflushed", stdout=full)
        assert "No space left on device" in process.communicate(timeout=60)[1]
        assert process.returncode == (1 if os.environ.get("PYTHONUNBUFFERED") else 120)


@BOTH
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_is_ended_by_a_signal(way: type[subprocess.Popen[str]], number: signal.Signals) -> None:
    process = start(way, "wait", start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "waits\n"
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.05)
    assert os.getsid(process.pid) == process.pid
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == -number
    assert not Path(f"/proc/{process.pid}").exists()


def test_none_holds_the_pipes_of_another(tmp_path: Path) -> None:
    first, second = (start(Forked, "wait", cwd=tmp_path) for _ in range(2))
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "waits\n"
        first.kill()
        assert first.communicate(timeout=10) == ("", "")
        assert second.poll() is None
    finally:
        second.kill()
        second.communicate()


def test_what_is_read_at_a_start_makes_it_a_start() -> None:
    process = start(Forked, "state", env=ENVIRONMENT | {"PYTHONIOENCODING": "latin-1", "TZ": "Asia/Tokyo"})
    said = json.loads(process.communicate(timeout=60)[0])
    assert said["streams"][1][0] == "iso8859-1" and said["zone"] == ["JST", "JST"]


def test_the_server_ends_with_the_process_that_it_is_for() -> None:
    server = forked.Server()
    try:
        server.link.close()
        assert server.process.wait(60) == 0
    finally:
        server.process.kill()
