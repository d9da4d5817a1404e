"""The relay's process: where it listens, and how it ends."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.fault_server import DONE, chunk
from tests.relay.processes import ROOT, command, environment, relay_process
from tests.relay.running import Response, routed
from tests.relay.upstreams import ROLE, Exchange, Upstream, good


@pytest.mark.process
def test_it_serves_from_the_moment_at_which_it_says_so(tmp_path: Path) -> None:
    """Started as a user starts it: other tests fork one that has its imports done."""
    way = subprocess.Popen
    with Upstream(good()) as upstream, relay_process(tmp_path, *routed(upstream.url), way=way) as relay:
        assert relay.client.chat(stream=True).text == "42"
        relay.process.send_signal(signal.SIGTERM)
        assert relay.process.wait(10) == 0
        assert relay.process.stdout is not None
        assert relay.process.stdout.read() == ""
    assert (tmp_path / "errors.txt").read_text() == ""


@pytest.mark.process
@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1"])
def test_without_keys_it_listens_on_no_address_that_others_reach(tmp_path: Path, address: str) -> None:
    (tmp_path / "targets.toml").write_text("\n".join(routed("http://127.0.0.1:1/v1")))
    done = subprocess.run(
        command(tmp_path, "--host", address), cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "the relay has no keys" in done.stderr
    assert "keys_file" in done.stderr


@pytest.mark.process
def test_a_port_that_is_taken_is_said_in_one_sentence(tmp_path: Path) -> None:
    with Upstream(good()) as upstream:
        (tmp_path / "targets.toml").write_text("\n".join(routed(upstream.url)))
        done = subprocess.run(
            command(tmp_path, "--port", str(upstream.port)),
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 3
    assert len(done.stderr.strip().splitlines()) == 1
    assert str(upstream.port) in done.stderr


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_streams_finish_and_takes_nothing_new(tmp_path: Path, number: signal.Signals) -> None:
    async def slow(exchange: Exchange) -> None:
        await exchange.stream(ROLE, *(chunk(f"{n} ") for n in range(10)), chunk(finish="stop"), DONE, gap_s=0.1)

    got: list[Response] = []
    with Upstream(slow) as upstream, relay_process(tmp_path, *routed(upstream.url)) as relay:
        client = threading.Thread(target=lambda: got.append(relay.client.chat(stream=True)))
        client.start()
        while not upstream.requests:
            time.sleep(0.01)
        time.sleep(0.3)
        relay.process.send_signal(number)
        time.sleep(0.3)
        with pytest.raises(OSError):
            relay.client.chat()
        client.join(10)
        assert relay.process.wait(10) == 0
    assert got[0].text == "".join(f"{n} " for n in range(10))
    assert got[0].events[-1] == "[DONE]"
