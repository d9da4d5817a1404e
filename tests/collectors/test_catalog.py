"""The router's catalog: what comes through, what changes, and what must change nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from collectors.sources.openrouter import more_prices, usd_per_million, usd_per_request
from settings.targets import parse
from store.schema import ENDPOINT_STATS, EndpointStats
from tests.collectors.router_fixture import RouterFixture
from tests.fault_server import answer, head, raw
from tests.router import MODEL, sent_endpoint, sent_model


def test_every_field_of_the_reference_page_comes_through(world: RouterFixture) -> None:
    world.collect()
    [model] = world.models()
    assert (model.source, model.model, model.name) == ("openrouter", MODEL, "Google: Gemma 3 1B (free)")
    assert model.created_at == 1_741_910_400_000  # 14 March 2025
    assert (model.context_tokens, model.max_output_tokens) == (32_768, 8_192)
    assert (model.usd_per_million_input, model.usd_per_million_output, model.usd_per_request) == ("0", "0", None)
    assert (model.input_modalities, model.output_modalities) == ("text", "text")
    assert model.description == "Gemma 3 1B is the smallest of the family."
    assert model.supported_parameters == "max_tokens,temperature,tools"
    assert model.canonical_slug == "google/gemma-3-1b-it"
    [endpoint] = world.endpoints()
    assert (endpoint.provider, endpoint.tag, endpoint.quantization) == ("DeepInfra", "deepinfra/bf16", "bf16")
    assert (endpoint.usd_per_million_input, endpoint.usd_per_million_output) == ("0.02", "0.04")
    assert json.loads(endpoint.more_prices or "") == {"discount": 0.5}
    assert world.errors() == [None]


def test_the_key_goes_to_the_router_and_the_slug_keeps_its_variant(world: RouterFixture) -> None:
    world.collect()
    assert {request["line"] for request in world.server.requests} == {
        "GET /v1/models HTTP/1.1",
        "GET /v1/endpoints/zdr HTTP/1.1",
        f"GET /v1/models/{MODEL}/endpoints HTTP/1.1",
    }
    assert all(request["headers"]["authorization"] == "Bearer sk-canary-123456" for request in world.server.requests)


def test_a_run_that_finds_no_change_writes_nothing_but_its_run(world: RouterFixture) -> None:
    for order in (["a", "b"], ["b", "a"], ["a", "b"]):
        world.router.models = [
            sent_model(
                supported_parameters=["tools", "temperature"] if n == "a" else ["temperature", "tools"], id=f"x/{n}"
            )
            for n in order
        ]
        world.collect()
    assert len(world.models()) == 2
    assert len(world.endpoints()) == 1
    assert len(world.errors()) == 3


def test_a_price_that_changed_has_its_date_and_the_old_one_its_end(world: RouterFixture) -> None:
    world.collect()
    world.router.models = [sent_model(pricing={"prompt": "0.00000015", "completion": "0.0000006"})]
    world.collect()
    old, new = world.models()
    assert (old.usd_per_million_input, new.usd_per_million_input) == ("0", "0.15")
    assert old.valid_to == new.valid_from
    assert new.valid_to is None


def test_a_model_that_is_gone_is_closed_and_one_that_comes_back_is_opened_again(world: RouterFixture) -> None:
    world.router.models = [sent_model(), sent_model(id="x/y")]
    world.collect()
    world.router.models = [sent_model()]
    world.collect()
    assert [row.valid_to is None for row in world.models() if row.model == "x/y"] == [False]
    world.router.models = [sent_model(), sent_model(id="x/y")]
    world.collect()
    assert [row.valid_to is None for row in world.models() if row.model == "x/y"] == [False, True]


def test_a_model_that_was_renamed_is_a_change_of_its_name(world: RouterFixture) -> None:
    world.collect()
    world.router.models = [sent_model(name="Google: Gemma 3 1B")]
    world.collect()
    assert [row.name for row in world.models()] == ["Google: Gemma 3 1B (free)", "Google: Gemma 3 1B"]


def test_an_endpoint_that_left_is_closed_and_so_are_all_when_the_model_is_gone(world: RouterFixture) -> None:
    world.router.endpoints[MODEL] = [sent_endpoint(), sent_endpoint(tag="together/fp8", provider_name="Together")]
    world.collect()
    world.router.endpoints[MODEL] = [sent_endpoint()]
    world.collect()
    assert {row.tag: row.valid_to is None for row in world.endpoints()} == {
        "deepinfra/bf16": True,
        "together/fp8": False,
    }
    world.router.endpoints = {}
    world.collect()
    assert all(row.valid_to is not None for row in world.endpoints())


def test_a_missing_optional_field_is_null_and_an_unknown_one_is_ignored(world: RouterFixture) -> None:
    entry = sent_model()
    del entry["description"], entry["top_provider"]
    world.router.models = [entry | {"brand_new": {"a": 1}}]
    world.router.endpoints[MODEL] = [sent_endpoint(provider_name="Nobody Knows It") | {"also_new": 1}]
    world.collect()
    [model], [endpoint] = world.models(), world.endpoints()
    assert (model.description, model.max_output_tokens, model.context_tokens) == (None, None, 32_768)
    assert endpoint.provider == "Nobody Knows It"
    assert world.errors() == [None]


def test_an_entry_that_is_wrong_is_counted_and_the_rest_is_kept_and_nothing_taken_for_gone(
    world: RouterFixture,
) -> None:
    world.router.models = [sent_model(), sent_model(id="x/y")]
    world.collect()
    world.router.models = [sent_model(context_length=65_536), sent_model(id="x/y") | {"context_length": "many"}, 5]
    said = world.collect()
    assert "models: skipped 2 entries that do not match the router's documentation" in said
    assert [row.context_tokens for row in world.models() if row.valid_to is None] == [65_536, 32_768]
    assert "2 entries" in (world.errors()[-1] or "")


@pytest.mark.parametrize(
    "broken",
    [
        answer(500, {}),
        answer(200, b"<html>", Content_Type="text/html"),
        answer(200, b'{"data": [{"id": "goog'),
        answer(200, {"data": []}),
        answer(200, {"data": {}}),
        answer(200, [1]),
        raw(head(Content_Type="application/json", Content_Length="9999") + b'{"data": ['),
    ],
    ids=["500", "html", "truncated", "empty list", "no list", "another shape", "cut"],
)
def test_what_is_no_catalog_changes_nothing_and_is_an_error_of_that_run(world: RouterFixture, broken: Any) -> None:
    world.collect()
    before = world.models()
    world.router.instead = broken
    said = world.collect()
    assert world.models() == before
    assert [row.valid_to for row in world.endpoints()] == [None]
    assert said.startswith("catalog: ")
    assert world.errors()[0] is None
    assert world.errors()[1] is not None


def test_which_endpoints_keep_nothing_of_a_prompt_and_what_is_known_of_it_stays(world: RouterFixture) -> None:
    world.router.endpoints[MODEL] = [sent_endpoint(), sent_endpoint(tag="together/fp8", provider_name="Together")]
    world.router.zero_retention = [sent_endpoint(tag="together/fp8"), sent_endpoint(model_id="x/y")]
    world.collect()
    assert {row.tag: row.zero_retention for row in world.endpoints()} == {"deepinfra/bf16": 0, "together/fp8": 1}
    world.router.zero_retention = [5]
    assert "zero retention: skipped 1 entry" in world.collect()
    world.router.zero_retention = "no list"  # type: ignore[assignment]
    assert "zero retention: the response has no list data" in world.collect()
    assert [row.zero_retention for row in world.endpoints() if row.valid_to is None] == [0, 1]


def test_what_is_watched_is_listed_too_and_without_a_routed_target_nothing_is_asked(world: RouterFixture) -> None:
    world.router.endpoints["x/y"] = [sent_endpoint(tag="t")]
    settings = parse(
        f'[openrouter]\nbase_url = "{world.server.url}"\nwatch = ["x/y"]\n[[target]]\nname = "a"\nmodel = "m"\n'
        'base_url = "http://127.0.0.1:9/v1"\n',
        Path("t.toml"),
        {},
    )
    world.collect(settings=settings)
    assert [row.model for row in world.endpoints()] == ["x/y"]
    asked = len(world.server.requests)
    waiting = parse(
        settings.path.name
        and f'[openrouter]\nbase_url = "{world.server.url}"\n[[target]]\nname = "a"\nmodel = "m"\n'
        f'base_url = "{world.server.url}"\napi_key_env = "NOT_SET"\n',
        Path("t.toml"),
        {},
    )
    world.collect(settings=waiting)
    assert len(world.server.requests) == asked


def test_endpoint_stats_are_shares_of_one_and_milliseconds(world: RouterFixture) -> None:
    world.router.endpoints[MODEL] = [
        sent_endpoint(),
        sent_endpoint(tag="quiet", latency_last_30m=None, throughput_last_30m=None, uptime_last_5m=None, status=-5),
    ]
    world.collect("endpoint_stats")
    first, quiet = (EndpointStats(*row) for row in world.store.read(ENDPOINT_STATS))
    assert (first.uptime_5m, first.uptime_30m, first.uptime_1d, first.status) == (1.0, 0.995, 0.9725, 0)
    assert (first.latency_p50_ms, first.latency_p99_ms, first.tokens_per_second_p50) == (380, 2_000, 71)
    assert (quiet.uptime_5m, quiet.latency_p50_ms, quiet.status) == (None, None, -5)
    world.collect("endpoint_stats")
    assert world.store.count(ENDPOINT_STATS) == 4  # every report is kept, with its moment


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("0", "0"),
        ("-1", "varies"),
        ("0.00000015", "0.15"),
        ("1e-7", "0.1"),
        ("0.000015", "15"),
        ("x", None),
        (0.1, None),
        ("NaN", None),
        ("-2", None),
    ],
)
def test_a_price_is_exact_per_million(sent: Any, kept: str | None) -> None:
    assert usd_per_million(sent) == kept


def test_a_price_per_request_is_null_when_nothing_is_taken() -> None:
    assert [usd_per_request(value) for value in ("0", "0.01", "-1", None)] == [None, "0.01", "varies", None]


def test_all_else_that_is_said_of_the_price_is_kept_as_it_was_sent() -> None:
    sent = {
        "prompt": "1",
        "completion": "2",
        "request": "0",
        "image": "0",
        "input_cache_read": "0.0000001",
        "overrides": [{"min_prompt_tokens": 200_000, "prompt": "0.000002"}],
    }
    assert json.loads(more_prices(sent) or "") == {
        "input_cache_read": "0.0000001",
        "overrides": [{"min_prompt_tokens": 200_000, "prompt": "0.000002"}],
    }
    assert more_prices({"prompt": "1", "completion": "2"}) is None


@pytest.mark.parametrize(
    ("sent", "expires_at"),
    [
        ("2026-12-03", 1_796_256_000_000),
        ("2026-12-03T00:00:00Z", 1_796_256_000_000),
        (None, None),
        ("soon", None),
        (3, None),
    ],
)
def test_the_day_on_which_a_model_leaves_is_kept_and_a_bad_one_costs_no_entry(
    world: RouterFixture, sent: Any, expires_at: int | None
) -> None:
    world.router.models = [sent_model() | {"expiration_date": sent}]
    world.collect()
    assert [model.expires_at for model in world.models()] == [expires_at]
    assert world.errors() == [None]
