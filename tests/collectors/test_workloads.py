"""Workloads through the scheduler, against a server that counts tokens, caches prefixes, and fails when it is told to."""

from __future__ import annotations

import io
import socket
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from collectors import workloads
from collectors.contract import CheckTask, DayOfChecks
from collectors.registry import choose_collectors
from collectors.scheduler.console import ConsoleReport
from collectors.scheduler.scheduler import Scheduler
from collectors.scheduler.shared_state import SharedState
from settings.targets import Config, parse
from settings.workloads import Workload
from store import Store
from store.clock import HOUR_MS, now_ms
from store.schema import BUDGETS, PROBES, RUNS, Model, Pause, Probe
from store.workload_tables import WORKLOADS, WorkloadRequest
from tests.factories import MINUTE, probe
from tests.fault_server import DONE, GOOD, FaultServer, answer, chunk, chunked, usage

TEMPLATE_TOKENS = 30
PRICES = {"usd_per_million_input": 2, "usd_per_million_output": 10, "usd_per_million_cached": 1}


class CachingServer:
    """Counts 2 tokens a word and 30 around them, and has read the beginning of any prompt that it saw before."""

    def __init__(self, context: int = 100_000) -> None:
        self.context = context
        self.prompts: list[str] = []
        self.bodies: list[dict[str, Any]] = []

    def __call__(self, connection: socket.socket, request: dict[str, Any]) -> None:
        body = request["body"]
        text = body["messages"][-1]["content"].split("\n\n")[0]
        self.bodies.append(body)
        tokens = 2 * len(text.split()) + TEMPLATE_TOKENS
        if tokens > self.context:
            error = {"message": "too long", "code": "context_length_exceeded"}
            answer(400, {"error": error})(connection, request)
            return
        cached = tokens - TEMPLATE_TOKENS if text in self.prompts else 0
        self.prompts.append(text)
        pieces: list[bytes | float] = []
        for number in range(20):
            pieces += [chunk(f"{number}\n"), 0.004]
        counted = usage(tokens, 20, total_tokens=tokens + 20)
        if cached:
            details = b'"prompt_tokens_details": {"cached_tokens": %d}, "prompt_tokens"' % cached
            counted = counted.replace(b'"prompt_tokens"', details, 1)
        chunked(*pieces, chunk(finish="stop"), counted, DONE)(connection, request)


def configure(url: str, *sections: str, collector: str = "", **target: Any) -> Config:
    lines = ["[collector]", 'throughput_every = "off"', collector, "[[target]]", 'name = "t0"', 'model = "m"']
    lines += [f'base_url = "{url}"', *(f"{name} = {value}" for name, value in target.items())]
    for section in sections or ("input_tokens = [100, 1000]\nprompt_cache = true",):
        named = "" if "name =" in section else 'name = "ladder"\n'
        lines += [f'[[workload]]\n{named}targets = ["*"]\n{section}']
    text = "\n".join(lines)
    assert tomllib.loads(text)
    return parse(text, Path("targets.toml"), {})


def run(store: Store, settings: Config, *, everything: bool = True) -> list[WorkloadRequest]:
    """One run, as from a timer; the rows of the newest one, in the order of the steps."""
    collectors = choose_collectors(["workloads"])
    loop = Scheduler(settings, store, "here", ConsoleReport(io.StringIO()), collectors, SharedState(None, "here"))
    loop.run_once(everything=everything)
    loop.close()
    rows = [WorkloadRequest(*row) for row in store.read(WORKLOADS)]
    newest = max((row.started_at for row in rows), default=0)
    order = {"size": 0, "first": 1, "again": 2}
    mine = [row for row in rows if row.started_at == newest]
    return sorted(mine, key=lambda row: (row.workload, order[row.kind], row.input_tokens))


def test_each_size_has_a_prompt_of_its_own_and_the_long_one_is_sent_twice(store: Store) -> None:
    with FaultServer(server := CachingServer()) as served:
        rows = run(store, configure(served.url, **PRICES))
        again = run(store, configure(served.url, **PRICES))
    assert [(row.kind, row.input_tokens, row.outcome) for row in rows] == [
        ("size", 100, "ok"),
        ("size", 1_000, "ok"),
        ("first", 5_000, "ok"),
        ("again", 5_000, "ok"),
    ]
    assert len(set(server.prompts)) == 6  # of 8 requests, two pairs of which share their text
    assert [row.cached_tokens for row in rows[:3]] == [None] * 3
    assert rows[3].cached_tokens == (rows[3].prompt_tokens or 0) - TEMPLATE_TOKENS > 4_500
    assert all(row.ttft_ms is not None and row.tokens_per_second is not None for row in rows)
    assert {row.usd_per_million_input for row in rows} == {2.0}
    tokens = rows[1].prompt_tokens or 0
    assert rows[1].cost_usd == pytest.approx((2 * tokens + 10 * 20) / 1e6)
    assert rows[3].cost_usd == pytest.approx((2 * TEMPLATE_TOKENS + (tokens := rows[3].cached_tokens or 0) + 200) / 1e6)
    assert [body["max_tokens"] for body in server.bodies] == [128] * 8
    # the second run knows from the first how many tokens a word has
    assert [row.prompt_tokens for row in again] == [pytest.approx(row.input_tokens, abs=3) for row in again]


def test_what_exceeds_the_context_is_not_sent_and_the_long_prompt_takes_three_quarters_of_it(store: Store) -> None:
    store.write([Model("t0", "m", 1, context_tokens=2_000)])
    with FaultServer(CachingServer(2_000)) as server:
        settings = configure(server.url, "input_tokens = [100, 400, 1900]\nprompt_cache = true", **PRICES)
        rows = run(store, settings)
        assert len(server.requests) == 4
    assert [(row.kind, row.input_tokens, row.outcome, row.error) for row in rows] == [
        ("size", 100, "ok", None),
        ("size", 400, "ok", None),
        ("size", 1_900, "skipped", "with 128 output tokens it exceeds the context of 2,000"),
        ("first", 1_500, "ok", None),
        ("again", 1_500, "ok", None),
    ]


def test_what_fails_for_a_size_is_not_tried_for_larger_ones(store: Store) -> None:
    with FaultServer(CachingServer(300)) as server:
        rows = run(store, configure(server.url, "input_tokens = [100, 1000, 10000]\nprompt_cache = true"))
        assert len(server.requests) == 2
    reason = "a request with 1,000 input tokens failed in this run"
    assert [(row.outcome, row.error) for row in rows[2:]] == [("skipped", reason)] * 3
    assert (rows[0].outcome, rows[1].outcome, rows[1].http_status) == ("ok", "caller_error", 400)
    assert "too long" in (rows[1].error or "")


def test_a_prompt_for_which_the_budget_has_no_room_is_not_sent_and_smaller_ones_are(store: Store) -> None:
    """At $2 per million, 10,000 tokens cost $0.025 at most, and $0.02 are left for a day."""
    with FaultServer(CachingServer()) as server:
        settings = configure(
            server.url,
            "input_tokens = [100, 400, 10000]\nprompt_cache = true",
            collector="usd_per_day = 0.02",
            **PRICES,
        )
        rows = run(store, settings)
    assert [row.outcome for row in rows] == ["ok", "ok", "skipped", "ok", "skipped"]  # $0.0139 each for the long prompt
    assert "budget" in (rows[2].error or "")
    [budget] = list(store.read(BUDGETS, columns=("usd",)))
    assert budget[0] == pytest.approx(sum(row.cost_usd or 0 for row in rows))


def test_a_run_of_which_nothing_may_be_sent_leaves_no_row(store: Store) -> None:
    with FaultServer(CachingServer()) as server:
        assert run(store, configure(server.url, collector="usd_per_day = 0", **PRICES)) == []
        assert server.requests == []


def test_a_workload_runs_at_its_own_interval_and_a_new_one_at_once(store: Store) -> None:
    with FaultServer(CachingServer()) as server:
        hourly = 'name = "often"\ninput_tokens = [100]\nevery = "1h"'
        daily = 'name = "daily"\ninput_tokens = [200]\nevery = "1d"'
        assert [row.workload for row in run(store, configure(server.url, hourly), everything=False)] == ["often"]
        both = configure(server.url, hourly, daily)
        assert [row.workload for row in run(store, both, everything=False)] == ["daily"]
        before = len(server.requests)
        run(store, both, everything=False)
        assert len(server.requests) == before
        assert [row.workload for row in run(store, both)] == ["often"]  # everything that is due or not


def test_a_workload_with_a_longer_interval_waits_for_it() -> None:
    hourly, daily = Workload("often", (100,), 128, 3_600.0), Workload("daily", (200,), 128, 86_400.0)
    [target] = configure("http://127.0.0.1:9/v1", 'name = "x"\ninput_tokens = [100]').targets
    object.__setattr__(target, "workloads", (hourly, daily))
    now = now_ms()

    def due(hours: float) -> list[str]:
        last = {"often": now - HOUR_MS, "daily": now - round(hours * HOUR_MS)}
        return [one.name for one in workloads._due(target, last, now)]

    assert due(23) == ["often"]
    assert due(23.95) == ["often", "daily"]


def test_targets_without_a_workload_or_without_text_are_not_measured(store: Store) -> None:
    [embeddings] = configure("http://127.0.0.1:9/v1", api='"embeddings"').targets
    assert workloads.pace(store, embeddings, "here", now_ms()).every_s is None
    assert workloads.day(embeddings, None) == []


def test_a_day_comes_to_every_size_that_fits_and_the_long_prompt_twice() -> None:
    settings = configure("http://127.0.0.1:9/v1", 'input_tokens = [100, 10000]\nevery = "12h"\nprompt_cache = true')
    [target] = settings.targets
    assert workloads.day(target, 8_000) == [
        DayOfChecks(2, "workloads", 189),
        DayOfChecks(0, "workloads", note="10,000 input tokens exceed the context of 8,000"),
        DayOfChecks(2, "workloads", 6_314),
        DayOfChecks(2, "workloads", 6_314),
    ]
    assert len(workloads.day(target, None)) == 4


def begin(settings: Config) -> workloads._Run:
    def send(*_: Any) -> Any:
        raise AssertionError("nothing is to be sent")

    return workloads._Run(CheckTask(settings.targets[0], "here", send, lambda *_: None), 0, [])


def test_for_anthropic_the_long_prompt_is_marked_and_what_follows_it_is_not() -> None:
    made = begin(configure("http://127.0.0.1:9/v1", api='"anthropic"'))
    made._text = "river stone"
    marked, after = made._request(workloads.Step("ladder", "first", 5_000, 128)).body["messages"][0]["content"]
    assert (marked["text"], marked["cache_control"]) == ("river stone", {"type": "ephemeral"})
    assert after["text"].startswith("Ignore") and "cache_control" not in after
    plain = made._request(workloads.Step("ladder", "size", 100, 128)).body["messages"][0]["content"]
    assert "cache_control" not in str(plain)


def test_a_long_prompt_has_the_time_that_a_slow_server_takes_for_it(store: Store) -> None:
    """60 s, 1,000 tokens at 200 and 128 at 5 a second, whatever the target's timeout is."""
    made = begin(configure("http://127.0.0.1:9/v1", "input_tokens = [1000]", timeout='"5s"'))
    times = [made._request(workloads.Step("ladder", "size", size, 128)).timeout_s for size in (1_000, 1_000_000)]
    assert times == [pytest.approx(90.6), 900]


def test_a_timer_that_is_quicker_than_a_check_makes_one_in_each_interval(tmp_path: Path, store: Store) -> None:
    """A process each quarter of an hour, and an hourly check: no slot is taken twice. (One may come a quarter early.)"""
    began, real, leap = 1_800_000_000 * 10**9, time.time_ns(), 0
    time_ns = time.time_ns
    with FaultServer(CachingServer()) as server, pytest.MonkeyPatch.context() as here:
        here.setattr(time, "time_ns", lambda: began + leap + time_ns() - real)
        settings = configure(server.url, 'input_tokens = [100]\nevery = "1h"')
        for quarter in range(24):
            leap = quarter * 900 * 10**9
            shared, report = SharedState(tmp_path / "lock", "here"), ConsoleReport(io.StringIO())
            loop = Scheduler(settings, store, "here", report, choose_collectors(["workloads"]), shared)
            loop.run_once()
            loop.close()
    at = [(at - began // 10**6) // 900_000 for (at,) in store.read(WORKLOADS, columns=("started_at",))]
    assert sorted(at) == [0, 3, 6, 10, 14, 18, 22]


def test_a_router_on_this_machine_that_passes_on_bills_is_kept_to_the_budget(store: Store) -> None:
    """Its price is not known and its responses cost $0.004 each: two of them fit into $0.01."""
    with FaultServer(chunked(*GOOD[:-2], usage(20, 2, cost=0.004), DONE)) as server:
        settings = configure(server.url, collector="usd_per_day = 0.01")
        rows = run(store, settings)
        assert len(server.requests) == 2
    assert [row.outcome for row in rows] == ["ok", "ok", "skipped", "skipped"]
    assert "budget" in (rows[2].error or "")


def test_what_is_due_in_a_pause_is_sent_when_it_ends(tmp_path: Path, store: Store) -> None:
    """A window each night at the time of a daily check would otherwise keep it from ever being made."""
    with FaultServer(CachingServer()) as server:
        settings = configure(server.url, "input_tokens = [100]")
        shared, report = SharedState(tmp_path / "lock", "here"), ConsoleReport(io.StringIO())
        loop = Scheduler(settings, store, "here", report, choose_collectors(["workloads"]), shared)
        began = now_ms() - 1
        store.write([Pause("t0", began)])  # while the process runs, which makes no probes
        loop.run_once()
        assert server.requests == []
        assert list(store.read(RUNS)) == []  # a pause of a day is no skipped check each minute
        store.write([Pause("t0", began, now_ms())])
        time.sleep(0.002)
        loop.run_once()
        loop.close()
        assert len(server.requests) == 1


def check_and_ping(tmp_path: Path, store: Store, settings: Config) -> None:
    """One run of a timer, whose collector of checks comes first."""
    shared, report = SharedState(tmp_path / "lock", "here"), ConsoleReport(io.StringIO())
    loop = Scheduler(settings, store, "here", report, choose_collectors(["workloads", "probe"]), shared)
    loop.run_once()
    loop.close()


def test_probes_come_before_a_check_that_is_due_with_them(tmp_path: Path, store: Store) -> None:
    with FaultServer(CachingServer()) as server:
        check_and_ping(tmp_path, store, configure(server.url, "input_tokens = [100]"))
        lengths = [len(body["body"]["messages"][-1]["content"]) for body in server.requests]
    assert len(lengths) == 2 and lengths[0] < lengths[1]


def test_a_target_that_hangs_is_not_checked_until_it_answers(tmp_path: Path, store: Store) -> None:
    """A request of a check would hold up its next probe for as long as its own timeout, and say nothing new."""
    hangs = True

    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        if hangs:
            time.sleep(1.2)
        else:
            CachingServer()(connection, request)

    with FaultServer(script) as server:
        collector = 'confirm_after = "10ms"'
        settings = configure(server.url, "input_tokens = [100]", timeout='"1s"', every='"1s"', collector=collector)
        check_and_ping(tmp_path, store, settings)
        assert [Probe(*row).outcome for row in store.read(PROBES)] == ["timeout", "timeout"]
        check_and_ping(tmp_path, store, settings)
        assert {body["body"]["max_tokens"] for body in server.requests} == {server.requests[0]["body"]["max_tokens"]}
        hangs = False
        for _ in range(2):  # what it answers is known before the second run
            time.sleep(1)
            check_and_ping(tmp_path, store, settings)
        assert [WorkloadRequest(*row).outcome for row in store.read(WORKLOADS)] == ["ok"]


@pytest.mark.parametrize(("age_min", "is_checked"), [(5, False), (60, True)])
def test_a_failure_of_long_ago_keeps_no_check_from_a_target_that_nobody_probes(
    store: Store, age_min: int, is_checked: bool
) -> None:
    store.write([probe(now_ms() - age_min * MINUTE, "timeout", target="t0", location="here", stands_for_s=60.0)])
    with FaultServer(CachingServer()) as server:
        rows = run(store, configure(server.url, "input_tokens = [100]", every='"1m"'))
    assert bool(rows) == is_checked
