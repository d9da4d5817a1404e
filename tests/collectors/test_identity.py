"""A check of identity through the scheduler, against servers that give logprobs, refuse them, or leave them out."""

from __future__ import annotations

import errno
import io
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from collectors import identity
from collectors.contract import CheckTask
from collectors.http import exchange
from collectors.http.exchange import Exchange, ProbeRequest
from collectors.registry import choose_collectors
from collectors.scheduler.budget import DailyBudget
from collectors.scheduler.console import ConsoleReport
from collectors.scheduler.lock import LockedError
from collectors.scheduler.scheduler import Scheduler
from collectors.scheduler.shared_state import SharedState
from settings.targets import ConfigError
from stats.identity_epochs import Known
from store import Store, StoreError
from store.clock import HOUR_MS
from store.identity_tables import IDENTITY_CHECKS, IDENTITY_EPOCHS, IdentityCheck, IdentityEpoch
from store.schema import BUDGETS, RUNS, Budget, Row, Run
from tests.collectors.builders import config, new_scheduler
from tests.collectors.vendors import TOP, token_with
from tests.fault_server import DONE, GOOD, FaultServer, Script, answer, chunk, chunked, usage

USAGE = usage(9, 1, prompt_tokens_details={"cached_tokens": 0})
WITH = chunked(chunk(role="assistant"), token_with(TOP), chunk(finish="length"), USAGE, DONE)
WITHOUT = chunked(*GOOD)


def by_alternatives(most: int) -> Script:
    """A server that gives so many alternatives and refuses more, in OpenAI's words."""

    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        wanted = request["body"].get("top_logprobs")
        text = f"Invalid value for 'top_logprobs': must be less than or equal to {most}."
        refusal = answer(400, {"error": {"message": text, "param": "top_logprobs", "type": "invalid_request_error"}})
        (WITHOUT if wanted is None else WITH if wanted <= most else refusal)(connection, request)

    return script


class Checked:
    """Checks of one target, each by a run of its own, as from a timer."""

    def __init__(self, store: Store, server: FaultServer, **target: Any) -> None:
        self.store, self.server = store, server
        collector = target.pop("collector", {})
        self.config = config({"base_url": server.url, "identity": "1h"} | target, **collector)
        self.said = ""

    def run(self, times: int = 1, *, everything: bool = True, location: str = "here") -> list[IdentityCheck]:
        for _ in range(times):
            shared = SharedState(None, location)
            said = io.StringIO()
            report = ConsoleReport(said)
            loop = Scheduler(self.config, self.store, location, report, choose_collectors(["identity"]), shared)
            loop.run_once(everything=everything)
            loop.close()
            self.said += said.getvalue()
        return self.checks

    @property
    def checks(self) -> list[IdentityCheck]:
        return [IdentityCheck(*row) for row in self.store.read(IDENTITY_CHECKS)]

    @property
    def epochs(self) -> list[IdentityEpoch]:
        return [IdentityEpoch(*row) for row in self.store.read(IDENTITY_EPOCHS)]

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [request["body"] for request in self.server.requests if request["line"].startswith("POST")]


def test_a_check_asks_for_one_token_of_two_fixed_prompts_and_keeps_its_chances(store: Store) -> None:
    with FaultServer(WITH) as server:
        checked = Checked(store, server)
        [row] = checked.run()
    first, second = checked.bodies
    assert [body.pop("messages")[0]["content"] for body in (first, second)] == list(identity.PROMPTS)
    assert first == second
    assert {name: first[name] for name in ("temperature", "top_p", "logprobs", "top_logprobs", "max_tokens")} == {
        "temperature": 1,
        "top_p": 1,
        "logprobs": True,
        "top_logprobs": 20,
        "max_tokens": 1,
    }
    assert (first["stream"], first["cache_prompt"]) == (True, False)
    assert (row.outcome, row.method, row.requests, row.alternatives) == ("ok", "logprobs", 2, 20)
    assert json.loads(row.observed or "") == [{"cached": 0, "logprobs": {" yes": -0.5, " no": -1.25}}] * 2
    assert (row.prompt_tokens, row.completion_tokens, row.served_model) == (18, 2, "m-1")
    [epoch] = checked.epochs
    assert (epoch.began_at, epoch.method, epoch.frozen_at) == (row.started_at, "logprobs", None)


@pytest.mark.parametrize(("most", "asked"), [(20, [20]), (10, [20, 8]), (5, [20, 8, 5])])
def test_a_server_with_fewer_alternatives_is_asked_for_as_many_as_it_gives(
    store: Store, most: int, asked: list[int]
) -> None:
    with FaultServer(by_alternatives(most)) as server:
        checked = Checked(store, server)
        [row] = checked.run()
        assert (row.outcome, row.alternatives) == ("ok", asked[-1])
        assert len(json.loads(row.observed or "")) == 2
        before = len(checked.bodies)
        checked.run()
    assert [body["top_logprobs"] for body in checked.bodies[before:]] == [asked[-1]] * 2


@pytest.mark.parametrize(
    "script", [WITHOUT, by_alternatives(0), answer(422, {"error": {"message": "logprobs are not supported here"}})]
)
def test_a_server_without_logprobs_is_checked_by_eight_texts_from_then_on_and_more_rarely(
    store: Store, script: Script
) -> None:
    with FaultServer(script) as server:
        checked = Checked(store, server)
        [first] = checked.run()
        assert first.observed is None
        assert checked.epochs[-1].method == "texts"
        server.script = WITHOUT
        before = len(checked.bodies)
        _, second = checked.run()
    bodies = checked.bodies[before:]
    assert [body["messages"][0]["content"] for body in bodies] == list(identity.TEXT_PROMPTS)
    assert {(body["temperature"], body["max_tokens"], "logprobs" in body) for body in bodies} == {(0, 16, False)}
    assert (second.method, second.requests, second.outcome) == ("texts", 8, "ok")
    assert "42" not in (second.observed or "")  # a hash, and never the text
    assert len(json.loads(second.observed or "")) == 8
    [target] = checked.config.targets
    assert identity.pace(store, target, "here", second.started_at + 1).every_s == 3_600 * 6 / 4


def test_a_model_that_reasons_is_not_checked_again(store: Store) -> None:
    thinking = chunked(chunk(reasoning_content="Hm"), chunk(finish="length"), usage(9, 1), DONE)
    with FaultServer(thinking) as server:
        checked = Checked(store, server)
        [row] = checked.run()
        assert (row.observed, checked.epochs[-1].method) == (None, "declared")
        before = len(server.requests)
        checked.run(2)
        assert len(server.requests) == before


def test_a_failed_check_is_a_row_and_begins_no_epoch(store: Store) -> None:
    with FaultServer(answer(500, {"error": {"message": "out of memory"}})) as server:
        checked = Checked(store, server)
        [row] = checked.run()
    assert (row.outcome, row.http_status, row.observed, row.requests) == ("server_error", 500, None, 1)
    assert "out of memory" in (row.error or "")
    assert not checked.epochs


def test_a_server_that_wants_more_tokens_gets_them_and_probes_keep_their_own_limit(store: Store) -> None:
    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        text = "max_tokens: integer below minimum value. Expected a value >= 16"
        small = answer(400, {"error": {"message": text, "param": "max_tokens"}})
        (small if request["body"]["max_tokens"] < 16 else WITH)(connection, request)

    with FaultServer(script) as server:
        checked = Checked(store, server)
        [row] = checked.run()
        assert row.outcome == "ok"
        before = len(checked.bodies)
        checked.run()
    assert [body["max_tokens"] for body in checked.bodies[:before]] == [1, 16, 1, 16]
    assert [body["max_tokens"] for body in checked.bodies[before:]] == [16, 16]


def test_checks_keep_to_the_requests_of_a_day(store: Store) -> None:
    with FaultServer(WITH) as server:
        checked = Checked(store, server, requests_per_day=1)
        assert not checked.run()
    assert len(checked.bodies) == 1
    assert [Run(*row).skipped for row in store.read(RUNS)] == [1]


def test_checks_keep_to_the_budget(store: Store) -> None:
    with FaultServer(WITH) as server:
        prices = {"usd_per_million_input": 1_000, "usd_per_million_output": 1_000}
        checked = Checked(store, server, collector={"usd_per_day": 0.001}, **prices)
        assert not checked.run()
    assert not checked.bodies


def test_a_check_that_another_run_keeps_from_its_budget_is_skipped_and_is_no_error(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: Any) -> None:
        raise LockedError("another run holds the lock")

    monkeypatch.setattr(DailyBudget, "reserve", locked)
    with FaultServer(WITH) as server:
        checked = Checked(store, server)
        assert not checked.run()
    assert [(Run(*row).skipped, Run(*row).error) for row in store.read(RUNS)] == [(1, None)]


def test_what_checks_cost_today_counts_also_for_a_run_that_knows_only_the_store(store: Store) -> None:
    with FaultServer(WITH) as server:
        checked = Checked(store, server, requests_per_day=3)
        assert len(checked.run(2)) == 1  # of the second, one request is within the limit
    assert len(checked.bodies) == 3


def test_a_rest_that_a_server_asks_for_holds_for_its_checks(store: Store) -> None:
    with FaultServer(answer(429, {"error": {"message": "slow down"}}, Retry_After="3600")) as server:
        checked = Checked(store, server)
        assert [row.outcome for row in checked.run(everything=False)] == ["rate_limited"]
        before = len(server.requests)
        checked.run(everything=False)
        assert len(server.requests) == before


def test_a_check_costs_what_its_tokens_cost(store: Store) -> None:
    with FaultServer(WITH) as server:
        checked = Checked(store, server, usd_per_million_input=1, usd_per_million_output=2)
        [row] = checked.run()
    assert row.cost_usd == pytest.approx((18 * 1 + 2 * 2) / 1e6)


def test_a_request_that_was_refused_leaves_the_cost_of_the_others_known() -> None:
    [target] = config({"identity": "1h"}).targets
    results = [Exchange("caller_error", http_status=400), Exchange("timeout")]
    task = CheckTask(
        target, "here", lambda *_: results.pop(0), lambda one, _: 0.5 if one.outcome == "timeout" else None
    )
    [row] = [one for one in identity.check_once(task, Known()).rows if isinstance(one, IdentityCheck)]
    assert (row.requests, row.cost_usd) == (2, 0.5)


def test_a_restart_repeats_no_check_before_its_time(store: Store) -> None:
    with FaultServer(WITH) as server:
        checked = Checked(store, server, identity="7d")
        assert len(checked.run(3, everything=False)) == 1


def test_each_location_has_checks_and_epochs_of_its_own(store: Store) -> None:
    with FaultServer(WITH) as server:
        checked = Checked(store, server)
        checked.run(2)
        checked.run(location="there")
    assert {epoch.location for epoch in checked.epochs} == {"here", "there"}
    [target] = checked.config.targets
    known = identity.read_known(store, target, "there", checked.checks[-1].started_at + HOUR_MS)
    assert [check.location for check in known.checks] == ["there"]


def test_a_check_reads_as_much_of_a_long_history_as_of_a_short_one(store: Store) -> None:
    now = 2_000 * HOUR_MS
    [target] = config({"identity": "1h"}).targets
    history: list[Row] = [IdentityEpoch("t0", "here", 0, "logprobs", 0, 0, 1, reference='[["a"]]', calibration="[0]")]
    history += [
        IdentityCheck("t0", n * HOUR_MS, place, "logprobs", "ok", 2, epoch_at=0, score=float(n))
        for n in range(1, 1_500)
        for place in ("here", "there")
    ]
    store.write([replace(history[0], ended_at=None), *history[1:]])
    rows = 0

    class Reader:
        def read(self, *args: Any, **named: Any) -> Iterator[Any]:
            nonlocal rows
            for row in store.read(*args, **named):
                rows += 1
                yield row

    known = identity.read_known(Reader(), target, "here", now)
    assert [score for _, score in known.scores] == [float(n) for n in range(1_020, 1_500)]
    assert rows < 2_998


def test_a_bug_of_ours_leaves_a_row_and_is_not_repeated_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(identity, "evaluate_check", broken)
    with FaultServer(WITH) as server:
        checked = Checked(store, server)
        [row] = checked.run(2, everything=False)
    assert (row.outcome, row.requests) == ("internal_error", 0)
    [run] = [Run(*values) for values in store.read(RUNS)]
    assert "ZeroDivisionError" in (run.error or "")


def test_a_store_that_cannot_be_read_leaves_the_slots_of_all_checks_open(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_known, failures = identity.read_known, iter([StoreError("locked")])

    def fail_once(reader: Any, target: Any, *more: Any) -> Known:
        if target.name == "t1" and (problem := next(failures, None)):
            raise problem
        return read_known(reader, target, *more)

    monkeypatch.setattr(identity, "read_known", fail_once)
    with FaultServer(WITH) as server:
        settings = config(*[{"base_url": server.url, "identity": "1h"} for _ in range(2)])
        shared = SharedState(None, "here")
        loop = new_scheduler(settings, store, ["identity"], shared)
        with suppress(StoreError):
            loop.run_once()
        assert not list(store.read(IDENTITY_CHECKS))
        with suppress(StoreError):  # a run reports it once more at its end
            loop.run_once()
        loop.close()
    assert [row[0] for row in store.read(IDENTITY_CHECKS)] == ["t0", "t1"]


def test_a_request_that_found_no_descriptor_gives_its_reserved_cost_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(exchange, "exchange", fail)
    prices = {"usd_per_million_input": 1_000, "usd_per_million_output": 1_000}
    with FaultServer(WITH) as server:
        [row] = Checked(store, server, **prices).run()
    assert row.outcome == "offline"
    assert [Budget(*values).usd for values in store.read(BUDGETS)] == [0]


def test_enough_checks_make_a_reference_and_other_weights_an_epoch(store: Store) -> None:
    """The store has 119 checks; the one that is made completes them, and four of another model end the epoch."""
    with FaultServer(WITH) as server:
        checked = Checked(store, server)
        [first] = checked.run()
        earlier: list[Row] = [
            IdentityCheck("t0", first.started_at - n * 1_000, "here", "logprobs", "ok", 2, 20, first.observed)
            for n in range(1, 119)
        ]
        store.write(earlier)
        [epoch] = checked.epochs
        store.write([IdentityEpoch("t0", "here", first.started_at - 118_000, "logprobs", first.started_at)])
        store.write([IdentityEpoch(epoch.target, epoch.location, epoch.began_at, "logprobs", 0, ended_at=0)])
        checked.run()
        frozen = checked.epochs[0]
        assert frozen.frozen_at == checked.checks[-1].started_at
        server.script = chunked(token_with([{**TOP[0], "logprob": -3.0}, TOP[1]]), chunk(finish="length"), USAGE, DONE)
        checked.run(4)
    changed = [epoch for epoch in checked.epochs if epoch.noticed_at == checked.checks[-1].started_at]
    assert [epoch.began_at for epoch in changed] == [checked.checks[-4].started_at]
    assert changed[0].distance == pytest.approx(1.25)  # of two tokens one is 2.5 nats away


@pytest.mark.parametrize(
    ("fingerprint", "sent"), [("b4521-9f1c2ab", False), ("b0-unknown", False), ("fp_44709d6fcb", None), (None, None)]
)
def test_llama_cpp_on_another_machine_is_known_by_its_build(fingerprint: str | None, sent: bool | None) -> None:
    """`cache_prompt` is its own: servers that are not known to be llama.cpp are not asked about it."""
    bodies: list[dict[str, Any]] = []

    def send(request: ProbeRequest, _profile: str) -> Exchange:
        bodies.append(request.body)
        return Exchange("timeout")

    [target] = config({"base_url": "https://llm.example/v1", "identity": "1h"}).targets
    before = IdentityCheck("t0", 0, "here", "logprobs", "ok", 2, system_fingerprint=fingerprint)
    identity.check_once(CheckTask(target, "here", send, lambda *_: None), Known(checks=(before,)))
    assert [body.get("cache_prompt") for body in bodies] == [sent]


# -- the configuration


def test_free_servers_on_this_machine_are_checked_by_default_and_others_when_asked() -> None:
    free: dict[str, Any] = {"usd_per_million_input": 0, "usd_per_million_output": 0}
    listed = config(
        {} | free,
        {"identity": "off"} | free,
        {},
        {"base_url": "https://llm.example/v1"} | free,
        {"base_url": "https://llm.example/v1", "identity": "2h"},
        {"api": "embeddings", "identity": "1h"},
    )
    assert [target.identity_every_s for target in listed.targets] == [3_600, None, None, None, 7_200, None]


def test_a_routers_target_needs_a_provider() -> None:
    routed = {"base_url": "https://openrouter.ai/api/v1", "identity": "1h"}
    with pytest.raises(ConfigError, match=r"line 9: target 1 \('t0'\) has identity and no provider"):
        config(routed)
    assert config(routed | {"provider": "deepinfra"}).targets[0].identity_every_s == 3_600
