"""A key is planted, everything is run, also against servers that echo it, and every byte that came of it is searched."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.collectors.cli_fixture import CliFixture, until
from tests.fault_server import GOOD, FaultServer, answer, chunked, event, head, raw
from tests.pages.conftest import open_page

CANARY = "sk-canary-Zq83hfKw02LmXv77"
FORMS = [CANARY.encode(), base64.b64encode(CANARY.encode()), CANARY.encode().hex().encode(), CANARY[3:15].encode()]


def echo(connection: socket.socket, request: dict[str, Any]) -> None:
    """Each request is answered with the key in another place."""
    key = request["headers"].get("authorization", "").removeprefix("Bearer ")
    echo.count += 1  # type: ignore[attr-defined]
    scripts = [
        chunked(*GOOD),
        answer(401, {"error": {"message": f"Incorrect API key provided: {key}"}}),
        answer(403, {"error": f"the header was Authorization: Bearer {key[:20]}..."}),
        raw(head(302, Location=f"https://{key}.example/?key={key}", Content_Length="0")),
        chunked(event({"error": {"message": f"{key} {base64.b64encode(key.encode()).decode()}"}})),
        chunked(event({"provider": key, "model": key, "choices": [{"delta": {"content": "x"}, "finish_reason": key}]})),
        raw(f"HTTP/1.1 200 {key}\r\n{key}".encode()),
        raw(f"{key}\r\n\r\n".encode()),
        answer(500, key.encode()),
        answer(400, {"error": {"message": f"temperature is not allowed for {key}"}}),
        answer(429, {"error": {"message": key}}, Retry_After=key),
    ]
    scripts[echo.count % len(scripts)](connection, request)  # type: ignore[attr-defined]


echo.count = -1  # type: ignore[attr-defined]
SCRIPTS = 11


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliFixture]:
    monkeypatch.setenv("CANARY_KEY", CANARY)
    monkeypatch.setenv("OPENROUTER_MANAGEMENT_KEY", CANARY)
    with FaultServer(echo) as server:
        place = CliFixture(tmp_path, server.url)
        key_file = tmp_path / "key"
        key_file.write_text(CANARY)
        key_file.chmod(0o600)
        place.config.write_text(
            f"""
[collector]
every = "1s"
confirm_after = "20ms"
throughput_every = "2s"
[openrouter]
base_url = "{server.url}"
[[target]]
name = "a"
model = "m"
base_url = "{server.url}"
api_key_env = "CANARY_KEY"
[[target]]
name = "b"
model = "m"
base_url = "{server.url}"
api_key_file = "key"
"""
        )
        yield place


def searched(where: str, content: bytes) -> None:
    for form in FORMS:
        assert form not in content, f"the key is in {where}"


def test_no_key_is_in_any_byte_that_was_written(place: CliFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    for _ in range(SCRIPTS):
        said.append(place.run("run", "--all"))
    said.append(place.run("check"))
    process = place.start("run", "--every", "1")
    until(lambda: len(place.probes()) > 60)
    for pid in (str(process.pid),):
        searched("the process list", Path(f"/proc/{pid}/cmdline").read_bytes())
    process.terminate()
    said.append((process.returncode or 0, *process.communicate(timeout=20)))
    for name in ("probes", "runs", "targets", "incidents", "adaptations"):
        said.append(place.run("export", name))
        said.append(place.run("export", name, "--output", str(place.folder / f"{name}.jsonl")))
    said.append(place.run("backup", str(place.folder / "copy.db")))
    said.append(place.run("repair"))
    for _, out, err in said:
        searched("what was said", (out + err).encode())
    outcomes = {probe.outcome for probe in place.probes()}
    assert outcomes >= {"ok", "caller_error", "server_error", "rate_limited", "stream_error", "invalid_response"}
    for path in place.folder.rglob("*"):
        if path.is_file() and path.name not in ("targets.toml", "key"):
            searched(path.name, path.read_bytes())
    monkeypatch.setenv("UPTOKEN_STORE", place.url)
    pages = ("", "model", "compare", "routing", "catalog", "targets", "alerts", "export", "system", "public_status")
    for page in pages:
        app = open_page(page and f"{page}.py")
        shown = "\n".join(str(element.proto) for element in app.main) + "\n".join(str(e.value) for e in app.exception)
        searched(f"the page {page or 'overview'}", shown.encode())


def test_no_key_is_in_a_crash(place: CliFixture) -> None:
    script = (
        "import sys, collectors.scheduler.scheduler as loop\n"
        "def broken(*_, **__): raise RuntimeError('Invalid header value: Bearer ' + __import__('os').environ['CANARY_KEY'])\n"
        "loop.Scheduler.run_once = broken\n"
        "sys.argv = ['collectors', 'run']\n"
        "from cli import main\nmain()\n"
    )
    done = place.python(script)
    assert done.returncode == 1
    assert "RuntimeError: Invalid header value: Bearer [key]" in done.stderr
    assert "a bug in Uptoken" in done.stderr
    searched("the crash", done.stderr.encode())


def test_a_job_that_breaks_reports_no_key(place: CliFixture) -> None:
    script = (
        "import sys, os, collectors.probe as probe\n"
        "def broken(*_, **__): raise RuntimeError('it was ' + os.environ['CANARY_KEY'])\n"
        "probe.probe_once = broken\n"
        "sys.argv = ['collectors', 'run', '--all']\n"
        "from cli import main\nmain()\n"
    )
    done = place.python(script)
    assert "it was [key]" in done.stdout + done.stderr
    for path in (place.folder / "data").iterdir():
        searched(path.name, path.read_bytes())
    searched("what was said", (done.stdout + done.stderr).encode())


def test_a_key_file_that_others_may_read_is_refused_and_one_that_is_missing_is_waited_for(place: CliFixture) -> None:
    key = place.folder / "key"
    key.chmod(0o640)
    code, _, err = place.run("run")
    assert (code, "can be read by others than its owner: chmod 600" in err) == (2, True)
    key.unlink()
    code, out, err = place.run("run", "--only", "probe")
    assert code == 0
    assert f"waiting for a key: b is not probed; write it into {key}" in out + err
    key.write_text(CANARY)
    key.chmod(0o600)
    place.config.write_text(
        place.config.read_text().replace('api_key_file = "key"', 'api_key_file = "key"\napi_key_env = "X"')
    )
    code, _, err = place.run("run")
    assert (code, "has its key in api_key_env and in api_key_file: remove one" in err) == (2, True)


def test_what_is_written_is_for_its_owner_alone(place: CliFixture) -> None:
    """Also in the `data/` that git made, whatever the umask was."""
    checkout = place.folder / "data"
    checkout.mkdir(mode=0o755)
    (checkout / "README.md").write_text("x")
    (checkout / "README.md").chmod(0o600)
    place.run("run", "--only", "probe")
    place.run("export", "probes", "--output", str(place.folder / "probes.csv"))
    place.run("backup", str(place.folder / "copy.db"))
    place.run("repair")
    data = place.folder / "data"
    assert data.stat().st_mode & 0o777 == 0o700
    written = [*data.iterdir(), place.folder / "probes.csv", place.folder / "copy.db"]
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in written if path.stat().st_mode & 0o077} == {}


def test_a_folder_that_somebody_shares_keeps_its_rights(place: CliFixture) -> None:
    shared = place.folder / "data"
    shared.mkdir()
    shared.chmod(0o750)
    place.run("run", "--only", "probe")
    assert shared.stat().st_mode & 0o777 == 0o750
