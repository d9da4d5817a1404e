"""What a LiteLLM proxy says in its headers. They were recorded from version 1.108.7 in front of `tests.fault_server`: a
deployment that answers, and a model group that falls back to it.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict

from collectors.http.connection import ProbeConnection
from collectors.http.exchange import Exchange, ProbeRequest, exchange
from collectors.http.litellm import litellm_cost_usd, litellm_route
from stats.routes import attempts_by_provider, first_choices, parse_route
from tests.fault_server import DONE, FaultServer, Script, answer, chunk, chunked, event, usage

STREAMED = {
    "x-litellm-model-id": "3b85721d254e8e02e6fca66fe8fab2a87f8965cd4ab1d71e74a3c0deab1af858",
    "x-litellm-model-name": "openai/m-1",
    "x-litellm-model-api-base": "http://127.0.0.1:46563/v1",
    "x-litellm-version": "1.108.7",
    "x-litellm-response-cost-original": "0.0",
    "x-litellm-response-cost-input": "0.0",
    "x-litellm-key-spend": "0.0",
    "x-litellm-model-group": "good",
    "x-litellm-attempted-retries": "0",
    "x-litellm-attempted-fallbacks": "0",
}
FALLEN_BACK = STREAMED | {"x-litellm-attempted-fallbacks": "1"}
WHOLE = STREAMED | {"x-litellm-response-cost": "2.3999999999999997e-05"}
REFUSED = {"x-litellm-response-cost": "0", "x-litellm-key-spend": "0.0", "x-litellm-timeout": "6000.0"}
COST_CHUNK = usage(20, 2, cost=0.000023999999999999997)
TOKENS = [chunk(role="assistant", content=""), chunk("4"), chunk("2"), chunk(finish="stop")]


def probe(script: Script, model: str = "good") -> Exchange:
    with FaultServer(script) as server:
        line = ProbeConnection(server.url + "/chat/completions")
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": True}
        result = exchange(line, ProbeRequest(body, {}, 5.0))
        line.close()
    return result


def test_one_deployment_that_answers_is_a_route_of_one_attempt() -> None:
    result = probe(chunked(*TOKENS, COST_CHUNK, DONE, **STREAMED))
    assert json.loads(result.response.route or "") == [{"provider": "good", "model": "openai/m-1", "status": 200}]
    assert result.response.usage.cost_usd == pytest.approx(0.000024)


def test_a_fallback_is_a_failed_attempt_before_the_one_that_answered() -> None:
    route = probe(chunked(*TOKENS, DONE, **FALLEN_BACK), model="fallen").response.route or ""
    assert json.loads(route) == [
        {"provider": "fallen", "model": None, "status": None},
        {"provider": "good", "model": "openai/m-1", "status": 200},
    ]
    attempts = parse_route(route)
    [first] = first_choices([attempts])
    assert (first.provider, first.answered, dict(first.fell_back_to)) == ("fallen", 0, {"good": 1})
    assert attempts_by_provider([attempts])["good"].answered == 1


def test_what_was_tried_between_the_first_and_the_last_is_counted_and_not_named() -> None:
    route = litellm_route(CaseInsensitiveDict(FALLEN_BACK | {"x-litellm-attempted-fallbacks": "2"}), "a", 200)
    assert [step["provider"] for step in json.loads(route or "")] == ["a", None, "good"]


def test_the_routers_own_list_of_attempts_counts_before_the_headers() -> None:
    listed = event({"openrouter_metadata": {"attempts": [{"provider": "A", "model": "m", "status": 200}]}})
    result = probe(chunked(listed, *TOKENS, DONE, **STREAMED))
    assert json.loads(result.response.route or "")[0]["provider"] == "A"


def test_the_cost_is_the_headers_where_the_body_says_none() -> None:
    body = {"choices": [{"message": {"content": "42"}, "finish_reason": "stop"}]}
    assert probe(answer(200, body, **WHOLE)).response.usage.cost_usd == pytest.approx(0.000024)
    assert probe(answer(200, body | {"usage": {"cost": 0.5}}, **WHOLE)).response.usage.cost_usd == 0.5


@pytest.mark.parametrize("value", ["", "0", "0.0", "None", "nan", "inf", "-1", "1e9", "1 USD"])
def test_a_cost_of_nothing_or_of_no_number_is_not_known(value: str) -> None:
    """LiteLLM says 0 for a stream, for an error, and for a model whose price it does not know."""
    assert litellm_cost_usd({"x-litellm-response-cost": value}) is None


@pytest.mark.parametrize(
    "headers",
    [{}, REFUSED, {"x-litellm-model-group": "\x00 "}, {"x-litellm-attempted-fallbacks": "3"}],
)
def test_without_a_model_there_is_no_route(headers: dict[str, str]) -> None:
    assert litellm_route(headers, "m", 200) is None


@pytest.mark.parametrize("count", ["-1", "x", "1.5", "٣", "9" * 5_000, ""])
def test_a_count_of_fallbacks_that_is_none_is_0(count: str) -> None:
    assert len(json.loads(litellm_route(FALLEN_BACK | {"x-litellm-attempted-fallbacks": count}, "m", 200) or "")) == 1


def test_a_great_many_fallbacks_are_bounded() -> None:
    headers = FALLEN_BACK | {"x-litellm-attempted-fallbacks": "999999999"}
    assert len(json.loads(litellm_route(headers, "m", 200) or "")) == 32


def test_the_address_of_a_deployment_is_not_kept() -> None:
    headers = STREAMED | {"x-litellm-model-api-base": "http://user:sk-canary@h.example/v1?key=sk-canary"}
    result = probe(chunked(*TOKENS, DONE, **headers))
    assert "canary" not in repr(result)


COOLDOWN: dict[str, Any] = {
    "error": {
        "message": "No deployments available for selected model, Try again in 60 seconds. All deployments for selected model "
        "are in cooldown. Passed model=bad. pre-call-checks=True, cooldown_list="
        "['580fcc4d8b5f5dad1511202b544cfdde75a5902974943fb8924a3bc6f3859da3', "
        "'c630b3ad4404fe4af0e2a29e427f89f8c659a658c0415a50cf3b44b77cc3b7bc']",
        "type": "all_deployments_in_cooldown",
        "param": None,
        "code": "429",
    }
}


def test_an_outage_behind_the_proxy_is_an_outage() -> None:
    result = probe(answer(429, COOLDOWN, **(REFUSED | {"retry-after": "60"})))
    assert (result.outcome, result.retry_after, result.response.route, result.response.usage.cost_usd) == (
        "server_error",
        "60",
        None,
        None,
    )
    assert (result.error or "").startswith("HTTP 429, ")
    assert "No deployments available" in (result.error or "")
