"""A tick: what is sent, what is recorded, what decides a slot."""

from __future__ import annotations

import io
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from collectors.contract import ProbeCollector, ProbeResult, ProbeTask
from collectors.probe import probe_once
from collectors.registry import COLLECTORS
from collectors.scheduler.clock import ClockState, read_clocks
from collectors.scheduler.shared_state import SharedState
from settings.targets import ConfigError, parse
from store import Store, StoreError
from store.schema import ADAPTATIONS, MODELS, PROBES, RUNS, TARGETS, Probe, Run, Target
from tests.collectors.builders import config, new_scheduler, run_once
from tests.collectors.router_fixture import RouterFixture
from tests.factories import probe
from tests.fault_server import DONE, GOOD, AtOnce, FaultServer, Script, answer, chunk, chunked, usage

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
    script = AtOnce(chunked(*GOOD), 0.1)
    with FaultServer(script) as server:
        run_once(config({"base_url": server.url, "throughput_every": "1h"}), store)
    assert script.most == 1


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
    loop = new_scheduler(world.config(), world.store, ["probe", "catalog"], said=said)
    catalog_is_due = True
    with pytest.raises(StoreError, match="the server is gone"):
        loop.run_once()
    loop.close()
    assert "catalog: nothing is planned: the server is gone" in said.getvalue()
    assert len([Probe(*row) for row in read(PROBES)]) >= 1
