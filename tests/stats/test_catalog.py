"""The catalog, its filters, and what was measured beside it."""

from __future__ import annotations

import pytest

from stats.catalog import Filters, ModelMeasurement, catalog, filter_models, group_points, measurements_by_model
from stats.reported_uptime import reported_bars
from store.schema import EndpointStats
from tests.factories import HOUR, MINUTE, NOON, model, probe
from tests.stats.samples import told

MODELS = catalog(
    [
        model(
            model="a/small",
            name="Small",
            usd_per_million_input="1",
            usd_per_million_output="5",
            input_modalities="image,text",
            supported_parameters="seed,tools",
            more_prices='{"discount": 0.5}',
        ),
        model(model="b/free", name=None, context_tokens=None),
        model(model="c/varies", name="Varies", usd_per_million_input="varies", context_tokens=8_192),
    ],
    {"a/small": 3},
    NOON,
)


def test_when_a_model_leaves_is_in_the_table_and_missing_where_nobody_said() -> None:
    found = catalog([model(model="a", expires_at=1_796_256_000_000), model(model="b")], {}, NOON)
    assert [row.expires_at for row in found] == [1_796_256_000_000, None]


def test_a_blended_price_is_three_parts_in_and_one_out_with_the_discount_off() -> None:
    small = MODELS[0]
    assert small.usd_per_million_input == 0.5
    assert small.usd_per_million_blended == pytest.approx((3 * 0.5 + 2.5) / 4)
    assert (small.providers, small.parameters) == (3, ("seed", "tools"))


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (Filters(), ["a/small", "b/free", "c/varies"]),
        (Filters(text="SMALL a/"), ["a/small"]),
        (Filters(text="["), []),
        (Filters(least_context_tokens=8_192), ["a/small", "c/varies"]),
        (Filters(most_usd_per_million=1), ["a/small", "b/free"]),
        (Filters(only_free=True), ["b/free"]),
        (Filters(modalities=("text", "image")), ["a/small"]),
        (Filters(parameters=("tools",), text="small"), ["a/small"]),
    ],
)
def test_a_filter_keeps_what_meets_it_and_never_what_is_unknown(filters: Filters, found: list[str]) -> None:
    assert [row.model for row in filter_models(MODELS, filters)] == found
    assert filter_models([], filters) == []


def test_models_that_nobody_could_tell_apart_stand_on_one_spot() -> None:
    def at(name: str, price: str, context: int | None = 32_768):  # type: ignore[no-untyped-def]
        return model(
            model=name,
            name=name,
            usd_per_million_input=price,
            usd_per_million_output=price,
            context_tokens=context,
        )

    listed = [
        at("a", "1"),
        at("b", "1.02"),
        at("c", "2"),
        at("d", "1", 131_072),
        at("e", "0"),
        at("f", "0"),
        at("g", "1", None),
    ]
    found = group_points((row, row.context_tokens) for row in catalog(listed, {}, NOON))
    assert sorted(spot.names for spot in found) == [("a", "b"), ("c",), ("d",), ("e", "f")]
    assert [spot.usd_per_million for spot in found if len(spot.names) == 2] == [0, pytest.approx(1.01)]
    assert group_points([]) == []


def test_our_medians_are_by_model_over_all_its_targets() -> None:
    probes = told([probe(NOON, target="x", ttft_ms=100.0), probe(NOON, target="y", ttft_ms=300.0), probe(target="z")])
    assert measurements_by_model(probes, {"x": "m", "y": "m"}) == {"m": ModelMeasurement(200.0, 50.0, 2)}
    assert measurements_by_model([], {}) == {}


def test_reported_bars_are_as_up_as_the_reports_in_them() -> None:
    def said(at: int, uptime: float | None) -> EndpointStats:
        return EndpointStats("openrouter", "m", "t", at, uptime_5m=uptime)

    reports = [
        said(NOON + MINUTE, 1.0),
        said(NOON + 2 * MINUTE, 0.5),
        said(NOON + 11 * MINUTE, None),
        said(NOON - 1, 1.0),
    ]
    bars = reported_bars(reports, NOON, NOON + HOUR)
    assert [bar.state for bar in bars] == ["partly", *["no_data"] * 5]
    assert (bars[0].up_s, bars[0].down_s, bars[0].probes) == (450.0, 150.0, 2)
