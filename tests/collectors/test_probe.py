"""A tick: what is sent, what is recorded, what decides a slot."""

from __future__ import annotations

import io
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from collectors.contract import ProbeCollector, ProbeResult, ProbeTask, Reachability, Result
from collectors.probe import probe_once
from collectors.registry import COLLECTORS, choose_collectors
from collectors.scheduler.clock import ClockState, read_clocks
from collectors.scheduler.console import ConsoleReport
from collectors.scheduler.offline_detection import OWN_NETWORK, detect_offline
from collectors.scheduler.schedule import day_began
from collectors.scheduler.scheduler import Scheduler
from collectors.scheduler.shared_state import DaySpending, SharedState
from settings.targets import ConfigError, parse
from store import Store, StoreError
from store.schema import ADAPTATIONS, BUDGETS, MODELS, PROBES, RUNS, TARGETS, Budget, Probe, Run, Target
from tests.collectors.builders import config, run_once
from tests.collectors.cli_fixture import until
from tests.collectors.router_fixture import RouterFixture
from tests.factories import probe
from tests.fault_server import DONE, GOOD, FaultServer, Script, answer, chunk, chunked, raw, usage

pytestmark = pytest.mark.waits

KEY = "sk-canary-0123456789"


def test_a_good_probe_is_one_row_with_all_that_was_seen(store: Store) -> None:
    with FaultServer(chunked(*GOOD)) as server:
        target = {"base_url": server.url, "usd_per_million_input": 1, "usd_per_million_output": 10}
        probes, said = run_once(config(target, every="15s"), store)
    [row] = probes
    assert (row.outcome, row.profile, row.location, row.stands_for_s) == ("ok", "ping", "here", 15)
    assert (row.prompt_tokens, row.completion_tokens, row.tokens_source) == (20, 2, "usage")
    assert row.cost_usd == pytest.approx((20 * 1 + 2 * 10) / 1e6)
    assert row.ttft_ms is not None and row.lag_ms is not None and row.connect_ms is not None
    assert abs(row.started_at - time.time() * 1_000) < 5_000
    assert "up    t0  first token" in said
    [run] = [Run(*values) for values in store.read(RUNS)]
    assert (run.collector, run.rows, run.skipped, run.error) == ("probe", 1, 0, None)
    assert [Target(*values).state for values in store.read(TARGETS)] == ["active"]


def test_the_request_is_a_fresh_sum_with_a_few_tokens_and_the_key(store: Store) -> None:
    with FaultServer(chunked(*GOOD)) as server:
        settings = config(
            {"base_url": server.url, "api_key_env": "K", "provider": "acme", "headers": {"X-Title": "me"}},
            environment={"K": KEY},
        )
        run_once(settings, store)
        run_once(settings, store, everything=True)
    first, second = server.requests
    body = first["body"]
    assert (body["model"], body["max_tokens"], body["temperature"], body["stream"]) == ("m", 16, 0, True)
    assert body["stream_options"] == {"include_usage": True}
    assert body["provider"] == {"only": ["acme"], "allow_fallbacks": False}
    assert first["headers"]["authorization"] == f"Bearer {KEY}"
    assert first["headers"]["x-title"] == "me"
    assert "x-openrouter-metadata" not in first["headers"]
    assert body["messages"] != second["body"]["messages"]


def test_to_the_router_the_probe_asks_for_the_route(store: Store) -> None:
    with FaultServer(chunked(*GOOD)) as server:
        text = (
            f'[openrouter]\nbase_url = "{server.url}"\n[[target]]\nname = "a"\nmodel = "m"\nbase_url = "{server.url}"'
        )
        run_once(parse(text + '\nthroughput_every = "off"', Path("t.toml"), {}), store)
    assert server.requests[0]["headers"]["x-openrouter-metadata"] == "enabled"


def test_what_the_response_says_it_cost_goes_before_the_price(store: Store) -> None:
    with FaultServer(chunked(*GOOD[:-2], usage(cost=0.5), GOOD[-1])) as server:
        probes, _ = run_once(config({"base_url": server.url}), store)
    assert probes[0].cost_usd == 0.5


def test_without_a_price_the_cost_is_null_not_zero(store: Store) -> None:
    with FaultServer(chunked(*GOOD)) as server:
        probes, _ = run_once(config({"base_url": server.url}), store)
    assert probes[0].cost_usd is None


def test_the_answer_is_checked_and_is_no_part_of_the_outcome(store: Store) -> None:
    def right(connection: socket.socket, request: dict[str, Any]) -> None:
        words = request["body"]["messages"][0]["content"].split()
        total = int(words[2]) + int(words[4].rstrip("?"))
        chunked(chunk(str(total)), chunk(finish="stop"), DONE)(connection, request)

    with FaultServer(right) as good, FaultServer(chunked(*GOOD)) as wrong:
        probes, _ = run_once(config({"base_url": good.url}, {"base_url": wrong.url}), store)
    assert [(row.outcome, row.answer_ok) for row in probes] == [("ok", True), ("ok", False)]


def test_the_targets_row_says_how_it_is_called_and_checked(store: Store) -> None:
    with FaultServer(chunked(*GOOD)) as server:
        called = {"api_key_header": "X-Own-Key", "params": {"region": "eu"}, "check": "echo"}
        run_once(config({"base_url": server.url} | called, {"base_url": server.url}), store)
    rows = [Target(*values) for values in store.read(TARGETS)]
    assert [(row.api, row.api_key_header, row.params, row.answer_check) for row in rows] == [
        ("chat", "X-Own-Key", '{"region": "eu"}', "echo"),
        ("chat", None, None, "sum"),
    ]


@pytest.mark.parametrize(("check", "judged"), [("sum", False), ("echo", True), ("off", None)])
def test_a_target_is_asked_and_checked_as_it_says(store: Store, check: str, judged: bool | None) -> None:
    def said_last(connection: socket.socket, request: dict[str, Any]) -> None:
        words = request["body"]["messages"][0]["content"].removesuffix(" Reply with the number only.").rstrip("?")
        chunked(chunk(words.split()[-1]), chunk(finish="stop"), DONE)(connection, request)

    with FaultServer(said_last) as server:
        [row], _ = run_once(config({"base_url": server.url, "check": check}), store)
    assert (row.outcome, row.answer_ok) == ("ok", judged)


def _first_fails(count: int, failure: Script) -> Script:
    seen = iter(range(10_000))

    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        (failure if next(seen) < count else chunked(*GOOD))(connection, request)

    return script


def test_a_failure_is_probed_again_and_the_second_decides_the_slot(store: Store) -> None:
    with FaultServer(_first_fails(1, answer(503, {}))) as server:
        probes, _ = run_once(config({"base_url": server.url}), store)
    assert [(row.outcome, row.stands_for_s) for row in probes] == [("server_error", 0), ("ok", 60)]


def test_a_confirmed_failure_is_two_failures_and_one_slot(store: Store) -> None:
    with FaultServer(answer(503, {})) as server:
        probes, _ = run_once(config({"base_url": server.url}), store)
    assert [(row.outcome, row.stands_for_s) for row in probes] == [("server_error", 0), ("server_error", 60)]


def test_during_an_incident_a_failure_decides_its_slot_alone_also_in_the_next_process(store: Store) -> None:
    settings = config({}, every="1h")
    run_once(settings, store)
    probes, _ = run_once(settings, store, everything=True)
    assert [row.stands_for_s for row in probes] == [0, 3_600, 0]  # the last one met a slot that was decided


def test_a_probe_of_all_in_a_decided_slot_stands_for_no_time(store: Store) -> None:
    with FaultServer(chunked(*GOOD)) as server:
        settings = config({"base_url": server.url, "every": "1h"})
        run_once(settings, store)
        probes, _ = run_once(settings, store, everything=True)
    assert [(row.outcome, row.stands_for_s) for row in probes] == [("ok", 3_600), ("ok", 0)]


@pytest.mark.parametrize("status", [401, 402, 404, 429])
def test_what_is_not_counted_is_not_probed_again(store: Store, status: int) -> None:
    with FaultServer(answer(status, {})) as server:
        probes, _ = run_once(config({"base_url": server.url}), store)
    assert [row.stands_for_s for row in probes] == [60]


def test_a_refused_field_is_left_out_from_then_on_also_by_the_next_process(store: Store) -> None:
    def picky(connection: socket.socket, request: dict[str, Any]) -> None:
        refused = "temperature" in request["body"]
        (answer(400, {"error": {"message": "temperature is not supported"}}) if refused else chunked(*GOOD))(
            connection, request
        )

    with FaultServer(picky) as server:
        settings = config({"base_url": server.url})
        run_once(settings, store)
        assert len(server.requests) == 2
        run_once(settings, store, everything=True)
    assert len(server.requests) == 3
    assert [(row[0], row[3], row[4]) for row in store.read(ADAPTATIONS)] == [("t0", "temperature", None)]


def test_one_target_that_breaks_does_not_take_the_others_with_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(task: ProbeTask) -> ProbeResult:
        if task.target.name == "t0":
            raise RuntimeError("a bug")
        return probe_once(task)

    monkeypatch.setitem(COLLECTORS, "probe", ProbeCollector(breaks))
    with FaultServer(chunked(*GOOD)) as server:
        probes, said = run_once(config({}, {"base_url": server.url}), store)
    assert [(row.target, row.outcome, row.error) for row in probes] == [
        ("t0", "internal_error", "RuntimeError: a bug"),
        ("t1", "ok", None),
    ]
    assert "t0: RuntimeError: a bug" in said
    assert [Run(*values).error for values in store.read(RUNS)] == ["t0: RuntimeError: a bug"]


def test_a_target_without_its_key_is_not_probed_and_known_as_waiting(store: Store) -> None:
    probes, _ = run_once(config({"api_key_env": "NOT_SET"}), store)
    assert probes == []
    assert [Target(*values).state for values in store.read(TARGETS)] == ["waiting_for_key"]


def test_a_target_that_left_the_configuration_is_marked_removed_and_keeps_its_rows(store: Store) -> None:
    with FaultServer(chunked(*GOOD)) as server:
        run_once(config({"base_url": server.url}), store)
        probes, _ = run_once(config({"base_url": server.url, "name": "new"}), store)
    assert {row.target for row in probes} == {"t0", "new"}
    assert {t.name: t.state for t in (Target(*v) for v in store.read(TARGETS))} == {"t0": "removed", "new": "active"}


def test_nothing_is_due_right_after_a_tick_and_nothing_is_written(store: Store) -> None:
    with FaultServer(chunked(*GOOD)) as server:
        settings = config({"base_url": server.url, "every": "1h"})
        run_once(settings, store)
        probes, _ = run_once(settings, store)
    assert len(probes) == 1
    assert store.count(RUNS) == 1


def test_a_throughput_probe_has_its_own_schedule_and_asks_for_more(store: Store) -> None:
    with FaultServer(chunked(*GOOD)) as server:
        probes, _ = run_once(config({"base_url": server.url, "throughput_every": "1h"}), store)
    assert sorted((row.profile, row.stands_for_s) for row in probes) == [("ping", 60), ("throughput", 3_600)]
    assert sorted(request["body"]["max_tokens"] for request in server.requests) == [16, 128]


def test_two_profiles_of_a_target_take_turns(store: Store) -> None:
    at_once, most, lock = 0, 0, threading.Lock()

    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.1)
        with lock:
            at_once -= 1
        chunked(*GOOD)(connection, request)

    with FaultServer(script) as server:
        run_once(config({"base_url": server.url, "throughput_every": "1h"}), store)
    assert most == 1


def _most_at_once(store: Store, *, slots: int | None, **more: Any) -> int:
    """How many of three targets on one server were probed at once, when it says that it has so many slots."""
    at_once, most, lock = 0, 0, threading.Lock()

    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        nonlocal at_once, most
        if request["line"].startswith("GET /props"):
            (answer(404, {}) if slots is None else answer(200, {"total_slots": slots}))(connection, request)
            return
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.2)
        with lock:
            at_once -= 1
        chunked(*GOOD)(connection, request)

    with FaultServer(script) as server:
        probes, _ = run_once(config(*({"base_url": server.url} | more for _ in range(3))), store)
    assert [row.outcome for row in probes] == ["ok"] * 3
    assert all(row.ttft_ms is not None and row.ttft_ms < 350 for row in probes), "another probe's time is in it"
    return most


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


def _agreeing() -> SharedState:
    """The state of a collector whose clock has been steady for long."""
    shared, clocks = SharedState(None, "here"), read_clocks()
    offset_ms = clocks.wall_ms - clocks.boot_ms
    shared.clock = ClockState(clocks.boot, clocks.boot_ms, offset_ms, agreed_ms=clocks.wall_ms)
    return shared


def test_a_tick_forgets_what_is_older_than_it_is_kept(store: Store) -> None:
    now = time.time_ns() // 1_000_000
    store.write([probe(now - days * 86_400_000, target="t0") for days in (1, 3, 9)])
    with FaultServer(chunked(*GOOD)) as server:
        # the newest row is a day old, and allows to prune what is older than two days before it
        run_once(config({"base_url": server.url}, retention_days=2), store, everything=True, shared=_agreeing())
        assert [(now - at) // 86_400_000 for (at,) in store.read(PROBES, columns=("started_at",))] == [3, 1, -1]
        run_once(config({"base_url": server.url}, retention_days=2), store, everything=True, shared=_agreeing())
    ages = [(now - row[0]) // 86_400_000 for row in store.read(PROBES, columns=("started_at",))]
    assert ages == [1, -1, -1]
    assert sum(row[-1] for row in store.rollups("day", columns=("ok",))) == 5


# -- money and quotas


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
        loop = Scheduler(settings, store, "here", ConsoleReport(io.StringIO()), choose_collectors(["probe"]))
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
    loop = Scheduler(
        config(target, usd_per_day=0.1), store, "here", ConsoleReport(io.StringIO()), choose_collectors(["probe"])
    )
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


# -- whose network


def _failed(host: str, *, unreached: bool = True, own: bool = False) -> Result:
    return Result(probe(outcome="connection_error", target=host), Reachability(host, unreached, own))


def test_when_every_host_is_unreachable_it_is_our_own_network() -> None:
    rows = [result.row for result in detect_offline([_failed("a"), _failed("b")])]
    assert [(row.outcome, row.error) for row in rows if isinstance(row, Probe)] == [("offline", OWN_NETWORK)] * 2


@pytest.mark.parametrize(
    "results",
    [
        [_failed("a")],
        [_failed("a"), _failed("a")],
        [_failed("a"), _failed("b", unreached=False)],
        [_failed("a"), Result(probe(), Reachability("b", False, False))],
    ],
    ids=["one host", "one host twice", "one was reached", "one answered"],
)
def test_otherwise_it_is_theirs(results: list[Result]) -> None:
    assert all(result.row.outcome != "offline" for result in detect_offline(results) if isinstance(result.row, Probe))


def test_one_host_is_enough_when_the_system_says_that_there_is_no_network() -> None:
    [result] = detect_offline([_failed("a", own=True)])
    assert isinstance(result.row, Probe)
    assert result.row.outcome == "offline"


def test_a_target_on_this_machine_is_down_and_not_offline(store: Store) -> None:
    probes, _ = run_once(config({}), store)
    assert [row.outcome for row in probes] == ["connection_error"] * 2


def test_no_target_is_no_configuration() -> None:
    with pytest.raises(ConfigError):
        config()


# -- a store that cannot be read for a while


def test_what_cannot_be_planned_because_the_store_cannot_be_read_takes_no_probe_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = RouterFixture(tmp_path)
    read = world.store.read

    def read_no_models(table: Any, *words: Any, **options: Any) -> Any:
        if table is MODELS and catalog_is_due:
            raise StoreError("the server is gone")
        return read(table, *words, **options)

    catalog_is_due = False
    monkeypatch.setattr(world.store, "read", read_no_models)
    said = io.StringIO()
    loop = Scheduler(world.config(), world.store, "here", ConsoleReport(said), choose_collectors(["probe", "catalog"]))
    catalog_is_due = True
    with pytest.raises(StoreError, match="the server is gone"):
        loop.run_once()
    loop.close()
    assert "catalog: nothing is planned: the server is gone" in said.getvalue()
    assert len([Probe(*row) for row in read(PROBES)]) >= 1


def test_a_day_begins_without_the_store_when_the_shared_state_knows_the_last_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer(chunked(*GOOD)) as server:
        shared = SharedState(None, "here")
        loop = Scheduler(
            config({"base_url": server.url}),
            store,
            "here",
            ConsoleReport(io.StringIO()),
            choose_collectors(["probe"]),
            shared,
        )

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
        loop = Scheduler(
            config(*targets), store, "here", ConsoleReport(io.StringIO()), choose_collectors(["probe"]), shared
        )
        run = threading.Thread(target=loop.run_once)
        run.start()
        until(lambda: any(request["line"].startswith("POST") for request in server.requests))
        loop.stop.set()
        run.join(20)
        loop.close()
    assert sum(shared.spending.requests.values()) == 1, "one was sent and may have been billed"
