"""What only the whole of a usage shows: output that no figure but the total has, and costs in other units."""

from __future__ import annotations

from typing import Any

import pytest

from collectors.http.usage import Usage, usages_in


def _read(**usage: Any) -> Usage:
    [found] = usages_in({"choices": [], "usage": usage})
    return found


@pytest.mark.parametrize(
    ("usage", "completion_tokens", "reasoning_tokens"),
    [
        # Gemini behind OpenAI's names: thoughts are in the total alone (mozilla-ai/any-llm#1290, Noveum/ai-gateway#30)
        ({"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 623}, 603, 405),
        # ... also where nothing else came (router-for-me/CLIProxyAPI#5733)
        ({"prompt_tokens": 21, "completion_tokens": 0, "total_tokens": 81}, 60, 60),
        (
            {"prompt_tokens": 21, "completion_tokens": 0, "total_tokens": 81, "completion_tokens_details": {"reasoning_tokens": 60}},
            60,
            60,
        ),
        # vLLM: more reasoning than completion, so it is not in it, whatever the total says (BerriAI/litellm#24546)
        (
            {"prompt_tokens": 20, "completion_tokens": 64, "total_tokens": 84, "completion_tokens_details": {"reasoning_tokens": 79}},
            143,
            79,
        ),
        # xAI: beside the completion, as the total shows (UKGovernmentBEIS/inspect_ai#5528)
        (
            {"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135, "completion_tokens_details": {"reasoning_tokens": 94}},
            103,
            94,
        ),
        # OpenAI: in the completion
        (
            {"prompt_tokens": 24, "completion_tokens": 66, "total_tokens": 90, "completion_tokens_details": {"reasoning_tokens": 64}},
            66,
            64,
        ),
        ({"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22}, 2, None),
        # what a prompt has in the cache is no output, where a proxy counts it in the total only
        ({"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 86, "prompt_tokens_details": {"cached_tokens": 64}}, 2, None),
        ({"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 92, "cache_read_input_tokens": 64, "cache_creation_input_tokens": 6}, 2, None),
        # zeros and figures that fit no sum stay what they are
        ({"prompt_tokens": 20, "completion_tokens": 0, "total_tokens": 20}, None, None),
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 60}, None, None),
        ({"prompt_tokens": 20, "completion_tokens": 30, "total_tokens": 40}, 30, None),
        ({"prompt_tokens": 20, "total_tokens": 90}, None, None),
    ],
)  # fmt: skip
def test_output_that_only_the_total_shows(
    usage: dict[str, Any], completion_tokens: int | None, reasoning_tokens: int | None
) -> None:
    found = _read(**usage)
    assert (found.completion_tokens, found.reasoning_tokens) == (completion_tokens, reasoning_tokens)


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        ({"cost_in_usd_ticks": 2_709_000}, 0.0002709),  # xAI (BerriAI/litellm#36281, ENTERPILOT/GoModel#297)
        ({"cost_in_usd_ticks": 2_709_000, "cost": 0.0003}, 0.0003),
        ({"cost_in_usd_ticks": "many"}, None),
        ({"cost_in_usd_ticks": -1}, None),
        ({"cost": {"amount": 0.25, "currency": "EUR"}}, None),  # kirodotdev/KiroCrew#6896
        ({"cost": {"amount": 0.25, "currency": "USD"}}, 0.25),
        ({"cost": 0.25, "currency": "RUB"}, None),  # NousResearch/hermes-agent#53063 (Polza)
        ({"cost": 0.25, "currency": "usd"}, 0.25),
        ({"cost": 0.25, "currency": 5}, None),
        ({"cost": 0.25, "currency": ["USD"]}, None),
    ],
)
def test_a_cost_in_another_unit(usage: dict[str, Any], usd: float | None) -> None:
    found = _read(prompt_tokens=20, completion_tokens=2, **usage).cost_usd
    assert found == (None if usd is None else pytest.approx(usd))
