"""What a request costs, worked out by hand."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from routing.prices import BilledTokens, Price, conditions_of, listed_price, price_at
from store.schema import Endpoint
from tests.factories import HOUR, NOON


def endpoint(price_in: str | None = "1", price_out: str | None = "2", **more: Any) -> Endpoint:
    return Endpoint(
        "openrouter",
        "m",
        "a",
        NOON,
        usd_per_million_input=price_in,
        usd_per_million_output=price_out,
        more_prices=json.dumps(more) if more else None,
    )


def cost(row: Endpoint, prompt: int = 1_000, completion: int = 500, cached: float = 0.0, now: int = NOON) -> float:
    price = price_at(row, prompt, now)
    assert price is not None
    return price.request_usd(prompt, completion, cached)


def test_tokens_at_their_price_per_million() -> None:
    assert cost(endpoint()) == pytest.approx(1_000 * 1e-6 + 500 * 2e-6)


def test_a_price_per_request_is_added_and_a_discount_taken_off_everything() -> None:
    row = Endpoint(
        "s",
        "m",
        "a",
        NOON,
        usd_per_million_input="1",
        usd_per_million_output="2",
        usd_per_request="0.01",
        more_prices='{"discount": 0.25}',
    )
    assert cost(row) == pytest.approx((0.002 + 0.01) * 0.75)


def test_the_cached_part_of_a_prompt_has_its_own_price_where_it_is_told() -> None:
    row = endpoint(input_cache_read="0.0000001")  # $0.1 per million
    assert cost(row, completion=0, cached=0.5) == pytest.approx(500 * 1e-6 + 500 * 0.1e-6)
    assert cost(endpoint(), completion=0, cached=0.5) == pytest.approx(0.001)


def test_a_long_prompt_costs_its_own_price_and_what_is_not_named_stays() -> None:
    row = endpoint(overrides=[{"min_prompt_tokens": 200_000, "prompt": "0.000003"}])
    assert cost(row, 200_000, 0) == pytest.approx(0.2)  # strictly above
    assert cost(row, 200_001, 10) == pytest.approx(200_001 * 3e-6 + 10 * 2e-6)


def test_of_several_that_hold_the_later_one_wins() -> None:
    row = endpoint(overrides=[{"prompt": "0.000005"}, {"prompt": "0.000007"}])
    assert cost(row, 1_000_000, 0) == pytest.approx(7)


@pytest.mark.parametrize(
    ("override", "hour", "dear"),
    [
        ({"utc_start": 1200, "utc_end": 1300}, 12, True),
        ({"utc_start": 1200, "utc_end": 1300}, 13, False),
        ({"utc_start": 2200, "utc_end": 400}, 23, True),  # over midnight
        ({"utc_start": 2200, "utc_end": 400}, 3, True),
        ({"utc_start": 2200, "utc_end": 400}, 4, False),
        ({"utc_days": ["tuesday"]}, 12, True),  # 24 November 2026 is one
        ({"utc_days": ["sunday"]}, 12, False),
    ],
)
def test_a_price_by_the_hour_or_the_day_holds_only_then(override: dict[str, Any], hour: int, dear: bool) -> None:
    row = endpoint(overrides=[override | {"prompt": "0.000009"}])
    assert cost(row, 1_000_000, 0, now=NOON + (hour - 12) * HOUR) == pytest.approx(9 if dear else 1)


@pytest.mark.parametrize("price", [None, "varies", "", "NaN", "-1"])
def test_a_price_that_is_not_known_is_null_and_never_zero(price: str | None) -> None:
    assert price_at(endpoint(price), 1, NOON) is None
    assert price_at(endpoint("1", price), 1, NOON) is None


@pytest.mark.parametrize(
    "more",
    [
        '{"overrides": [{"min_prompt_tokens": ' + "9" * 400 + ', "from_date": 3, "utc_start": NaN, "utc_end": 1}]}',
        '{"overrides": [{"prompt": "1e999999"}]}',
        '{"overrides": 5}',
        '{"overrides": [5, {"prompt": 3}]}',
        "[1]",
        "broken",
        '{"discount": "x"}',
    ],
)
def test_what_was_sent_and_is_none_of_this_changes_nothing(more: str) -> None:
    row = Endpoint("s", "m", "a", NOON, usd_per_million_input="1", usd_per_million_output="2", more_prices=more)
    assert cost(row, 1_000_000, 0) == pytest.approx(1)


def test_conditions_are_said_in_words() -> None:
    row = endpoint(
        overrides=[
            {"min_prompt_tokens": 200_000, "prompt": "0.000003", "completion": "0.000004"},
            {"utc_start": 2200, "utc_end": 430, "utc_days": ["monday"], "prompt": "0.0000005"},
        ]
    )
    first, second = conditions_of(row)
    assert (first.when, first.input, first.output) == ("above 200,000 prompt tokens", Decimal(3), Decimal(4))
    assert (second.when, second.output) == ("on Monday, 22:00 to 04:30 UTC", None)


# -- parts, and the most that they come to

FULL = endpoint(
    "10",
    "20",
    input_cache_read="0.000001",
    input_cache_write="0.0000125",
    input_cache_write_1h="0.00002",
    internal_reasoning="0.00004",
)


def listed(row: Endpoint) -> Price:
    price = listed_price(row)
    assert price is not None
    return price


def test_each_kind_of_token_has_its_own_price_and_no_token_is_paid_twice() -> None:
    tokens = BilledTokens(1_000, 400, cached=300, cache_write=200, cache_write_1h=50, reasoning=150)
    # 500 x 10 + 300 x 1 + 150 x 12.5 + 50 x 20 + 250 x 20 + 150 x 40 = 19,175
    assert listed(FULL).cost(tokens, NOON) == Decimal("0.019175")


def test_what_has_no_price_of_its_own_costs_what_it_is_a_part_of() -> None:
    tokens = BilledTokens(1_000, 400, cached=300, cache_write=200, cache_write_1h=50, reasoning=150)
    assert listed(endpoint("10", "20")).cost(tokens, NOON) == Decimal("0.018")
    only_5m = listed(endpoint("10", "20", input_cache_write="0.0000125"))
    assert only_5m.cost(BilledTokens(100, 0, cache_write=100, cache_write_1h=100), NOON) == Decimal("0.00125")


def test_counts_that_contradict_each_other_never_make_a_cost_negative() -> None:
    assert listed(FULL).cost(BilledTokens(10, 5, cached=300, reasoning=9), NOON) == Decimal("0.00066")


def test_an_override_of_another_part_holds_and_null_takes_a_part_back() -> None:
    row = endpoint(
        "10",
        "20",
        input_cache_read="0.000001",
        overrides=[{"utc_start": 1200, "utc_end": 1300, "input_cache_read": None, "internal_reasoning": "0.00003"}],
    )
    tokens = BilledTokens(100, 100, cached=100, reasoning=100)
    assert listed(row).cost(tokens, NOON) == Decimal("0.004")  # 100 x 10 + 100 x 30
    assert listed(row).cost(tokens, NOON + HOUR) == Decimal("0.0021")  # 100 x 1 + 100 x 20


def test_a_price_from_a_day_on_holds_from_its_midnight() -> None:
    row = endpoint(overrides=[{"from_date": "2026-11-25", "prompt": "0.000009"}])
    assert cost(row, 1_000_000, 0, now=NOON + 12 * HOUR - 1) == pytest.approx(1)  # 24 November, 23:59:59.999
    assert cost(row, 1_000_000, 0, now=NOON + 12 * HOUR) == pytest.approx(9)


def test_the_most_that_a_request_can_cost_takes_the_highest_part_of_each_side() -> None:
    assert listed(FULL).highest(100, 10) == Decimal("0.0024")  # 100 x 20 + 10 x 40
    by_hour = endpoint("1", "2", overrides=[{"utc_start": 100, "utc_end": 200, "prompt": "0.000003", "request": "0.5"}])
    assert listed(by_hour).highest(100, 10) == Decimal("0.50032")  # at noon, too: 100 x 3 + 10 x 2, and the fee
    long = endpoint("1", "2", overrides=[{"min_prompt_tokens": 100, "prompt": "0.000003"}])
    assert listed(long).highest(100, 0) == Decimal("0.0001")  # which a prompt of 100 cannot reach
    assert listed(long).highest(101, 0) == Decimal("0.000303")
    assert listed(endpoint("1", "2", discount=0.5)).highest(100, 10) == Decimal("0.00006")


def test_parts_of_ones_own_go_before_conditions_and_discounts() -> None:
    row = endpoint("10", "20", discount=0.5, overrides=[{"prompt": "0.000004", "input_cache_read": "0.000002"}])
    price = listed(row).with_parts({"cached_input": Decimal(3), "request": Decimal("0.01")})
    # 50 x 4 / 2 + 50 x 3 + 10 x 20 / 2 = 350, and the fee
    assert price.cost(BilledTokens(100, 10, cached=50), NOON) == Decimal("0.01035")
