"""A check of capabilities through the scheduler, against a server that does what it claims, or lies about one of it."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from collectors import capabilities
from collectors.contract import CheckCollector
from collectors.registry import choose_collectors
from collectors.scheduler.console import ConsoleReport
from collectors.scheduler.scheduler import Scheduler
from collectors.scheduler.shared_state import SharedState
from collectors.scheduler.state import SchedulerState
from settings.targets import ConfigError
from settings.workloads import Workload
from store import Store
from store.capability_tables import CAPABILITIES, CapabilityTest
from store.clock import now_ms
from store.identity_tables import IdentityCheck
from store.schema import ADAPTATIONS, BUDGETS, Model, Row
from store.workload_tables import WorkloadRequest
from tests.collectors.builders import config
from tests.collectors.lying_server import Server
from tests.fault_server import DONE, GOOD, FaultServer, answer, chunk, chunked, event, usage

CONTEXT = 4_000
EVERYTHING = {
    "max_tokens",
    "usage_in_stream",
    "system_message",
    "stop",
    "tools",
    "structured_outputs",
    "logprobs",
    "temperature",
    "seed",
    "image",
    "context",
}


class Promised:
    """Checks of one target, each by a run of its own, as from a timer."""

    def __init__(self, store: Store, server: FaultServer, **target: Any) -> None:
        self.store, self.server = store, server
        collector = target.pop("collector", {})
        wanted = {"base_url": server.url, "capabilities": True, "capabilities_context": "7d"}
        self.config = config(wanted | target, **collector)
        if not list(store.read(CAPABILITIES)):
            self.list_model(1)

    def list_model(self, at: int, **more: Any) -> None:
        parameters = "tools,structured_outputs,logprobs,seed,stop,temperature,max_tokens"
        listed = {"context_tokens": CONTEXT, "supported_parameters": parameters, "input_modalities": "text,image"}
        self.store.write([Model("t0", "m", at, **(listed | more))])

    def run(self, times: int = 1, *, everything: bool = True) -> dict[str, CapabilityTest]:
        """The newest tests."""
        for _ in range(times):
            report = ConsoleReport(io.StringIO())
            collectors = choose_collectors(["capabilities"])
            loop = Scheduler(self.config, self.store, "here", report, collectors, SharedState(None, "here"))
            loop.run_once(everything=everything)
            loop.close()
        return {row.capability: row for row in self.tests if row.started_at == self.tests[-1].started_at}

    @property
    def tests(self) -> list[CapabilityTest]:
        return sorted((CapabilityTest(*row) for row in self.store.read(CAPABILITIES)), key=lambda row: row.started_at)


def test_a_server_that_does_what_it_claims_holds_it_all(store: Store) -> None:
    with FaultServer(Server(context=CONTEXT).script()) as server:
        tested = Promised(store, server)
        tests = tested.run()
    assert {row.capability: row.reason for row in tests.values()} == dict.fromkeys(EVERYTHING)
    assert {row.verdict for row in tests.values()} == {"holds"}
    claimed = EVERYTHING - {"usage_in_stream", "system_message"}  # which no catalog lists
    assert {row.capability for row in tests.values() if row.claimed} == claimed
    assert {row.claimed for row in tests.values()} == {True, None}
    assert sum(row.requests for row in tests.values()) == len(server.requests) == capabilities.REQUESTS + 2
    long = [request for request in server.requests if "secret number" in str(request["body"]["messages"])][1]
    assert 0.85 * CONTEXT < len(long["body"]["messages"][0]["content"].split()) < 0.9 * CONTEXT
    assert not list(store.read(ADAPTATIONS))


@pytest.mark.parametrize("lie", sorted(EVERYTHING))
def test_a_lie_about_one_capability_fails_that_one(store: Store, lie: str) -> None:
    with FaultServer(Server(lie, context=CONTEXT // 2 if lie == "context" else CONTEXT).script()) as server:
        tests = Promised(store, server).run()
    failed = {row.capability for row in tests.values() if row.verdict == "fails"}
    assert failed == {lie}
    assert tests[lie].reason is not None
    untested = {row.capability for row in tests.values() if row.verdict == "not_tested"}
    needs_usage = {"context"} if lie == "usage_in_stream" else set()
    assert untested == ({"seed"} if lie == "temperature" else needs_usage)  # its texts do not differ


@pytest.mark.parametrize("name", ["tools", "response_format", "seed", "stop", "logprobs", "temperature"])
def test_a_field_that_the_server_refuses_is_a_capability_that_fails(store: Store, name: str) -> None:
    with FaultServer(Server(refuses=(name,)).script()) as server:
        tests = Promised(store, server).run(2)
    what = "structured_outputs" if name == "response_format" else name
    assert tests[what].reason in (f"the server refuses {name}", "refused with HTTP 400")
    assert tests["system_message"].verdict == "holds"
    remembered = {row[3] for row in store.read(ADAPTATIONS)}
    assert remembered == ({"temperature"} if name == "temperature" else set())  # which concerns probes, too


def test_a_context_that_is_shorter_than_claimed_is_refused_by_an_honest_server(store: Store) -> None:
    with FaultServer(Server(context=CONTEXT // 2).script()) as server:
        tests = Promised(store, server).run()
    assert (tests["context"].verdict, tests["context"].reason) == ("fails", "refused with HTTP 400")


def test_a_server_that_is_down_is_asked_once_and_nothing_is_tested(store: Store) -> None:
    with FaultServer(answer(500, {"error": {"message": "out of memory"}})) as server:
        tests = Promised(store, server).run()
    [row] = tests.values()
    assert (row.capability, row.verdict, row.outcome, row.requests) == ("all", "not_tested", "server_error", 1)
    assert "out of memory" in (row.error or "")
    assert len(server.requests) == 1


def test_a_server_that_goes_down_meanwhile_is_sent_two_more_requests_and_keeps_what_it_showed(store: Store) -> None:
    served = Server(context=CONTEXT)

    def respond(connection: socket.socket, request: dict[str, Any]) -> None:
        if len(server.requests) <= 3:
            served.response(request["body"])(connection, request)

    with FaultServer(respond) as server:
        tests = Promised(store, server, timeout="200ms").run()
    assert len(server.requests) == 5
    shown = {name: test.verdict for name, test in tests.items()}
    held = dict.fromkeys(("max_tokens", "usage_in_stream", "system_message", "stop"), "holds")
    assert shown == held | {"tools": "not_tested", "structured_outputs": "not_tested"}


@pytest.mark.parametrize("response", [[DONE], [chunk(finish="stop"), usage(10, 0), DONE]])
def test_a_server_that_sends_no_token_at_all_is_not_tested(store: Store, response: list[bytes]) -> None:
    """That is an outage, and shows of no capability that it fails."""
    with FaultServer(chunked(*response)) as server:
        [row] = Promised(store, server).run().values()
    assert (row.capability, row.verdict, row.outcome, row.requests) == ("all", "not_tested", "empty", 1)
    assert len(server.requests) == 1


@pytest.mark.parametrize(("pinned", "names"), [("acme", {"Acme"}), (None, {"Acme", None})])
def test_a_refusal_is_of_the_provider_that_the_target_is_pinned_to(
    store: Store, pinned: str | None, names: set[str | None]
) -> None:
    """A router's refusal names none. Without a pin it may be another provider's."""
    named = [event({"provider": "Acme"} | json.loads(part[6:])) for part in GOOD[:-1]]

    def respond(connection: socket.socket, request: dict[str, Any]) -> None:
        script = (
            answer(400, {"error": {"message": "no tools here"}})
            if "tools" in request["body"]
            else chunked(*named, DONE)
        )
        script(connection, request)

    with FaultServer(respond) as server:
        tested = Promised(store, server, **({"provider": pinned} if pinned else {}))
        router = tested.config.openrouter.model_copy(update={"base_url": server.url})
        tested.config = replace(tested.config, openrouter=router)
        tests = tested.run()
    assert tests["tools"].verdict == "fails"
    assert {row.provider for row in tests.values() if row.capability != "context"} == names


def test_the_context_is_tested_once_a_week_and_the_rest_once_a_day(store: Store) -> None:
    with FaultServer(Server().script()) as server:
        tested = Promised(store, server)
        assert "context" in tested.run()
        assert "context" not in tested.run()
        before = len(server.requests)
        tested.run(everything=False)
        assert len(server.requests) == before


def test_it_is_tested_at_once_when_the_catalog_claims_something_else_and_not_for_a_price(store: Store) -> None:
    with FaultServer(Server().script()) as server:
        tested = Promised(store, server)
        tested.run(everything=False)
        before = len(server.requests)
        tested.list_model(now_ms(), usd_per_million_input="7")
        tested.run(everything=False)
        assert len(server.requests) == before
        tested.list_model(now_ms(), usd_per_million_input="7", supported_parameters="seed")
        tests = tested.run(everything=False)
        assert len(server.requests) == before + capabilities.REQUESTS
        assert (tests["tools"].claimed, tests["seed"].claimed) == (False, True)
        tested.run(everything=False)
        assert len(server.requests) == before + capabilities.REQUESTS


def test_a_budget_that_ends_a_check_keeps_the_tests_that_were_made(store: Store) -> None:
    with FaultServer(Server().script()) as server:
        tested = Promised(store, server, requests_per_day=3)
        tests = tested.run()
        assert set(tests) == {"max_tokens", "usage_in_stream", "system_message", "stop"}
        tested.run()
        assert len(server.requests) == 3


def test_a_long_prompt_is_not_sent_where_the_budget_has_no_room_for_it(store: Store) -> None:
    """At $1,000 per million the long prompt may cost $8 of the day's $7, and everything else together costs less."""
    with FaultServer(Server(context=8_000).script()) as server:
        prices = {"usd_per_million_input": 1_000, "usd_per_million_output": 0}
        tested = Promised(store, server, collector={"usd_per_day": 7}, **prices)
        tested.list_model(2, context_tokens=8_000)
        tests = tested.run()
    assert set(tests) == EVERYTHING - {"context"} | {"all"}
    assert len(server.requests) == capabilities.REQUESTS + 1  # the short text, by which the long one is measured
    unfinished = tests["all"]  # which was paid for
    assert (unfinished.verdict, unfinished.requests) == ("not_tested", 1)
    assert (unfinished.cost_usd or 0) > 0
    assert "budget" in (unfinished.reason or "")
    [budget] = store.read(BUDGETS, columns=("usd",))
    assert budget[0] == pytest.approx(sum(row.cost_usd or 0 for row in tests.values()))
    assert 0 < sum(row.cost_usd or 0 for row in tests.values()) < 1


def test_other_dialects_are_not_tested(store: Store) -> None:
    [target] = config({"api": "anthropic", "capabilities": True}).targets
    assert capabilities.pace(store, target, "here", now_ms()).every_s is None
    assert capabilities.day(target, 4_000) == []


# -- the configuration


def test_free_servers_on_this_machine_are_tested_by_default_and_others_when_asked() -> None:
    free: dict[str, Any] = {"usd_per_million_input": 0, "usd_per_million_output": 0}
    away = {"base_url": "https://llm.example/v1"}
    listed = config(
        free,
        {"capabilities": "off"} | free,
        {"capabilities": False} | free,
        {},
        away | free,
        away | {"capabilities": True},
        away | {"capabilities": "2d", "capabilities_context": "7d"},
        {"api": "embeddings", "capabilities": True},
    )
    day, week = 86_400.0, 7 * 86_400.0
    assert [(target.capabilities_every_s, target.context_every_s) for target in listed.targets] == [
        (day, week),
        (None, week),
        (None, week),
        (None, None),
        (None, week),
        (day, None),
        (2 * day, week),
        (None, None),
    ]
    with pytest.raises(ConfigError, match="capabilities"):
        config({"capabilities": "daily"})


def test_a_day_comes_to_its_requests_and_the_context_to_a_seventh_of_one() -> None:
    [target] = config({"capabilities": True, "capabilities_context": "7d"}).targets
    days = [(day.requests, day.profile, day.prompt_tokens) for day in capabilities.day(target, 4_000)]
    assert days == [
        (12, "capabilities", None),
        (1, "capabilities_image", None),
        (pytest.approx(1 / 7), "capabilities_context", 1_200),
        (pytest.approx(1 / 7), "capabilities_context", 4_000),
    ]


def test_a_long_prompt_of_unknown_cost_counts_by_its_length_when_the_day_is_read_from_the_store(store: Store) -> None:
    """At $100 per million it may have cost $0.40. Its row has the short prompt, too, which counts as much."""
    served = Server(context=CONTEXT)

    def respond(connection: socket.socket, request: dict[str, Any]) -> None:
        is_long = len(str(request["body"])) > 12_000
        script = chunked(chunk("a"), end=False) if is_long else served.response(request["body"])
        script(connection, request)

    with FaultServer(respond) as server:
        prices = {"usd_per_million_input": 100, "usd_per_million_output": 0}
        tested = Promised(store, server, collector={"usd_per_day": 7}, **prices)
        tests = tested.run()
    assert (tests["context"].requests, tests["context"].outcome) == (2, "stream_error")
    known = sum(row.cost_usd or 0 for row in tests.values())
    state = SchedulerState(tested.config, store, SharedState(None, "here"))
    assert state.budget.row(now_ms()).usd == pytest.approx(known + 2 * 0.4)


@pytest.mark.parametrize("name", ["capabilities", "identity", "workloads"])
def test_a_location_of_a_large_fleet_knows_its_own_last_check(store: Store, name: str) -> None:
    """Sixty others checked the same target after it."""
    now = now_ms()
    rows: dict[str, Callable[[int, str], Row]] = {
        "capabilities": lambda at, place: CapabilityTest("t0", at, place, "tools", "holds", "ok", 1),
        "identity": lambda at, place: IdentityCheck("t0", at, place, "logprobs", "ok", 2),
        "workloads": lambda at, place: WorkloadRequest("t0", at, place, "w", "size", 100, "ok"),
    }
    store.write([rows[name](now - 60_000, "here"), rows[name](now - 90_000, "here")])
    store.write(
        [rows[name](now - n, f"there {n}-{m}") for n in range(60) for m in range(10 if name != "identity" else 1)]
    )
    [target] = config({"capabilities": True, "identity": "1h"}).targets
    target = replace(target, workloads=(Workload("w", (100,), 16, 3_600.0),))
    collector = choose_collectors([name])[name]
    assert isinstance(collector, CheckCollector)
    assert collector.pace(store, target, "here", now).newest_at == now - 60_000
