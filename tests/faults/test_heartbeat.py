"""A dead man's switch hears of each tick, and no probe waits for it: real processes, servers on loopback."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import apsw
import pytest

from settings.heartbeat import HeartbeatSettings
from settings.targets import ConfigError, parse
from tests.collectors.cli_fixture import CliFixture, until
from tests.fault_server import GOOD, FaultServer, Script, answer, chunked, raw

pytestmark = pytest.mark.waits
SECRET = "5f0c2b7e-1d7e-4a44-9d0e-6a3f7c0b9a11"


@pytest.fixture
def model() -> Iterator[FaultServer]:
    with FaultServer(chunked(*GOOD)) as server:
        yield server


def _place(folder: Path, model: FaultServer, url: str, more: str = "", every: str = "1h") -> CliFixture:
    place = CliFixture(folder, model.url, configures=False)
    place.config.write_text(
        f'[collector]\nevery = "{every}"\nthroughput_every = "off"\nconfirm_after = "50ms"\n'
        f'heartbeat_url = "{url}"\n{more}\n[[target]]\nname = "a"\nmodel = "m"\nbase_url = "{model.url}"\n'
    )
    return place


def _lines(server: FaultServer) -> list[str]:
    return [request["line"].removesuffix(" HTTP/1.1") for request in server.requests]


def _url(server: FaultServer, path: str) -> str:
    return f"http://127.0.0.1:{server.port}{path}"


def test_each_run_is_heard_of_also_one_with_nothing_to_do_and_a_target_that_is_down_is_no_failure(
    tmp_path: Path, model: FaultServer
) -> None:
    with FaultServer(answer(200, {})) as switch:
        place = _place(tmp_path, model, _url(switch, f"/{SECRET}"))
        assert place.run("run")[0] == place.run("run")[0] == 0
        assert _lines(switch) == [f"GET /{SECRET}"] * 2
        place.config.write_text(place.config.read_text().replace(model.url, "http://127.0.0.1:9/v1"))
        assert place.run("run", "--all")[0] == 0
        assert _lines(switch)[2:] == [f"GET /{SECRET}"]


def test_a_run_that_cannot_record_says_that_it_failed(tmp_path: Path, model: FaultServer) -> None:
    with FaultServer(answer(200, {})) as switch:
        place = _place(tmp_path, model, _url(switch, f"/{SECRET}"))
        code = place.python(
            "import sys; from store.sqlite import SqliteStore; from store import StoreError\n"
            "def refuse(*_, **__): raise StoreError('no room')\n"
            "from collectors.scheduler.recorder import Recorder; Recorder.save = refuse\n"
            "sys.argv[1:] = ['run']; from cli import main; main()"
        ).returncode
        assert code == 3
        assert _lines(switch) == [f"GET /{SECRET}/fail"]


def test_ticks_that_cannot_record_failed_and_those_after_them_did_not(tmp_path: Path, model: FaultServer) -> None:
    with FaultServer(answer(200, {})) as switch:
        place = _place(tmp_path, model, _url(switch, "/api/push/tok?status=up&msg=OK&ping="), every="1s")
        loop = place.start("run", "--every", "1")
        until(lambda: len(place.probes()) >= 2)
        assert {line[25:27] for line in _lines(switch)} == {"up"}
        with closing(apsw.Connection(place.url.removeprefix("sqlite:///"))) as other:
            other.execute("BEGIN IMMEDIATE")  # another program holds the store
            until(lambda: _lines(switch)[-1] == "GET /api/push/tok?status=down&msg=OK&ping=")
        until(lambda: _lines(switch)[-2:] == ["GET /api/push/tok?status=up&msg=OK&ping="] * 2)
        loop.terminate()
        loop.communicate(timeout=20)
        assert loop.returncode == 0


@pytest.mark.parametrize("script", [raw(60.0), answer(404, {})], ids=["hangs", "refuses"])
def test_a_receiver_that_hangs_or_refuses_delays_no_probe_and_is_named_without_its_address(
    tmp_path: Path, model: FaultServer, script: Script
) -> None:
    with FaultServer(script) as switch:
        place = _place(tmp_path, model, _url(switch, f"/{SECRET}"), every="1s")
        loop = place.start("run", "--every", "1")
        until(lambda: len(place.probes()) >= 6)
        loop.terminate()
        began = time.monotonic()
        out, err = loop.communicate(timeout=20)
        assert time.monotonic() - began < 10 and loop.returncode == 0
    slots = [probe.started_at for probe in place.probes()]
    assert max(after - before for before, after in pairwise(slots)) < 1_500
    assert out.count("heartbeat: ") == 1 and err == ""
    assert SECRET not in out and SECRET[:13] not in out


def test_a_token_makes_it_a_post_as_gatus_wants(tmp_path: Path, model: FaultServer) -> None:
    with FaultServer(answer(200, {})) as switch:
        url = _url(switch, "/api/v1/endpoints/core_up/external?success=true&error=")
        place = _place(tmp_path, model, url, 'heartbeat_token_env = "GATUS"')
        process = place.start("run", GATUS="t0ken")
        process.communicate(timeout=60)
        [request] = switch.requests
        assert request["line"].startswith("POST /api/v1/endpoints/core_up/external?success=true&error=")
        assert request["headers"]["authorization"] == "Bearer t0ken"


@pytest.mark.parametrize(
    ("url", "failed"),
    [
        ("https://hc-ping.com/uuid", "https://hc-ping.com/uuid/fail"),
        ("https://hc-ping.com/uuid/", "https://hc-ping.com/uuid/fail"),
        ("https://h/ping/uuid?create=1", "https://h/ping/uuid/fail?create=1"),
        ("https://kuma/api/push/t?status=up&msg=OK&ping=", "https://kuma/api/push/t?status=down&msg=OK&ping="),
        ("https://g/external?success=true&error=", "https://g/external?success=false&error="),
    ],
)
def test_a_failure_goes_where_the_receiver_expects_it(url: str, failed: str) -> None:
    assert HeartbeatSettings(url).fail_url == failed


GOOD_TARGET = '[[target]]\nname = "a"\nmodel = "m"\nbase_url = "http://h/v1"\n'


def test_the_address_comes_from_the_file_a_variable_or_a_private_file(tmp_path: Path) -> None:
    path, key = tmp_path / "targets.toml", tmp_path / "beat"
    key.write_text(f"https://h/{SECRET}\n")
    key.chmod(0o600)
    for line in (f'url = "https://h/{SECRET}"', 'url_env = "BEAT"', 'url_file = "beat"'):
        found = parse(f"[collector]\nheartbeat_{line}\n{GOOD_TARGET}", path, {"BEAT": f"https://h/{SECRET}"})
        assert found.heartbeat == HeartbeatSettings(f"https://h/{SECRET}")
        assert SECRET not in repr(found.heartbeat)
    assert parse(f'[collector]\nheartbeat_url_env = "BEAT"\n{GOOD_TARGET}', path, {}).heartbeat is None
    key.chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by others than its owner"):
        parse(f'[collector]\nheartbeat_url_file = "beat"\n{GOOD_TARGET}', path, {})
    with pytest.raises(ConfigError, match="has heartbeat_url and heartbeat_url_env: keep one of them"):
        parse(f'[collector]\nheartbeat_url = "https://h"\nheartbeat_url_env = "B"\n{GOOD_TARGET}', path, {})
