"""Workloads from the command line: what a day of them costs, and a workload that a running collector is given."""

from __future__ import annotations

import socket
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from store import open_store
from store.schema import Model
from store.workload_tables import WORKLOADS, WorkloadRequest
from tests.collectors.cli_fixture import CliFixture, until
from tests.fault_server import GOOD, FaultServer, chunked


def test_check_says_what_a_day_of_a_workload_costs_without_what_exceeds_the_context(tmp_path: Path) -> None:
    """Twice a day 1,000 tokens, which may be 1,314, and 128 more, at $1 and $2 per million; and what fits of 5,000
    twice: 3,000, which may be 3,814. 10,000 exceed 4,000: 2 x (1,314 + 2 x 3,814 + 3 x 256) = 19,420 millionths.
    """
    with FaultServer(chunked(*GOOD)) as server:
        place = CliFixture(tmp_path, server.url)
        more = "usd_per_million_input = 1\nusd_per_million_output = 2\n[[workload]]\nname = 'ladder'\ntargets = ['*']\n"
        more += 'input_tokens = [1000, 10000]\nevery = "12h"\nprompt_cache = true\n'
        place.config.write_text(place.config.read_text() + more)
        store = open_store(place.url)
        store.write([Model("a", "m", 1, context_tokens=4_000)])
        store.close()
        code, out, err = place.call("check")
    assert (code, err) == (0, "")
    said = (
        "a: workloads checks take 6 requests on a usual day, at most $0.0194; 10,000 input tokens exceed the context of"
    )
    assert f"{said} 4,000" in " ".join(out.split())


def test_a_running_collector_takes_a_workload_over_and_another_one_at_once(tmp_path: Path) -> None:
    with FaultServer(chunked(*GOOD)) as server:
        place = CliFixture(tmp_path, server.url)
        process = place.start("run", "--every", "1", "--only", "workloads")

        def add(name: str) -> None:
            more = f'[[workload]]\nname = "{name}"\ntargets = ["a"]\ninput_tokens = [100]\n'
            place.config.write_text(place.config.read_text() + more)

        def measured() -> list[str]:
            store = open_store(place.url)
            names = [name for (name,) in store.read(WORKLOADS, columns=("workload",))]
            store.close()
            return names

        add("first")
        until(lambda: measured() == ["first"])
        add("second")
        until(lambda: measured() == ["first", "second"])
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


@pytest.mark.process
def test_a_probe_has_its_turn_between_long_prompts_and_a_process_that_ends_keeps_what_they_showed(
    tmp_path: Path,
) -> None:
    """Three prompts take most of a second each, as long as the probes' interval, and the fourth hangs."""
    prompts: list[int] = []  # of each workload's request, the number of requests that came before it

    def respond(connection: socket.socket, request: dict[str, Any]) -> None:
        if "Ignore the words" in str(request["body"]):
            prompts.append(len(server.requests))
            wait_s = 0.8 if len(prompts) < 4 else 30.0
            chunked(wait_s, *GOOD)(connection, request)
        else:
            chunked(*GOOD)(connection, request)

    with FaultServer(respond) as server:
        place = CliFixture(tmp_path, server.url)
        place.set_every("1s")
        more = '[[workload]]\nname = "w"\ntargets = ["a"]\ninput_tokens = [100, 200, 300, 400, 500]\n'
        place.config.write_text(place.config.read_text() + more)
        process = place.start("run", "--every", "1", "--only", "probe", "--only", "workloads")
        until(lambda: len(prompts) == 4)
        process.terminate()
        process.communicate(timeout=30)
    store = open_store(place.url)
    rows = sorted((WorkloadRequest(*row) for row in store.read(WORKLOADS)), key=lambda row: row.input_tokens)
    store.close()
    assert [row.outcome for row in rows] == ["ok", "ok", "ok", "skipped", "skipped"]
    assert {row.error for row in rows[3:]} == {"the process ends"}
    between = [after - before - 1 for before, after in pairwise(prompts)]
    assert sum(between) >= 2, between
    assert max(probe.ttft_ms or 0 for probe in place.probes()) < 400  # none is in the time of a prompt
