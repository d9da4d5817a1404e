"""What a server of one's own says of its model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from collectors.local_servers import models_of
from collectors.runner.config import ProbeTarget
from store.rows import MODELS, RUNS, Model, Run
from tests.collectors.scenes import config, new_store, run_once
from tests.factories import NOON
from tests.fault_server import FaultServer, answer


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
        (LLAMA, 32_768),
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


@pytest.mark.parametrize("value", [None, [], {}, {"data": 5}, "x"])
def test_what_is_no_list_of_models_is_an_error(value: Any) -> None:
    with pytest.raises(ValueError, match="no list of models"):
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
    assert [Model(*row).context_tokens for row in store.read(MODELS)] == [32_768]
    assert [Run(*row).error for row in store.read(RUNS)] == [None, None]


@pytest.mark.parametrize("script", [answer(503, {}), answer(200, b"<html>"), answer(200, {"data": 1})])
def test_a_visit_that_fails_changes_nothing_and_is_an_error_of_that_run(tmp_path: Path, script: Any) -> None:
    store = new_store(tmp_path)
    with FaultServer(script) as server:
        _, said = run_once(config({"base_url": server.url}), store, only=["local_servers"])
    assert store.count(MODELS) == 0
    assert said.startswith("local_servers: t0: ")
    assert all(Run(*row).error for row in store.read(RUNS))
