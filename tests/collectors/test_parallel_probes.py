"""How many probes a server gets at once: no more than it has slots, or than its targets say."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from store import Store
from tests.collectors.builders import config, run_once
from tests.fault_server import GOOD, AtOnce, FaultServer, answer, chunked, raw

pytestmark = pytest.mark.waits


def _most_at_once(store: Store, *, slots: int | None, **more: Any) -> int:
    """How many of three targets on one server were probed at once, when it says that it has so many slots."""
    completion = AtOnce(chunked(*GOOD), 0.2)
    props = answer(404, {}) if slots is None else answer(200, {"total_slots": slots})

    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        (props if request["line"].startswith("GET /props") else completion)(connection, request)

    with FaultServer(script) as server:
        probes, _ = run_once(config(*({"base_url": server.url} | more for _ in range(3))), store)
    assert [row.outcome for row in probes] == ["ok"] * 3
    assert all(row.ttft_ms is not None and row.ttft_ms < 350 for row in probes), "another probe's time is in it"
    return completion.most


def test_three_targets_on_one_server_are_probed_at_once(store: Store) -> None:
    assert _most_at_once(store, slots=None) == 3


@pytest.mark.parametrize(("slots", "at_once"), [(1, 1), (2, 2), (8, 3)])
def test_a_llama_cpp_server_gets_no_more_at_once_than_it_has_slots(store: Store, slots: int, at_once: int) -> None:
    assert _most_at_once(store, slots=slots) == at_once


def test_max_parallel_goes_before_what_the_server_says(store: Store) -> None:
    assert _most_at_once(store, slots=3, max_parallel=1) == 1


def test_a_server_that_hangs_is_asked_for_its_slots_once_and_delays_no_probe_by_more(store: Store) -> None:
    with FaultServer(raw(20.0)) as server:
        targets = ({"base_url": server.url, "timeout": "500ms"} for _ in range(4))
        probes, _ = run_once(config(*targets), store)
    assert [row.outcome for row in probes] == ["timeout"] * 8
    # 2 s until nothing is known of its slots, 0.5 s, 0.5 s: a second question would add 2 s
    assert max(row.started_at for row in probes) - min(row.started_at for row in probes) < 1_500
    assert sum(request["line"].startswith("GET /props") for request in server.requests) == 1
