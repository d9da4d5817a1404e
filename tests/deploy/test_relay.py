"""The relay of `make run`: idle until there is a route, and never the end of everything else."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy import relay
from deploy.relay import obstacle
from settings.targets import Config, parse

ROOT = Path(__file__).resolve().parents[2]
TARGET = '[[target]]\nname = "a"\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\n'
ROUTE = '[[route]]\nmodel = "g"\ntargets = ["a"]\n'


def config(text: str) -> Config:
    return parse(text, Path("targets.toml"), {})


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_it_is_idle_without_a_route_and_starts_with_one() -> None:
    port = free_port()
    assert obstacle(config(TARGET), port) == ""
    assert obstacle(config(TARGET + ROUTE), port) is None


def test_what_keeps_it_from_starting_is_said() -> None:
    assert obstacle(config(TARGET + '[relay]\nkeys_env = "NOT_SET"\n' + ROUTE), free_port()) == (
        "the relay waits: NOT_SET is not set: it holds the relay's keys, as name=key"
    )
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        assert f"port {port} is taken on this machine" in (obstacle(config(TARGET + ROUTE), port) or "")


def test_it_becomes_the_relay_when_the_first_route_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class ReplacedError(Exception):
        pass

    started: list[list[str]] = []

    def replace(_: str, words: list[str]) -> None:
        started.append(words)
        raise ReplacedError

    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        text = "no TOML" if len(naps) == 1 else TARGET + ROUTE
        (tmp_path / "targets.toml").write_text(text)

    port = free_port()
    (tmp_path / "targets.toml").write_text(TARGET)
    monkeypatch.setenv("UPTOKEN_CONFIG", str(tmp_path / "targets.toml"))
    monkeypatch.setenv("UPTOKEN_RELAY_PORT", str(port))
    monkeypatch.setattr(relay.os, "execv", replace)
    monkeypatch.setattr(relay.time, "sleep", nap)
    with pytest.raises(ReplacedError):
        relay.main()
    assert started == [[sys.executable, "-m", "collectors", "relay", "--port", str(port)]]
    assert len(naps) == 2


def test_the_idle_process_says_nothing_and_ends_at_once(tmp_path: Path) -> None:
    (tmp_path / "targets.toml").write_text(TARGET)
    environment = os.environ | {"UPTOKEN_CONFIG": str(tmp_path / "targets.toml"), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.relay"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    time.sleep(1.5)
    assert process.poll() is None
    process.terminate()
    out, _ = process.communicate(timeout=5)
    assert out == b""
