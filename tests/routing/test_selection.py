"""Who would serve a request: the documentation's own example, and each rule by hand."""

from __future__ import annotations

from typing import Any

import pytest

from routing.selection import (
    EndpointPerformance,
    Plan,
    RoutingRequest,
    inverse_square_shares,
    plan,
    provider_object,
)
from stats.routes import attempts_by_provider, first_choices, routes_of
from stats.routing_inputs import lacking_by_tag, measured_performance, reported_performance
from store.capability_tables import CapabilityTest
from store.schema import Endpoint, EndpointStats
from tests.factories import MINUTE, NOON, probe
from tests.stats.samples import routed


def endpoint(tag: str, usd: float | str | None = 1, **more: Any) -> Endpoint:
    """An endpoint whose tokens cost the same in and out, in USD per million."""
    price = None if usd is None else str(usd)
    values = {"provider": tag.upper(), "usd_per_million_input": price, "usd_per_million_output": price}
    return Endpoint("openrouter", "m", tag, NOON, **(values | more))


A, B, C = endpoint("a", 1), endpoint("b", 2), endpoint("c", 3)


def chances(found: Plan) -> list[tuple[str, float]]:
    return [(offer.endpoint.tag, round(offer.chance or 0.0, 4)) for offer in found.offers]


def reasons(row: Endpoint, wish: RoutingRequest, **more: Any) -> tuple[str, ...]:
    found = plan([row], {}, wish, NOON, **more)
    return found.excluded[0].reasons if found.excluded else ()


# -- by price


def test_the_documentations_example_a_nine_times_as_likely_as_c_and_b_last() -> None:
    found = plan([C, B, A], {"b": EndpointPerformance(had_outage=True)}, RoutingRequest(), NOON, strategy="price")
    assert chances(found) == [("a", 0.9), ("c", 0.1), ("b", 0.0)]


def test_when_all_had_an_outage_the_price_decides_among_them() -> None:
    outage = EndpointPerformance(had_outage=True)
    assert chances(plan([A, C], {"a": outage, "c": outage}, RoutingRequest(), NOON, strategy="price")) == [
        ("a", 0.9),
        ("c", 0.1),
    ]


def test_what_is_free_shares_all() -> None:
    found = plan([endpoint("x", 0), endpoint("y", 0), A], {}, RoutingRequest(), NOON, strategy="price")
    assert chances(found) == [("x", 0.5), ("y", 0.5), ("a", 0.0)]


# -- by what a good response costs


def test_a_failure_costs_a_second_request_and_time_costs_money() -> None:
    wish = RoutingRequest(prompt_tokens=1_000_000, completion_tokens=0)
    records = {
        "a": EndpointPerformance(
            success=0.5, ttft_ms=1_000, tokens_per_second=100
        ),  # $1 / 0.5 + 1 s at $3,600 an hour = $3
        "b": EndpointPerformance(success=1.0, ttft_ms=4_000, tokens_per_second=100),  # $2 / 1 + 4 s = $6
    }
    found = plan([A, B], records, wish, NOON, usd_per_hour=3_600)
    assert [round(offer.good_response_usd, 6) for offer in found.offers] == [3, 6]
    assert chances(found) == [("a", 0.8), ("b", 0.2)]  # 1/9 against 1/36
    worthless = plan([A, B], records, wish, NOON, usd_per_hour=0)
    assert [round(offer.good_response_usd, 6) for offer in worthless.offers] == [2, 2]


def test_generation_time_is_part_of_it() -> None:
    wish = RoutingRequest(prompt_tokens=0, completion_tokens=1_000_000)
    found = plan([A], {"a": EndpointPerformance(1.0, 500, 1_000_000)}, wish, NOON, usd_per_hour=3_600)
    assert found.offers[0].seconds == 1.5
    assert found.offers[0].good_response_usd == pytest.approx(1 + 1.5)


def test_what_never_succeeds_has_no_chance_and_what_is_unknown_is_taken_for_the_middle() -> None:
    wish = RoutingRequest(prompt_tokens=1_000_000, completion_tokens=0)
    found = plan([A, B, C], {"a": EndpointPerformance(success=0.0), "b": EndpointPerformance(success=0.5)}, wish, NOON)
    # c: the middle of 0 and 0.5 is 0.25, so $3 / 0.25 = $12; b: $2 / 0.5 = $4
    assert chances(found) == [("b", 0.9), ("c", 0.1), ("a", 0.0)]


def test_the_expectation_is_over_the_chances() -> None:
    wish = RoutingRequest(prompt_tokens=1_000_000, completion_tokens=0)
    found = plan([A, C], {}, wish, NOON, strategy="price")
    assert found.expected_usd == pytest.approx(0.9 * 1 + 0.1 * 3)
    assert found.expected_seconds is None
    assert plan([], {}, wish, NOON).expected_usd is None


# -- sorted


def test_a_sort_leaves_nothing_to_chance_and_puts_the_unknown_last() -> None:
    records = {
        "a": EndpointPerformance(ttft_ms=300, tokens_per_second=10),
        "b": EndpointPerformance(ttft_ms=100, tokens_per_second=90),
    }

    def order(sort: Any) -> list[str]:
        found = plan([A, B, C], records, RoutingRequest(), NOON, sort=sort)
        assert all(offer.chance is None for offer in found.offers)
        return [offer.endpoint.tag for offer in found.offers]

    assert [order("price"), order("throughput"), order("latency")] == [
        ["a", "b", "c"],
        ["b", "a", "c"],
        ["b", "a", "c"],
    ]


def test_under_a_sort_the_first_is_what_is_expected() -> None:
    found = plan([A, B], {}, RoutingRequest(prompt_tokens=1_000_000, completion_tokens=0), NOON, sort="price")
    assert found.expected_usd == 1
    assert found.expected_seconds is None  # not known, and not 0
    timed = plan(
        [A, B], {"a": EndpointPerformance(1.0, 500, 100)}, RoutingRequest(completion_tokens=100), NOON, sort="latency"
    )
    assert timed.expected_seconds == 1.5


# -- who is out, and why


@pytest.mark.parametrize(
    ("row", "wish", "reason"),
    [
        (endpoint("a", context_tokens=1_400), RoutingRequest(), "its context is 1,400 tokens, the request needs 1,500"),
        (endpoint("a", max_prompt_tokens=999), RoutingRequest(), "it takes prompts of at most 999 tokens"),
        (endpoint("a", max_output_tokens=499), RoutingRequest(), "it writes at most 499 tokens"),
        (
            endpoint("a", supported_parameters="seed"),
            RoutingRequest(parameters=("tools",)),
            "it does not support tools",
        ),
        (
            endpoint("a", supported_parameters="tools"),
            RoutingRequest(parameters=("tools", "structured_outputs")),
            "it does not support structured outputs",
        ),
        (A, RoutingRequest(parameters=("reasoning",)), "it does not support reasoning"),
        (A, RoutingRequest(has_images=True), "the model takes no images"),
        (endpoint("a", None), RoutingRequest(), "its price is not known"),
        (endpoint("a", "varies"), RoutingRequest(), "its price varies"),
        (A, RoutingRequest(most_usd_per_million_input=0.5), "its input price of $1 per million is above the ceiling"),
        (A, RoutingRequest(most_usd_per_million_output=0), "its output price of $1 per million is above the ceiling"),
        (
            endpoint("a", zero_retention=0),
            RoutingRequest(data="zero_retention"),
            "it is not on the router's list of endpoints that keep nothing",
        ),
        (
            A,
            RoutingRequest(data="zero_retention"),
            "it was not looked up on the router's list of endpoints that keep nothing",
        ),
    ],
)
def test_an_endpoint_that_is_out_says_why(row: Endpoint, wish: RoutingRequest, reason: str) -> None:
    assert reasons(row, wish) == (reason,)


@pytest.mark.parametrize(
    ("row", "wish"),
    [
        (endpoint("a", context_tokens=1_500, max_output_tokens=500, max_prompt_tokens=1_000), RoutingRequest()),
        (endpoint("a", supported_parameters="seed,tools"), RoutingRequest(parameters=("tools",))),
        (A, RoutingRequest(most_usd_per_million_input=1, most_usd_per_million_output=1)),
        (endpoint("a", zero_retention=1), RoutingRequest(data="zero_retention")),
        (A, RoutingRequest(data="no_training")),
    ],
)
def test_an_endpoint_that_just_fits_is_in(row: Endpoint, wish: RoutingRequest) -> None:
    assert reasons(row, wish) == ()


def test_images_fit_a_model_that_takes_them() -> None:
    assert reasons(A, RoutingRequest(has_images=True), input_modalities=["text", "image"]) == ()


def test_what_tests_show_an_endpoint_to_lack_is_held_against_it_whatever_it_claims() -> None:
    claims = endpoint("acme/bf16", supported_parameters="tools,structured_outputs")
    wish = RoutingRequest(parameters=("tools", "structured_outputs"))
    assert reasons(claims, wish, lacks={"acme/bf16": frozenset({"structured_outputs", "seed"})}) == (
        "its tests show that it lacks structured outputs",
    )
    assert reasons(claims, wish, lacks={"other": frozenset({"tools"})}) == ()


def test_tests_are_of_the_provider_that_responded_or_else_of_the_one_that_is_pinned() -> None:
    def tests(target: str, provider: str | None, verdict: str, location: str = "here") -> list[CapabilityTest]:
        return [CapabilityTest(target, NOON, location, "tools", verdict, "ok", 1, True, None, provider)]

    rows = [endpoint("acme/bf16", provider="Acme"), endpoint("acme/fp8", provider="Acme"), endpoint("b", provider="B")]
    found = [*tests("pinned", None, "fails"), *tests("unpinned", "B", "fails"), *tests("own server", None, "fails")]
    pinned = {"pinned": "acme/fp8"}
    lacks = frozenset({"tools"})
    assert lacking_by_tag(rows, found, pinned) == {"acme/fp8": lacks, "b": lacks}
    held = tests("unpinned", "B", "holds", "there")  # it fails only where it fails wherever it was tested
    assert lacking_by_tag(rows, [*found, *held], pinned) == {"acme/fp8": lacks, "b": frozenset()}


# -- what to send


def test_the_provider_object_says_the_same_as_the_controls() -> None:
    wish = RoutingRequest(parameters=("tools",), most_usd_per_million_input=1.5, data="zero_retention")
    assert provider_object(wish, "latency") == {
        "sort": "latency",
        "require_parameters": True,
        "max_price": {"prompt": "1.5"},
        "zdr": True,
    }
    assert provider_object(RoutingRequest(data="no_training"), None) == {"data_collection": "deny"}
    assert provider_object(RoutingRequest(), None) == {}
    assert provider_object(RoutingRequest(), None, ignored=["a"]) == {"ignore": ["a"]}
    assert provider_object(RoutingRequest(), "price", ["b", "a"], ["c"]) == {
        "order": ["b", "a"],
        "allow_fallbacks": False,
    }


def test_the_routers_own_client_takes_the_provider_object() -> None:
    from openrouter.components import ProviderPreferences

    wish = RoutingRequest(
        parameters=("tools",), most_usd_per_million_input=1.5, most_usd_per_million_output=2, data="no_training"
    )
    for sent in (
        provider_object(wish, "throughput"),
        provider_object(RoutingRequest(data="zero_retention"), None, ["deepinfra/bf16"]),
    ):
        known = ProviderPreferences.model_validate(sent)
        assert {name for name in sent if getattr(known, name, None) is None} == set()


@pytest.mark.parametrize(
    ("costs", "shares"),
    [
        ([], []),
        ([5.0], [1.0]),
        ([float("inf")] * 2, [0.5, 0.5]),
        ([1e-300, 1e-300], [0.5, 0.5]),
        ([0.0, 1.0], [1.0, 0.0]),
    ],
)
def test_shares_at_the_edges(costs: list[float], shares: list[float]) -> None:
    assert inverse_square_shares(costs) == shares


# -- how an endpoint does


def test_a_report_becomes_a_record() -> None:
    said = EndpointStats("openrouter", "m", "a", NOON, "A", 0, 1.0, 0.97, 0.9, 300.0, tokens_per_second_p50=70.0)
    assert reported_performance(said) == EndpointPerformance(0.97, 300.0, 70.0, False)
    assert reported_performance(
        EndpointStats("openrouter", "m", "a", NOON, uptime_5m=0.8, uptime_1d=0.9)
    ) == EndpointPerformance(0.9, had_outage=True)
    assert reported_performance(EndpointStats("openrouter", "m", "a", NOON, status=-2)).had_outage


def _route(*steps: tuple[str, int | None]) -> str:
    import json

    return json.dumps([{"provider": name, "model": "m", "status": status} for name, status in steps])


def test_fallbacks_are_counted_from_the_recorded_routes() -> None:
    probes = routed(
        [
            probe(NOON, provider="A", route=_route(("A", 200))),
            probe(NOON + MINUTE, provider="B", route=_route(("A", 503), ("B", 200)), ttft_ms=50.0),
            probe(NOON + 2 * MINUTE, provider="B", route=_route(("A", 429), ("B", 200)), ttft_ms=70.0),
            probe(NOON + 3 * MINUTE, "server_error", route=_route(("C", 500))),
            probe(NOON + 4 * MINUTE, route=None),
            probe(NOON + 5 * MINUTE, route="no JSON"),
        ]
    )
    routes = routes_of(probes)
    first, second = first_choices(routes)
    assert (first.provider, first.times, first.answered, dict(first.fell_back_to)) == ("A", 3, 1, {"B": 2})
    assert (second.provider, second.times, second.answered, dict(second.fell_back_to)) == ("C", 1, 0, {"nobody": 1})
    seen = attempts_by_provider(routes)
    assert (seen["A"].answered, seen["A"].failed, seen["A"].limited, seen["A"].success) == (1, 1, 1, 1 / 3)
    assert (seen["B"].answered, seen["B"].success) == (2, 1.0)
    records = measured_performance(probes)
    assert records["B"] == EndpointPerformance(1.0, 60.0, 50.0, False)
    assert (records["A"].success, records["A"].had_outage) == (1 / 3, False)  # the newest was a rate limit
    assert records["C"] == EndpointPerformance(0.0, None, None, True)
