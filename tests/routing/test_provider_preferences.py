"""What the body of a request says of its routing. Expectations are the reference's documents, and worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from routing.provider_preferences import read_preferences
from routing.relay_selection import RequestNeeds


def needs(**body: Any) -> RequestNeeds:
    return read_preferences({"model": "m", **body}).needs


def test_a_request_that_says_nothing_asks_for_nothing() -> None:
    found = read_preferences({"model": "m", "messages": [{"role": "user", "content": "What is 17 + 25?"}]})
    assert found.models == ("m",)
    assert found.needs == RequestNeeds(prompt_tokens=4, completion_tokens=500)


def test_every_field_of_the_provider_object_is_read() -> None:
    assert needs(
        provider={
            "order": ["a", "b"],
            "only": ["c"],
            "ignore": ["d"],
            "allow_fallbacks": False,
            "require_parameters": True,
            "sort": "latency",
            "max_price": {"prompt": 1, "completion": "2.5", "request": 0.01},
            "quantizations": ["fp8", "bf16"],
        },
        max_tokens=64,
        temperature=0,
        top_k=None,
    ) == RequestNeeds(
        prompt_tokens=0,
        completion_tokens=64,
        parameters=("temperature",),
        most_usd_per_million_input=1.0,
        most_usd_per_million_output=2.5,
        completion_is_stated=True,
        most_usd_per_request=0.01,
        order=("a", "b"),
        only=("c",),
        ignore=("d",),
        allow_fallbacks=False,
        sort="latency",
        quantizations=("fp8", "bf16"),
    )


@pytest.mark.parametrize(
    "provider",
    [
        None,
        "openai",
        [],
        {"data_collection": "deny", "zdr": True, "preferred_min_throughput": 50, "new_field": {}},
        {"order": "a", "only": {"a": 1}, "sort": "price-ish", "max_price": "low", "quantizations": [1], "ignore": None},
        {"max_price": {"prompt": -1, "completion": "x", "request": True}, "allow_fallbacks": None, "sort": {"by": 3}},
    ],
)
def test_fields_that_the_relay_does_not_have_or_that_make_no_sense_are_ignored(provider: Any) -> None:
    assert needs(provider=provider) == needs()


def test_models_are_tried_in_order_each_once() -> None:
    found = read_preferences({"model": "a", "models": ["b", "a", 3, "c:free"]})
    assert found.models == ("a", "b", "c:free")


@pytest.mark.parametrize(
    ("model", "sort"),
    [("m:nitro", "throughput"), ("m:floor", "price"), ("m:free", None), ("m", None), (":floor", "price")],
)
def test_a_suffix_chooses_how_it_is_sorted(model: str, sort: str | None) -> None:
    found = read_preferences({"model": model})
    assert found.needs.sort == sort
    assert found.models == (model if sort is None else model.rpartition(":")[0],)


def test_a_sort_that_is_said_goes_before_the_suffix() -> None:
    assert read_preferences({"model": "m:nitro", "provider": {"sort": {"by": "latency"}}}).needs.sort == "latency"


def test_tools_and_structured_outputs_are_needed_and_the_rest_only_where_it_is_required() -> None:
    body: dict[str, Any] = {
        "tools": [{"type": "function"}],
        "response_format": {"type": "json_schema", "json_schema": {}},
        "reasoning_effort": "low",
        "seed": 1,
        "stream": True,
        "max_tokens": 5,
    }
    assert needs(**body).parameters == ("tools", "structured_outputs")
    assert needs(**body, provider={"require_parameters": True}).parameters == (
        "tools",
        "structured_outputs",
        "response_format",
        "reasoning",
        "seed",
    )
    assert needs(response_format={"type": "text"}, tools=[]).parameters == ()


def test_images_are_seen_and_not_counted_as_text() -> None:
    parts = [{"type": "text", "text": "Look at it"}, {"type": "image_url", "image_url": {"url": "data:" + "A" * 4_000}}]
    found = needs(messages=[{"role": "user", "content": parts}])
    assert (found.has_images, found.prompt_tokens) == (True, 2)
    claude = [{"type": "image", "source": {"data": "A" * 4_000}}]
    assert needs(messages=[{"role": "user", "content": claude}]).has_images


def test_the_size_is_that_of_all_texts_of_the_prompt() -> None:
    assert needs(system="s" * 40, messages=[{"role": "user", "content": "u" * 20}]).prompt_tokens == 15
    assert needs(prompt=["p" * 8, "q" * 8]).prompt_tokens == 4
    assert needs(input="i" * 12).prompt_tokens == 3


@pytest.mark.parametrize("value", [0, -5, True, "64", 10**12, 1.5])
def test_a_limit_that_is_no_count_is_no_limit(value: Any) -> None:
    assert not needs(max_tokens=value).completion_is_stated
