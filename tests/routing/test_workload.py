"""What one request takes and costs, worked out by hand."""

from __future__ import annotations

import pytest

from routing.workload import RequestEstimate, Workload, estimate_request
from store.schema import Model

NOW = 1_764_000_000_000
PRICED = Model("openrouter", "a/b", 0, usd_per_million_input="2", usd_per_million_output="8")
CACHE_PRICED = Model(
    "openrouter",
    "a/b",
    0,
    usd_per_million_input="2",
    usd_per_million_output="8",
    usd_per_request="0.001",
    more_prices='{"input_cache_read": "0.0000005"}',
)


@pytest.mark.parametrize(
    ("size", "ttft_ms", "speed", "listed", "expected"),
    [
        # 0.4 s + 500 / 50; 2,000 x $2 + 500 x $8 per million
        (Workload(2_000, 500), 400.0, 50.0, PRICED, RequestEstimate(10.4, 0.008)),
        # 1,000 plain at $2, 1,000 cached at $0.50, 500 x $8, and $0.001 for the request
        (Workload(2_000, 500, 1_000), 400.0, 50.0, CACHE_PRICED, RequestEstimate(10.4, 0.0075)),
        # a provider without a price for cached tokens bills them as the others
        (Workload(2_000, 500, 1_000), 400.0, 50.0, PRICED, RequestEstimate(10.4, 0.008)),
        # without output nobody waits for it, and its speed need not be known
        (Workload(1_000, 0), 400.0, None, PRICED, RequestEstimate(0.4, 0.002)),
        (Workload(1_000, 500), 400.0, None, PRICED, RequestEstimate(None, 0.006)),
        (Workload(1_000, 500), None, 50.0, PRICED, RequestEstimate(None, 0.006)),
        (Workload(1_000, 500), 400.0, 50.0, None, RequestEstimate(10.4, None)),
        (
            Workload(1_000, 500),
            400.0,
            50.0,
            Model("x", "a/b", 0, usd_per_million_input="varies", usd_per_million_output="varies"),
            RequestEstimate(10.4, None),
        ),
        # free is known to cost nothing
        (
            Workload(1_000, 500),
            None,
            None,
            Model("x", "a/b", 0, usd_per_million_input="0", usd_per_million_output="0"),
            RequestEstimate(None, 0.0),
        ),
    ],
)
def test_a_request_takes_its_first_token_and_its_output_and_costs_its_listed_price(
    size: Workload, ttft_ms: float | None, speed: float | None, listed: Model | None, expected: RequestEstimate
) -> None:
    found = estimate_request(size, ttft_ms, speed, listed, NOW)
    assert found.seconds == pytest.approx(expected.seconds)
    assert found.usd == pytest.approx(expected.usd)


def test_the_cached_part_of_a_prompt_is_a_share_where_endpoints_are_chosen() -> None:
    assert Workload(2_000, 500, 500).request.cached_share == 0.25
    assert Workload(0, 500).request.cached_share == 0.0
