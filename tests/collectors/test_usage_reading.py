"""Tokens and cost from the usages that servers really send; each row cites where it was reported."""

from __future__ import annotations

from typing import Any

import pytest

from collectors.http.usage import Usage, read_usage, usages_in


def _all(*chunks: dict[str, Any]) -> Usage:
    found = Usage()
    for chunk in chunks:
        for usage in usages_in(chunk):
            found = found.followed_by(usage)
    return found


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        # OpenAI
        ({"prompt_tokens": 24, "completion_tokens": 2}, Usage(24, 2)),
        # DeepSeek: NousResearch/hermes-agent#61871
        ({"prompt_tokens": 80, "completion_tokens": 2, "prompt_cache_hit_tokens": 64}, Usage(80, 2, None, 64)),
        # Moonshot: earendil-works/pi#2017
        ({"prompt_tokens": 24, "completion_tokens": 3, "cached_tokens": 24}, Usage(24, 3, None, 24)),
        # xAI counts reasoning beside the completion: UKGovernmentBEIS/inspect_ai#5528
        (
            {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "total_tokens": 135,
                "completion_tokens_details": {"reasoning_tokens": 94},
            },
            Usage(32, 103, 94),
        ),
        # OpenAI counts it in the completion
        (
            {
                "prompt_tokens": 24,
                "completion_tokens": 66,
                "total_tokens": 90,
                "completion_tokens_details": {"reasoning_tokens": 64},
            },
            Usage(24, 66, 64),
        ),
        # Anthropic counts the cached part of a prompt beside input_tokens
        (
            {
                "input_tokens": 10,
                "output_tokens": 5,
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": 20,
            },
            Usage(130, 5, None, 100, cache_write_tokens=20),
        ),
        # and, where it reports cache writes by lifetime, both lifetimes in one object
        (
            {
                "input_tokens": 10,
                "output_tokens": 5,
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": 20,
                "cache_creation": {"ephemeral_5m_input_tokens": 14, "ephemeral_1h_input_tokens": 6},
            },
            Usage(130, 5, None, 100, cache_write_tokens=20, cache_write_1h_tokens=6),
        ),
        (
            {
                "input_tokens": 10,
                "output_tokens": 5,
                "cache_creation": {"ephemeral_5m_input_tokens": 14, "ephemeral_1h_input_tokens": 6},
            },
            Usage(30, 5, cache_write_tokens=20, cache_write_1h_tokens=6),
        ),
        # Amazon
        (
            {"inputTokens": 10, "outputTokens": 5, "cacheReadInputTokens": 100, "cacheWriteInputTokens": 20},
            Usage(130, 5, None, 100, cache_write_tokens=20),
        ),
        # OpenRouter counts what was written in the prompt
        (
            {
                "prompt_tokens": 130,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 20},
            },
            Usage(130, 5, None, 100, cache_write_tokens=20),
        ),
        # LiteLLM, of Anthropic's
        (
            {
                "prompt_tokens": 130,
                "completion_tokens": 5,
                "prompt_tokens_details": {
                    "cached_tokens": 100,
                    "cache_creation_tokens": 20,
                    "cache_creation_token_details": {"ephemeral_5m_input_tokens": 14, "ephemeral_1h_input_tokens": 6},
                },
                "cache_creation_input_tokens": 20,
                "cache_read_input_tokens": 100,
            },
            Usage(130, 5, None, 100, cache_write_tokens=20, cache_write_1h_tokens=6),
        ),
        # OpenAI's Responses count it in
        (
            {"input_tokens": 110, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 100}},
            Usage(110, 5, None, 100),
        ),
        # Gemini, native: thoughts beside the candidates
        (
            {
                "promptTokenCount": 8,
                "candidatesTokenCount": 4,
                "thoughtsTokenCount": 30,
                "totalTokenCount": 42,
            },
            Usage(8, 34, 30),
        ),
        # Ollama
        ({"prompt_eval_count": 26, "eval_count": 2}, Usage(26, 2)),
        # zeros although something was asked: mudler/LocalAI#9927
        ({"prompt_tokens": 0, "completion_tokens": 0}, Usage()),
        # not numbers
        ({"prompt_tokens": "many", "completion_tokens": -1, "cost": "nan"}, Usage()),
        ({"completion_tokens_details": 4, "cost": True}, Usage()),
    ],
)
def test_tokens_are_read_under_every_name(usage: dict[str, Any], expected: Usage) -> None:
    assert read_usage(usage) == expected


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        ({"cost": 0.0004}, 0.0004),
        ({"cost": 0}, 0.0),
        ({"cost": "0.0004"}, 0.0004),
        ({"estimated_cost": 0.0004}, 0.0004),  # DeepInfra
        # Perplexity: the whole is given
        ({"cost": {"input_tokens_cost": 0.1, "output_tokens_cost": 0.2, "request_cost": 5, "total_cost": 5.3}}, 5.3),
        ({"cost": {"input_cost": 0.25, "output_cost": 0.5}}, 0.75),
        # a key of one's own: the router took nothing, the provider did. tailcallhq/forgecode#1641
        ({"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 4.45e-05}}, 4.45e-05),
        ({"cost": 1e-06, "is_byok": True, "cost_details": {"upstream_inference_cost": 4e-05}}, 4.1e-05),
        ({"is_byok": True, "cost_details": {"upstream_inference_cost": 4e-05}}, 4e-05),
        # not one's own: it is in the cost. AutomatosAI/automatos-ai#745
        ({"cost": 4.45e-05, "is_byok": False, "cost_details": {"upstream_inference_cost": 4.45e-05}}, 4.45e-05),
        ({"cost": 4.45e-05, "cost_details": {"upstream_inference_cost": 4.45e-05}}, 4.45e-05),
        # nobody said whose key it was, but nothing was taken for what was not free
        ({"cost": 0, "cost_details": {"upstream_inference_cost": 4.45e-05}}, 4.45e-05),
        ({"cost": 0, "is_byok": False, "cost_details": {"upstream_inference_cost": 4.45e-05}}, 0.0),
        # the provider's part only by prompt and completion
        (
            {
                "cost": 1e-06,
                "is_byok": True,
                "cost_details": {
                    "upstream_inference_cost": None,
                    "upstream_inference_prompt_cost": 1e-05,
                    "upstream_inference_completions_cost": 3e-05,
                },
            },
            4.1e-05,
        ),
        ({"cost": float("inf")}, None),
        ({"cost": {}}, None),
    ],
)
def test_cost_is_a_number_or_an_object(usage: dict[str, Any], usd: float | None) -> None:
    found = read_usage(usage).cost_usd
    assert found == (None if usd is None else pytest.approx(usd))


def test_usage_is_found_wherever_it_stands() -> None:
    usage = {"prompt_tokens": 24, "completion_tokens": 3}
    expected = Usage(24, 3)
    assert _all({"choices": [], "usage": usage}) == expected
    assert _all({"choices": [{"delta": {}, "usage": usage}]}) == expected  # Moonshot: earendil-works/pi#2017
    assert _all({"x_groq": {"usage": usage}}) == expected
    assert _all({"response": {"usage": usage}}) == expected  # OpenAI's Responses
    assert _all({"message": {"usage": {"input_tokens": 24}}}, {"usage": {"output_tokens": 3}}) == expected  # Anthropic
    assert _all({"usageMetadata": {"promptTokenCount": 24, "candidatesTokenCount": 3}}) == expected
    assert _all({"choices": "x", "usage": [], "x": {"usage": None}}) == Usage()


def test_the_last_figure_that_is_not_zero_counts() -> None:
    zeros = {"usage": {"prompt_tokens": 0, "completion_tokens": 0, "cost": 0}}
    real = {"usage": {"prompt_tokens": 24, "completion_tokens": 3, "cost": 0.5}}
    # zeros first: router-for-me/CLIProxyAPI#3076; zeros last; growing
    assert _all(zeros, {"usage": None}, real) == Usage(24, 3, None, None, 0.5)
    assert _all(real, zeros) == Usage(24, 3, None, None, 0.5)
    assert _all({"usage": {"completion_tokens": 1}}, real) == Usage(24, 3, None, None, 0.5)
    assert _all(zeros) == Usage(None, None, None, None, 0.0)
