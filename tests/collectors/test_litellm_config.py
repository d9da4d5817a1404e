"""A LiteLLM proxy's configuration as targets: addresses, dialects, variables, and never a key."""

from __future__ import annotations

import pytest

from collectors.sources.litellm_config import read_litellm

CONFIG = """
model_list:
  - model_name: fast
    litellm_params: {model: openai/gpt-4o-mini, api_key: os.environ/MY_OPENAI_KEY}
  - model_name: claude
    litellm_params: {model: anthropic/claude-sonnet-4-5}
  - model_name: own
    litellm_params: {model: openai/acme/llm, api_base: "http://127.0.0.1:8000/v1", api_key: none}
  - model_name: local
    litellm_params: {model: ollama_chat/gemma3, api_base: "http://127.0.0.1:11434"}
  - model_name: eu
    litellm_params:
      model: azure/my-deployment
      api_base: https://name.openai.azure.com
      api_version: 2024-10-21
      api_key: os.environ/AZURE_KEY
  - model_name: router
    litellm_params: {model: openrouter/google/gemma-3-27b-it}
  - model_name: gpt-4o
    litellm_params: {model: gpt-4o}
  - model_name: written out
    litellm_params: {model: openai/gpt-4o, api_base: "https://api.openai.com/v1/"}
  - model_name: leaky
    litellm_params: {model: openai/gpt-4o, api_key: sk-canary-Zq83hfKw02LmXv77}
  - model_name: anything
    litellm_params: {model: "openai/*"}
  - model_name: cloud
    litellm_params: {model: bedrock/anthropic.claude}
  - model_name: elsewhere
    litellm_params: {model: openai/x, api_base: os.environ/ACME_BASE}
  - model_name: broken
  - just text
general_settings: {master_key: os.environ/MASTER}
"""


def test_each_entry_is_a_target_or_says_why_it_is_none() -> None:
    found = {each.name: each for each in read_litellm(CONFIG)}
    targets = {
        name: (each.base_url, each.model, each.api, each.api_key_env)
        for name, each in found.items()
        if each.skipped is None
    }
    assert targets == {
        "fast": ("https://api.openai.com/v1", "gpt-4o-mini", "chat", "MY_OPENAI_KEY"),
        "claude": ("https://api.anthropic.com/v1", "claude-sonnet-4-5", "anthropic", "ANTHROPIC_API_KEY"),
        "own": ("http://127.0.0.1:8000/v1", "acme/llm", "chat", None),
        "local": ("http://127.0.0.1:11434/v1", "gemma3", "chat", None),
        "eu": ("https://name.openai.azure.com", "my-deployment", "azure", "AZURE_KEY"),
        "router": ("https://openrouter.ai/api/v1", "google/gemma-3-27b-it", "chat", "OPENROUTER_API_KEY"),
        "gpt-4o": ("https://api.openai.com/v1", "gpt-4o", "chat", "OPENAI_API_KEY"),
        "written out": ("https://api.openai.com/v1/", "gpt-4o", "chat", "OPENAI_API_KEY"),
    }
    assert found["eu"].params == {"api-version": "2024-10-21"}
    assert {name: each.skipped for name, each in found.items() if each.skipped is not None} == {
        "leaky": "its key is written in that file: put it in an environment variable, as os.environ/NAME",
        "anything": "it is a wildcard: add one model with --base-url and --model",
        "cloud": "Uptoken does not know LiteLLM's provider 'bedrock'",
        "elsewhere": "its address is in the variable ACME_BASE: use --base-url",
        "broken": "it has no litellm_params.model",
        "entry 14": "it has no litellm_params.model",
    }
    assert "canary" not in repr(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "it is not valid YAML"),
        ("!!python/object/apply:os.system ['true']", "it is not valid YAML"),
        ("just: this", "it has no model_list"),
        ("", "it has no model_list"),
    ],
)
def test_a_file_that_is_no_such_configuration_is_refused_without_quoting_it(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_litellm(text)
