"""Who serves a real request: worked out by hand for a few endpoints, and by counting where chance decides."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from routing.prices import Price
from routing.relay_selection import EndpointState, RequestNeeds, rank
from routing.selection import EndpointPerformance, RoutingRequest, plan
from settings.relay import RouteStrategy
from store.schema import Endpoint
from tests.factories import NOON

PICKS = 120_000


def price(usd: float) -> Price:
    """For input and output, USD per million tokens."""
    return Price({"input": Decimal(str(usd)), "output": Decimal(str(usd))})


def state(name: str, usd: float | None = 1.0, **more: Any) -> EndpointState:
    return EndpointState(name, price=None if usd is None else price(usd), **more)


def performance(**more: Any) -> EndpointPerformance:
    return EndpointPerformance(**more)


def order(states: list[EndpointState], strategy: RouteStrategy = "price", seed: int = 1, **needs: Any) -> list[str]:
    return list(rank(states, RequestNeeds(**needs), strategy, NOON, Random(seed)).order)


def reasons(states: list[EndpointState], **needs: Any) -> dict[str, tuple[str, ...]]:
    ranking = rank(states, RequestNeeds(**needs), "order", NOON, Random(1))
    return {rejected.target: rejected.reasons for rejected in ranking.rejected}


def first_picks(states: list[EndpointState], strategy: RouteStrategy, picks: int, **needs: Any) -> Counter[str]:
    random = Random(20_261_126)
    wanted = RequestNeeds(**needs)
    return Counter(rank(states, wanted, strategy, NOON, random).order[0] for _ in range(picks))


# -- price


@pytest.mark.thorough
def test_of_120_000_picks_at_1_and_3_dollars_nine_go_to_the_cheaper_for_one_to_the_other() -> None:
    picks = first_picks([state("dear", 3.0), state("cheap", 1.0)], "price", PICKS)
    assert picks["cheap"] + picks["dear"] == PICKS
    assert 9 * 0.95 <= picks["cheap"] / picks["dear"] <= 9 * 1.05


def test_the_share_is_by_the_cost_of_this_request() -> None:
    """With 1,000 tokens in and 1,000 out: $0.002 at the one, $0.004 at the other, so 4 to 1."""
    one = EndpointState("in", price=Price({"input": Decimal(2), "output": Decimal(0)}))
    other = EndpointState("out", price=Price({"input": Decimal(1), "output": Decimal(3)}))
    picks = first_picks([one, other], "price", 20_000, prompt_tokens=1_000, completion_tokens=1_000)
    assert 4 * 0.93 <= picks["in"] / picks["out"] <= 4 * 1.07


@pytest.mark.thorough
def test_the_second_place_is_drawn_among_those_that_are_left() -> None:
    """After the one at $1, those at $2 and $4 are 4 to 1, and every endpoint comes exactly once."""
    random, seconds = Random(7), Counter[str]()
    for _ in range(20_000):
        found = rank([state("a", 1), state("b", 2), state("c", 4)], RequestNeeds(), "price", NOON, random).order
        assert sorted(found) == ["a", "b", "c"]
        if found[0] == "a":
            seconds[found[1]] += 1
    assert 4 * 0.9 <= seconds["b"] / seconds["c"] <= 4 * 1.1


def test_an_endpoint_with_an_outage_comes_after_all_that_had_none_however_cheap_it_is() -> None:
    states = [state("down", 0.01, performance=performance(had_outage=True)), state("a", 9), state("b", 9)]
    assert {tuple(order(states, seed=seed))[2] for seed in range(50)} == {"down"}


@pytest.mark.thorough
def test_one_of_unknown_price_is_drawn_as_the_middle_one_of_the_others() -> None:
    """At $1, $2 and $4 the middle is $2: shares of 16, 4, 1 and 4 of 25."""
    picks = first_picks([state("a", 1), state("b", 2), state("c", 4), state("?", None)], "price", 25_000)
    assert [round(picks[name] / 1_000) for name in ("a", "b", "c", "?")] == [16, 4, 1, 4]


def test_free_endpoints_share_all_of_it() -> None:
    picks = first_picks([state("a", 0), state("b", 0), state("c", 1)], "price", 10_000)
    assert picks["c"] == 0 and abs(picks["a"] - 5_000) < 250


# -- balanced


@pytest.mark.thorough
def test_balanced_counts_price_time_and_success() -> None:
    """500 tokens out. a: $0.001, 1 s + 500/100 = 6 s; b: $0.001, 1 s + 500/500 = 2 s. A second is worth
    0.002 / 8 = $0.00025, so a is 0.0025 and b 0.0015: shares by the squares are 9 to 25.
    """
    a = state("a", 2, performance=performance(success=1.0, ttft_ms=1_000, tokens_per_second=100))
    b = state("b", 2, performance=performance(success=1.0, ttft_ms=1_000, tokens_per_second=500))
    size = {"prompt_tokens": 0, "completion_tokens": 500}
    picks = first_picks([a, b], "balanced", 34_000, **size)
    assert 25_000 * 0.96 <= picks["b"] <= 25_000 * 1.04
    # half of b's requests fail: $0.002 each, and 0.0025 with its time, as a's
    picks = first_picks([a, replace(b, performance=replace(b.performance, success=0.5))], "balanced", 20_000, **size)
    assert abs(picks["a"] - 10_000) < 400


def test_balanced_reckons_with_what_comes_from_a_cache() -> None:
    """All of the prompt from a cache at a tenth of the price makes $10 a $1: as the other."""
    cached = Price({"input": Decimal(10), "output": Decimal(0), "cached_input": Decimal(1)})
    a = EndpointState("a", price=cached, cached_share=1.0)
    b = EndpointState("b", price=Price({"input": Decimal(1), "output": Decimal(0)}))
    assert abs(first_picks([a, b], "balanced", 10_000)["a"] - 5_000) < 250
    assert first_picks([a, b], "price", 10_000)["a"] < 200  # 1 of 101


def test_balanced_over_free_endpoints_is_by_time_alone() -> None:
    """1 s and 3 s: 9 to 1."""
    fast, slow = (
        state(name, 0, performance=performance(ttft_ms=ms, tokens_per_second=1e9))
        for name, ms in (("fast", 1_000), ("slow", 3_000))
    )
    picks = first_picks([slow, fast], "balanced", 20_000)
    assert 9 * 0.92 <= picks["fast"] / picks["slow"] <= 9 * 1.08


# -- sorts and orders


def known() -> list[EndpointState]:
    return [
        state("a", 3, provider="Alpha", performance=performance(ttft_ms=300, tokens_per_second=90)),
        state("b", 1, provider="Beta", performance=performance(ttft_ms=100, tokens_per_second=10)),
        state("c", 2, provider="Gamma", performance=performance(ttft_ms=200, tokens_per_second=50)),
        state("new", None),
    ]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [("latency", "b c a new"), ("throughput", "a c b new"), ("order", "a b c new")],
)
def test_latency_and_throughput_are_by_the_best_median_and_order_is_as_written(
    strategy: RouteStrategy, expected: str
) -> None:
    assert {" ".join(order(known(), strategy, seed)) for seed in range(20)} == {expected}


@pytest.mark.parametrize(
    ("sort", "expected"), [("price", "b c a new"), ("latency", "b c a new"), ("throughput", "a c b new")]
)
@pytest.mark.parametrize("strategy", ["price", "balanced", "order", "latency", "throughput"])
def test_a_sort_of_the_request_leaves_nothing_to_chance(sort: Any, expected: str, strategy: RouteStrategy) -> None:
    assert {" ".join(order(known(), strategy, seed, sort=sort)) for seed in range(20)} == {expected}


def test_an_order_of_the_request_comes_first_and_switches_balancing_off() -> None:
    assert {" ".join(order(known(), "price", seed, order=("gamma", "A"))) for seed in range(20)} == {"c a b new"}


def test_an_order_without_fallbacks_tries_exactly_these() -> None:
    assert order(known(), order=("c", "b"), allow_fallbacks=False) == ["c", "b"]


def test_without_fallbacks_only_the_first_is_tried_and_never_one_that_rests_while_another_does_not() -> None:
    states = [replace(known()[0], resting_until=NOON + 5_000), *known()[1:]]
    assert order(states, "order", allow_fallbacks=False) == ["b"]


def test_those_that_rest_come_last_and_of_these_the_first_to_return_first() -> None:
    states = [
        state("late", resting_until=NOON + 9_000),
        state("early", resting_until=NOON + 1_000),
        state("ejected", is_ejected=True),
        state("back", resting_until=NOON - 1),
        state("sound"),
    ]
    assert order(states, "order") == ["back", "sound", "ejected", "early", "late"]


# -- who is out, and why


def endpoint(**more: Any) -> Endpoint:
    return Endpoint("openrouter", "m", "beta/fp8", NOON, provider="Beta", quantization="fp8", **more)


def test_each_reason_is_said() -> None:
    listed = endpoint(context_tokens=4_000, max_output_tokens=100, supported_parameters="temperature")
    assert reasons(
        [state("b", 5, endpoint=listed, input_modalities=("text",))],
        prompt_tokens=3_900,
        completion_tokens=200,
        completion_is_stated=True,
        parameters=("tools", "min_p"),
        has_images=True,
        most_usd_per_million_input=1.0,
        most_usd_per_million_output=2.0,
    ) == {
        "b": (
            "its context is 4,000 tokens, the request needs 4,100",
            "it writes at most 100 tokens",
            "it does not support tools",
            "it does not support min_p",
            "the model takes no images",
            "its input price of $5 per million is above the ceiling",
            "its output price of $5 per million is above the ceiling",
        )
    }


def test_a_length_that_the_request_does_not_state_keeps_nobody_out() -> None:
    assert order([state("a", context_tokens=512)], prompt_tokens=400, completion_tokens=500) == ["a"]
    assert reasons([state("a", context_tokens=512)], prompt_tokens=600) == {
        "a": ("its context is 512 tokens, the request needs 600",)
    }


def test_what_is_not_known_is_held_against_nobody_but_a_price_where_there_is_a_ceiling() -> None:
    assert order([state("a", None)], parameters=("tools",), has_images=True, prompt_tokens=10**6) == ["a"]
    assert reasons([state("a", None)], most_usd_per_million_output=1.0) == {
        "a": ("its price is not known, and the request has a ceiling",)
    }


@pytest.mark.parametrize("name", ["b", "BETA", "beta/fp8"])
def test_a_request_names_an_endpoint_by_target_provider_or_tag(name: str) -> None:
    states = [state("a", provider="Alpha"), state("b", endpoint=endpoint())]
    assert order(states, "order", only=(name,)) == ["b"]
    assert order(states, "order", ignore=(name,)) == ["a"]
    assert reasons(states, only=(name,)) == {"a": ("the request's `only` does not name it",)}


def test_quantizations_keep_others_and_unknown_ones_out() -> None:
    states = [state("a"), state("b", endpoint=endpoint())]
    assert reasons(states, quantizations=("fp8",)) == {"a": ("its quantization is unknown",)}
    assert reasons(states, quantizations=("unknown",)) == {"b": ("its quantization is fp8",)}


def test_the_routing_page_and_the_relay_give_the_same_reasons_and_the_same_shares() -> None:
    rows = [
        endpoint(usd_per_million_input="1", usd_per_million_output="1", context_tokens=9_000),
        replace(endpoint(usd_per_million_input="3", usd_per_million_output="3"), tag="gamma", provider="Gamma"),
        replace(endpoint(usd_per_million_input="1", usd_per_million_output="1", context_tokens=10), tag="tiny"),
    ]
    drawn = plan(rows, {}, RoutingRequest(), NOON, strategy="price")
    states = [
        state(row.tag, float(row.usd_per_million_input or 0), endpoint=row, provider=row.provider) for row in rows
    ]
    assert [rejected.reasons for rejected in drawn.excluded] == [
        reasons(states, prompt_tokens=1_000, completion_tokens=500, completion_is_stated=True)["tiny"]
    ]
    picks = first_picks(states, "price", 20_000, prompt_tokens=1_000, completion_is_stated=True)
    for offer in drawn.offers:
        assert picks[offer.endpoint.tag] / 20_000 == pytest.approx(offer.chance or 0.0, abs=0.01)


def test_what_tests_show_goes_before_what_a_catalog_claims() -> None:
    liar, other = replace(state("liar", 1.0), lacks=frozenset({"tools", "image"})), state("other", 3.0)
    assert reasons([liar, other], parameters=("tools",), has_images=True)["liar"] == (
        "its tests show that it lacks tools",
        "its tests show that it lacks image",
    )
    assert reasons([liar, other]) == {}
