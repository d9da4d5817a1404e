"""What a server of one's own says of its model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from collectors.local_servers import models_of
from collectors.scheduler.shared_state import SharedState
from collectors.scheduler.state import SchedulerState
from collectors.sources.known_prices import known_prices
from settings.targets import ProbeTarget
from store.schema import MODELS, RUNS, Model, Run
from tests.collectors.builders import config, new_store, run_once
from tests.factories import NOON
from tests.fault_server import GOOD, FaultServer, answer, chunked


def _target(**more: Any) -> ProbeTarget:
    return config({"name": "mine", "model": "gemma"} | more).targets[0]


LLAMA = {
    "id": "gemma",
    "created": 1,
    "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
    "meta": {"n_ctx": 4_096, "n_ctx_train": 32_768},
}


@pytest.mark.parametrize(
    ("entry", "tokens"),
    [
        (LLAMA, 4_096),
        (LLAMA | {"meta": {"n_ctx_train": 32_768}}, 32_768),
        (LLAMA | {"context_length": 32_768, "max_model_len": 8_192}, 4_096),
        ({"id": "gemma", "max_model_len": 8_192}, 8_192),
        ({"id": "gemma", "context_length": 1_000}, 1_000),
        ({"id": "gemma"}, None),
        ({"id": "other", "aliases": ["gemma"], "max_model_len": 5}, 5),
    ],
)
def test_each_kind_of_server_says_its_context_in_its_own_way(entry: dict[str, Any], tokens: int | None) -> None:
    [model] = models_of({"data": [entry]}, _target(), NOON)
    assert (model.source, model.model, model.context_tokens, model.created_at) == ("mine", "gemma", tokens, None)


def test_the_configured_price_and_the_modalities_come_with_it() -> None:
    target = _target(usd_per_million_input=0.02, usd_per_million_output=0)
    [model] = models_of({"data": [LLAMA]}, target, NOON)
    assert (model.usd_per_million_input, model.usd_per_million_output) == ("0.02", "0")
    assert (model.input_modalities, model.output_modalities) == ("text,image", "text")


def test_a_server_of_one_model_answers_to_any_name_and_one_of_several_does_not() -> None:
    assert len(models_of({"data": [{"id": "x"}]}, _target(), NOON)) == 1
    assert models_of({"data": [{"id": "x"}, {"id": "y"}]}, _target(), NOON) == []


@pytest.mark.parametrize(
    ("answer", "context_tokens", "max_output_tokens"),
    [
        # Together: an array. lidge-jun/opencodex#617
        ([{"id": "acme/other-7b", "context_length": 4_096}, {"id": "m", "context_length": 131_072}], 131_072, None),
        # Groq
        ({"data": [{"id": "m", "context_window": 8_192, "max_completion_tokens": 1_024}]}, 8_192, 1_024),
        # Mistral, LM Studio
        ({"data": [{"id": "m", "max_context_length": 32_768}]}, 32_768, None),
        # Google: names with a prefix, its own words
        ({"models": [{"name": "models/m", "inputTokenLimit": 65_536, "outputTokenLimit": 8_192}]}, 65_536, 8_192),
        # a name that is there and says nothing goes behind one that does
        ({"data": [{"id": "m", "max_model_len": None, "context_length": 4_096}]}, 4_096, None),
        ({"data": [{"id": "m", "context_length": 0}]}, None, None),
        # what each endpoint takes, as OpenRouter nests it
        (
            {"data": [{"id": "m", "top_provider": {"context_length": 16_384, "max_completion_tokens": 512}}]},
            16_384,
            512,
        ),
    ],
)
def test_the_sizes_are_read_in_every_shape(
    answer: Any, context_tokens: int | None, max_output_tokens: int | None
) -> None:
    [model] = models_of(answer, _target(model="m"), NOON)
    assert (model.context_tokens, model.max_output_tokens) == (context_tokens, max_output_tokens)


@pytest.mark.parametrize("value", [None, {}, {"data": 5}, "x"])
def test_what_is_no_list_of_models_is_an_error(value: Any) -> None:
    with pytest.raises(ValueError, match="not a list of models"):
        models_of(value, _target(), NOON)


def test_an_entry_that_is_wrong_is_left_out_and_the_rest_is_kept() -> None:
    entries = [{"id": 5}, {"id": "bad", "max_model_len": -1}, {"id": "gemma", "max_model_len": 9}]
    assert [m.context_tokens for m in models_of({"data": entries}, _target(), NOON)] == [9]


def test_a_visit_is_recorded_once_and_only_changes_are_kept(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    with FaultServer(answer(200, {"data": [LLAMA]})) as server:
        settings = config({"base_url": server.url})
        for everything in (False, False, True):
            run_once(settings, store, only=["local_servers"], everything=everything)
        assert [request["line"] for request in server.requests] == ["GET /v1/models HTTP/1.1"] * 2
    assert [Model(*row).context_tokens for row in store.read(MODELS)] == [4_096]
    assert [Run(*row).error for row in store.read(RUNS)] == [None, None]


@pytest.mark.parametrize("script", [answer(503, {}), answer(200, b"<html>"), answer(200, {"data": 1})])
def test_a_visit_that_fails_changes_nothing_and_is_an_error_of_that_run(tmp_path: Path, script: Any) -> None:
    store = new_store(tmp_path)
    with FaultServer(script) as server:
        _, said = run_once(config({"base_url": server.url}), store, only=["local_servers"])
    assert store.count(MODELS) == 0
    assert said.startswith("local_servers: t0: ")
    assert all(Run(*row).error for row in store.read(RUNS))


# -- prices of well-known providers


def test_a_well_known_providers_price_comes_from_the_list() -> None:
    target = _target(model="gpt-4o", base_url="https://api.openai.com/v1")
    *_, model = models_of({"data": [{"id": "gpt-4o"}, {"id": "x"}]}, target, NOON)
    assert (model.usd_per_million_input, model.usd_per_million_output) == ("2.5", "10")
    assert model.context_tokens == 128_000
    assert json.loads(model.more_prices or "") == {"list": "genai-prices", "input_cache_read": "0.00000125"}


AZURE = "https://acme.openai.azure.com/openai/v1"


def test_a_deployment_of_its_owners_name_costs_what_its_responses_say_it_is() -> None:
    target = _target(model="our-deployment", base_url=AZURE)
    *_, model = models_of({"data": []}, target, NOON, "gpt-4o-2024-08-06")
    assert (model.model, model.usd_per_million_input, model.usd_per_million_output) == ("our-deployment", "2.5", "10")
    listed = {"data": [{"id": "our-deployment"}]}
    assert models_of(listed, target, NOON, None, is_priced=True) == []  # nothing was served of late: the price stays
    [unpriced] = models_of(listed, target, NOON, "made-by-us", is_priced=True)
    assert unpriced.usd_per_million_input is None


def test_what_the_last_response_said_it_is_is_known_to_the_next_run(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    with FaultServer(chunked(*GOOD)) as server:
        settings = config({"base_url": server.url})
        [row], _ = run_once(settings, store)
        assert row.served_model == "m-1"
        state = SchedulerState(settings, store, SharedState(None, "here"))
    assert state.served_models == {"t0": "m-1"}


def test_what_the_user_says_of_the_price_counts_before_the_list() -> None:
    target = _target(
        model="gpt-4o", base_url="https://api.openai.com/v1", usd_per_million_input=0, usd_per_million_output=0
    )
    [model] = models_of({"data": [{"id": "gpt-4o"}]}, target, NOON)
    assert (model.usd_per_million_input, model.more_prices) == ("0", None)


def test_a_provider_that_does_not_list_its_model_still_has_a_price_and_an_unknown_one_has_none() -> None:
    listed = models_of({"data": []}, _target(model="gpt-4o", base_url="https://api.openai.com/v1"), NOON)
    assert [row.usd_per_million_input for row in listed] == ["2.5"]
    assert models_of({"data": []}, _target(model="gpt-4o", base_url="https://nobody.example/v1"), NOON) == []
    assert models_of({"data": []}, _target(model="never-heard-of", base_url="https://api.openai.com/v1"), NOON) == []


def test_a_price_by_the_length_of_the_prompt_is_kept_in_the_routers_shape() -> None:
    [price] = known_prices("https://generativelanguage.googleapis.com", "gemini-2.5-pro", NOON)
    assert (price.usd_per_million_input, price.usd_per_million_output) == ("1.25", "10")
    assert json.loads(price.more_prices)["overrides"] == [
        {
            "min_prompt_tokens": 200_000,
            "prompt": "0.0000025",
            "completion": "0.000015",
            "input_cache_read": "0.00000025",
        }
    ]


def test_earlier_prices_have_their_dates_and_are_written_once(tmp_path: Path) -> None:
    target = _target(model="mistral-large-4", base_url="https://api.mistral.ai/v1")
    store = new_store(tmp_path)
    assert store.write(models_of({"data": []}, target, NOON)) == 3
    versions = [Model(*row) for row in store.read(MODELS)]
    first, second = 1_792_454_400_000, 1_793_232_000_000  # 20 and 29 October 2026, UTC
    assert [(row.valid_from, row.valid_to) for row in versions] == [(first, second), (second, NOON), (NOON, None)]
    assert versions[0].usd_per_million_input != versions[1].usd_per_million_input
    assert versions[1].usd_per_million_input == versions[2].usd_per_million_input
    assert store.write(models_of({"data": []}, target, NOON + 86_400_000)) == 0
    assert [Model(*row) for row in store.read(MODELS)] == versions
