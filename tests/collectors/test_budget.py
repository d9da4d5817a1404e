"""What a day may cost and how many requests it may have: no probe is sent that could pass it."""

from __future__ import annotations

import threading
import time

import pytest

from collectors.scheduler.schedule import day_began
from collectors.scheduler.shared_state import DaySpending, SharedState
from store import Store, StoreError
from store.schema import BUDGETS, PROBES, RUNS, Budget, Probe, Run
from tests.collectors.builders import config, new_scheduler, run_once
from tests.collectors.cli_fixture import until
from tests.factories import probe
from tests.fault_server import GOOD, FaultServer, chunked, raw

pytestmark = pytest.mark.waits


def test_no_probe_is_sent_that_could_pass_the_budget(store: Store) -> None:
    with FaultServer(chunked(*GOOD)) as server:
        # at most 64 x 1,000 + 16 x 1,000 USD per million = $0.08 a probe
        target = {"base_url": server.url, "usd_per_million_input": 1_000, "usd_per_million_output": 1_000}
        settings = config(target, usd_per_day=0.1)
        for _ in range(3):
            probes, said = run_once(settings, store, everything=True)
    # the first cost $0.022, so $0.078 are left and a second could pass them
    assert len(probes) == len(server.requests) == 1
    assert "could exceed the budget: $0.0220 of $0.1 (usd_per_day) are spent or set aside" in said
    assert [Run(*values).skipped for values in store.read(RUNS)] == [0, 1, 1]
    [standing] = [Budget(*values) for values in store.read(BUDGETS)]
    assert (standing.usd, standing.usd_per_day, standing.free_requests) == (pytest.approx(0.022), 0.1, 0)


def test_the_days_budget_is_kept_as_one_row_that_follows_and_is_left_alone_when_nothing_was_used(store: Store) -> None:
    with FaultServer(chunked(*GOOD)) as server:
        free = {"base_url": server.url, "model": "some/model:free", "api_key_env": "SOME_KEY", "every": "1s"}
        settings = config(free, free_requests_per_day=2, environment={"SOME_KEY": "secret"})
        loop = new_scheduler(settings, store)
        seen = []
        for _ in range(3):
            loop.run_once(everything=True)
            seen += [Budget(*values) for values in store.read(BUDGETS)]
        loop.close()
    assert [row.free_requests for row in seen] == [1, 2, 2]
    assert {(row.location, row.free_requests_per_day, row.usd) for row in seen} == {("here", 2, 0.0)}
    assert seen[1].updated_at == seen[2].updated_at > seen[0].updated_at


def test_a_refused_connection_costs_nothing_and_uses_up_no_budget(store: Store) -> None:
    # at most $0.08 a probe: a second one would pass the budget if refusals were reckoned. The first failure is probed
    # again; from then on it is an incident
    target = {"usd_per_million_input": 1_000, "usd_per_million_output": 1_000}
    loop = new_scheduler(config(target, usd_per_day=0.1), store)
    for _ in range(3):
        loop.run_once(everything=True)
    loop.close()
    assert [row[0] for row in store.read(PROBES, columns=("outcome",))] == ["connection_error"] * 4


def test_an_unpriced_throughput_probe_is_reckoned_at_its_own_worst(store: Store) -> None:
    # 64 x $20 + 128 x $100 per million = $0.0141 are gone, so a ping of at most $0.0029 could pass $0.016
    elsewhere = {"base_url": "http://192.0.2.1/v1"}
    store.write([probe(time.time_ns() // 1_000_000, target="t0", profile="throughput", cost_usd=None)])
    _, said = run_once(config(elsewhere, usd_per_day=0.016), store)
    assert "could exceed the budget: $0.0141 of $0.016" in said


def test_a_free_target_is_probed_whatever_the_budget(store: Store) -> None:
    with FaultServer(chunked(*GOOD)) as server:
        target = {"base_url": server.url, "usd_per_million_input": 0, "usd_per_million_output": 0}
        assert len(run_once(config(target, usd_per_day=0), store)[0]) == 1


def test_an_unknown_price_elsewhere_is_reckoned_high(store: Store) -> None:
    settings = config({"base_url": "http://192.0.2.1/v1"}, usd_per_day=0.001)
    probes, said = run_once(settings, store)
    assert probes == []
    assert "it could cost $0.0029" in said


def test_free_models_share_a_quota_that_holds_across_runs(store: Store) -> None:
    with FaultServer(chunked(*GOOD)) as server:
        free = {"base_url": server.url, "model": "x/y:free"}
        settings = config(free, free, free_requests_per_day=3)
        run_once(settings, store, everything=True)
        probes, said = run_once(settings, store, everything=True)
    assert len(probes) == sum(request["line"].startswith("POST") for request in server.requests) == 3
    assert "the 3 requests a day that free models share (free_requests_per_day) are used up" in said


def test_a_target_has_its_own_limit(store: Store) -> None:
    with FaultServer(chunked(*GOOD)) as server:
        settings = config({"base_url": server.url, "requests_per_day": 1}, {"base_url": server.url})
        run_once(settings, store, everything=True)
        probes, said = run_once(settings, store, everything=True)
    assert sorted(row.target for row in probes) == ["t0", "t1", "t1"]
    assert "not probed: t0: its 1 requests a day" in said


def test_a_day_begins_without_the_store_when_the_shared_state_knows_the_last_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer(chunked(*GOOD)) as server:
        shared = SharedState(None, "here")
        loop = new_scheduler(config({"base_url": server.url}), store, shared=shared)

        def rollups(*_: object, **__: object) -> None:
            raise StoreError("the server is gone")

        monkeypatch.setattr(store, "rollups", rollups)
        shared.spending = DaySpending(day=day_began(time.time_ns() // 1_000_000) - 86_400_000)
        loop.run_once()
        loop.close()
    assert [Probe(*row).outcome for row in store.read(PROBES)] == ["ok"]
    assert shared.spending.requests == {"t0": 1}


def test_what_was_set_aside_for_a_probe_that_waits_for_its_turn_is_given_back_when_the_run_is_stopped(
    store: Store,
) -> None:
    with FaultServer(raw(20.0)) as server:
        shared = SharedState(None, "here")
        targets = ({"base_url": server.url, "max_parallel": 1} for _ in range(2))
        loop = new_scheduler(config(*targets), store, shared=shared)
        run = threading.Thread(target=loop.run_once)
        run.start()
        until(lambda: any(request["line"].startswith("POST") for request in server.requests))
        loop.stop.set()
        run.join(20)
        loop.close()
    assert sum(shared.spending.requests.values()) == 1, "one was sent and may have been billed"
