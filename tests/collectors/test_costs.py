"""What a probe costs at the price of its moment, and what the budget sets aside for it: over a server and a store."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import pytest

from settings.targets import parse
from store import Store
from store.schema import PROBES, Endpoint, Model
from tests.collectors.builders import config, new_scheduler, run_once
from tests.factories import probe
from tests.fault_server import GOOD, FaultServer, answer, chunked, usage

OUT_OF_REACH = "http://192.0.2.1/v1"


def listed(source: str = "t0", **more: Any) -> Model:
    values = {"usd_per_million_input": "10", "usd_per_million_output": "20"} | more
    sent = values.pop("sent", None)
    return Model(source, "m", 1_000, more_prices=json.dumps(sent) if sent else None, **values)


def cost_of(store: Store, target: dict[str, Any], **used: Any) -> float | None:
    with FaultServer(chunked(*GOOD[:-2], usage(**used), GOOD[-1])) as server:
        [row], _ = run_once(config(target | {"base_url": server.url}), store)
    return row.cost_usd


def test_cached_written_and_reasoning_tokens_cost_their_own_price(store: Store) -> None:
    store.write(
        [
            listed(
                sent={
                    "input_cache_read": "0.000001",
                    "input_cache_write": "0.0000125",
                    "internal_reasoning": "0.00004",
                },
                usd_per_request="0.002",
            )
        ]
    )
    usd = cost_of(
        store,
        {},
        prompt=1_000,
        completion=400,
        prompt_tokens_details={"cached_tokens": 300, "cache_write_tokens": 200},
        completion_tokens_details={"reasoning_tokens": 150},
    )
    # 500 x 10 + 300 x 1 + 200 x 12.5 + 250 x 20 + 150 x 40 = 18,800, and the fee
    assert usd == pytest.approx(0.0208)


@pytest.mark.parametrize(("hours_ahead", "usd"), [(0, 0.0001), (12, 0.00004)])
def test_a_price_by_the_hour_is_taken_at_the_moment_of_the_probe(store: Store, hours_ahead: int, usd: float) -> None:
    hour = (time.gmtime().tm_hour + hours_ahead) % 24
    window = {"utc_start": (hour - 1) % 24 * 100, "utc_end": (hour + 2) % 24 * 100}
    store.write(
        [
            listed(
                usd_per_million_input="2",
                usd_per_million_output="0",
                sent={"overrides": [window | {"prompt": "0.000005"}]},
            )
        ]
    )
    assert cost_of(store, {}, prompt=20) == pytest.approx(usd)


def test_a_long_prompt_costs_the_price_of_long_prompts(store: Store) -> None:
    store.write(
        [listed(usd_per_million_output="0", sent={"overrides": [{"min_prompt_tokens": 50, "prompt": "0.00003"}]})]
    )
    assert cost_of(store, {}, prompt=50) == pytest.approx(0.0005)


def test_the_prices_of_the_configuration_have_cached_tokens_and_a_fee(store: Store) -> None:
    own = {
        "usd_per_million_input": 10,
        "usd_per_million_output": 20,
        "usd_per_million_cached": 1,
        "usd_per_request": 0.002,
    }
    usd = cost_of(store, own, prompt=1_000, completion=10, prompt_tokens_details={"cached_tokens": 300})
    assert usd == pytest.approx((700 * 10 + 300 + 10 * 20) / 1e6 + 0.002)


def test_single_prices_of_the_configuration_take_the_place_of_the_catalogs(store: Store) -> None:
    store.write([listed(sent={"input_cache_read": "0.000005"})])
    usd = cost_of(
        store,
        {"usd_per_million_cached": 1, "usd_per_request": 0.002},
        prompt=1_000,
        completion=10,
        prompt_tokens_details={"cached_tokens": 300},
    )
    assert usd == pytest.approx((700 * 10 + 300 + 10 * 20) / 1e6 + 0.002)


# -- the budget


def refusal(store: Store, target: dict[str, Any], usd_per_day: float, model: str = "m") -> str:
    probes, said = run_once(config({"base_url": OUT_OF_REACH, "model": model} | target, usd_per_day=usd_per_day), store)
    assert probes == []
    return said


def test_a_fee_for_each_request_counts_against_the_budget(store: Store) -> None:
    free_tokens = {"usd_per_million_input": 0, "usd_per_million_output": 0, "usd_per_request": 0.1}
    assert "it could cost $0.1000" in refusal(store, free_tokens, 0.05)


def test_a_fee_counts_where_nothing_else_of_the_price_is_known(store: Store) -> None:
    # 64 x $20 + 16 x $100 per million, and the fee
    assert "it could cost $0.1029" in refusal(store, {"usd_per_request": 0.1}, 0.05)


def test_a_fee_of_a_providers_list_counts_against_the_budget(store: Store) -> None:
    store.write([listed(usd_per_million_input="0", usd_per_million_output="0", usd_per_request="0.012")])
    assert "it could cost $0.0120" in refusal(store, {}, 0.01)


def test_the_budget_reserves_the_price_of_the_most_expensive_hour(store: Store) -> None:
    soon = (time.gmtime().tm_hour + 6) % 24
    window = {"utc_start": soon * 100, "utc_end": (soon + 1) % 24 * 100}
    store.write([listed(sent={"overrides": [window | {"prompt": "0.001", "completion": "0.002"}]})])
    assert "it could cost $0.0960" in refusal(store, {}, 0.01)  # 64 x $1,000 + 16 x $2,000 per million


def test_the_budget_reserves_what_reasoning_costs_where_it_costs_more(store: Store) -> None:
    store.write([listed(usd_per_million_input="0", sent={"internal_reasoning": "0.005"})])
    assert "it could cost $0.0800" in refusal(store, {}, 0.01)  # 16 x $5,000 per million


@pytest.mark.parametrize(
    ("provider", "usd"), [(None, "0.0800"), ("costly", "0.0800"), ("costly/fp8", "0.0800"), ("cheap", None)]
)
def test_the_budget_reserves_the_price_of_the_most_expensive_endpoint_that_may_serve(
    store: Store, provider: str | None, usd: str | None
) -> None:
    def hosting(tag: str, price: str) -> Endpoint:
        return Endpoint("openrouter", "m", tag, 1_000, usd_per_million_input=price, usd_per_million_output=price)

    store.write([listed("openrouter", usd_per_million_input="1", usd_per_million_output="1")])
    store.write([hosting("costly/fp8", "1000"), hosting("cheap", "1")])
    with FaultServer(chunked(*GOOD)) as server:
        pinned = f'provider = "{provider}"' if provider else ""
        text = f"""
[collector]
usd_per_day = 0.01
throughput_every = "off"
[openrouter]
base_url = "{server.url}"
[[target]]
name = "a"
model = "m"
base_url = "{server.url}"
{pinned}"""
        probes, said = run_once(parse(text, Path("t.toml"), {}), store)
    assert len(probes) == (usd is None)
    assert usd is None or f"it could cost ${usd}" in said  # 80 tokens x $1,000 per million


def test_a_free_model_of_a_providers_list_is_probed_whatever_the_budget(store: Store) -> None:
    store.write([listed(usd_per_million_input="0", usd_per_million_output="0")])
    with FaultServer(chunked(*GOOD)) as server:
        [row], _ = run_once(config({"base_url": server.url}, usd_per_day=0), store)
    assert row.cost_usd == 0.0


@pytest.mark.parametrize("runs_apart", [True, False])
def test_a_router_on_this_machine_that_reports_costs_is_stopped_by_the_budget(store: Store, runs_apart: bool) -> None:
    with FaultServer(chunked(*GOOD[:-2], usage(cost=0.2), GOOD[-1])) as server:
        settings = config({"base_url": server.url}, usd_per_day=0.5)
        said = io.StringIO()
        loop = new_scheduler(settings, store, said=said)
        for _ in range(4):
            if runs_apart:
                loop.close()
                loop = new_scheduler(settings, store, said=said)
            loop.run_once(everything=True)
        loop.close()
    assert [row[0] for row in store.read(PROBES, columns=("cost_usd",))] == [0.2, 0.2]
    assert "it could cost $0.2000" in said.getvalue()


def test_a_response_that_costs_more_than_the_price_says_raises_what_is_set_aside(store: Store) -> None:
    with FaultServer(chunked(*GOOD[:-2], usage(cost=0.2), GOOD[-1])) as server:
        target = {"base_url": server.url, "usd_per_million_input": 1, "usd_per_million_output": 1}
        settings = config(target, usd_per_day=0.3)
        run_once(settings, store)
        probes, said = run_once(settings, store, everything=True)
    assert len(probes) == 1
    assert "it could cost $0.2000" in said


def test_one_bill_above_the_budget_does_not_stop_a_target_for_ever(store: Store) -> None:
    yesterday = time.time_ns() // 1_000_000 - 86_400_000
    store.write([probe(yesterday, target="t0", location="here", cost_usd=5.0)])
    with FaultServer(chunked(*GOOD)) as server:
        probes, _ = run_once(config({"base_url": server.url}, usd_per_day=0.3), store)
    assert len(probes) == 2


def test_a_cost_that_cannot_be_in_usd_is_not_believed(store: Store) -> None:
    """BerriAI/litellm#35829: it would use up the day's budget, and no target would be probed. 20 x $1 + 2 x $1."""
    target = {"usd_per_million_input": 1, "usd_per_million_output": 1}
    assert cost_of(store, target, cost=12345) == pytest.approx(0.000022)


def test_a_limit_is_raised_only_where_the_budget_has_room_for_it(store: Store) -> None:
    """The first probe asks for 16 tokens, its server for 1,000: at $100 a million that is $0.10."""

    def script(connection: Any, request: dict[str, Any]) -> None:
        enough = request["body"]["max_tokens"] >= 1_000
        refusal = answer(400, {"error": {"message": "max_tokens must be at least 1000"}})
        (chunked(*GOOD[:-2], usage(20, 1_000), GOOD[-1]) if enough else refusal)(connection, request)

    with FaultServer(script) as server:
        target = {"base_url": server.url, "usd_per_million_input": 0, "usd_per_million_output": 100}
        [row], _ = run_once(config(target, usd_per_day=0.05), store)
        assert (row.outcome, len(server.requests)) == ("caller_error", 1)
        [_, row], _ = run_once(config(target, usd_per_day=0.11), store, everything=True)
        assert (row.outcome, row.cost_usd, len(server.requests)) == ("ok", 0.1, 3)
        run_once(config(target, usd_per_day=0.11), store, everything=True)
        assert len(server.requests) == 3


@pytest.mark.parametrize(("usd", "cost"), [(0, 0.0), (1, None)])
def test_a_free_response_that_breaks_off_costs_nothing_and_another_ones_cost_is_unknown(
    store: Store, usd: int, cost: float | None
) -> None:
    price = {"usd_per_million_input": usd, "usd_per_million_output": usd}
    with FaultServer(chunked(*GOOD[:2])) as server:
        probes, _ = run_once(config({"base_url": server.url, **price}), store)
    assert (probes[0].outcome, probes[0].cost_usd) == ("stream_error", cost)
