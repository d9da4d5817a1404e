"""The models of a LiteLLM proxy's configuration (`model_list`), as targets. Pure.

https://docs.litellm.ai/docs/proxy/configs: each entry has `model_name` and `litellm_params` with `model`
("provider/name"), and optionally `api_base`, `api_version` and `api_key`, which is a key or `os.environ/NAME`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from settings.secrecy import looks_secret
from settings.sections import Api

FROM_ENVIRONMENT = "os.environ/"


@dataclass(frozen=True)
class Provider:
    """Where LiteLLM sends a provider's requests, and the variable that it reads the key from, by default."""

    base_url: str
    key_env: str | None = None
    api: Api = "chat"


PROVIDERS = {
    "openai": Provider("https://api.openai.com/v1", "OPENAI_API_KEY"),
    "anthropic": Provider("https://api.anthropic.com/v1", "ANTHROPIC_API_KEY", "anthropic"),
    "gemini": Provider("https://generativelanguage.googleapis.com/v1beta", "GEMINI_API_KEY", "gemini"),
    "openrouter": Provider("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "azure": Provider("", "AZURE_API_KEY", "azure"),
    "azure_ai": Provider("", "AZURE_AI_API_KEY", "azure"),
    "groq": Provider("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "mistral": Provider("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "deepseek": Provider("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "xai": Provider("https://api.x.ai/v1", "XAI_API_KEY"),
    "together_ai": Provider("https://api.together.xyz/v1", "TOGETHERAI_API_KEY"),
    "fireworks_ai": Provider("https://api.fireworks.ai/inference/v1", "FIREWORKS_AI_API_KEY"),
    "cerebras": Provider("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "perplexity": Provider("https://api.perplexity.ai", "PERPLEXITYAI_API_KEY"),
    "deepinfra": Provider("https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    "nvidia_nim": Provider("https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
    "moonshot": Provider("https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    "ollama": Provider("http://localhost:11434/v1"),
    "ollama_chat": Provider("http://localhost:11434/v1"),
    "hosted_vllm": Provider(""),
    "vllm": Provider(""),
    "lm_studio": Provider(""),
    "llamafile": Provider("http://127.0.0.1:8080/v1"),
    "custom_openai": Provider(""),
    "openai_like": Provider(""),
    "litellm_proxy": Provider("", "LITELLM_PROXY_API_KEY"),
}
"""By the prefix of `litellm_params.model`. Without an address here, the entry needs an `api_base`."""
BARE = (("gpt-", "openai"), ("o1", "openai"), ("o3", "openai"), ("o4", "openai"), ("claude", "anthropic"))
"""Beginnings of model names that LiteLLM knows without a provider."""


@dataclass(frozen=True)
class LiteLLMEntry:
    """One entry as a target's keys; `skipped`: why it becomes no target."""

    name: str
    model: str = ""
    base_url: str = ""
    api: Api = "chat"
    api_key_env: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    skipped: str | None = None


def read_litellm(text: str) -> list[LiteLLMEntry]:
    """The entries of a configuration. Raises ValueError for any other text."""
    import yaml

    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):  # their messages quote the text, which may have a key in it
        raise ValueError("it is not valid YAML") from None
    listed = document.get("model_list") if isinstance(document, dict) else None
    if not isinstance(listed, list) or not listed:
        raise ValueError("it has no model_list, so it is not the configuration of a LiteLLM proxy")
    return list(_entries(listed))


def _entries(listed: list[Any]) -> Iterator[LiteLLMEntry]:
    for number, entry in enumerate(listed, 1):
        params = entry.get("litellm_params") if isinstance(entry, dict) else None
        name = entry.get("model_name") if isinstance(entry, dict) else None
        model = params.get("model") if isinstance(params, dict) else None
        if not isinstance(params, dict) or not isinstance(model, str) or not model:
            yield LiteLLMEntry(_safe_name(name) or f"entry {number}", skipped="it has no litellm_params.model")
            continue
        yield _entry(_safe_name(name) or model, model, params)


def _entry(name: str, named: str, params: Mapping[str, Any]) -> LiteLLMEntry:
    prefix, model = _split(named)
    provider = PROVIDERS.get(prefix)
    if "*" in named:
        return LiteLLMEntry(name, skipped="it is a wildcard: add one model with --base-url and --model")
    if provider is None:
        return LiteLLMEntry(name, skipped=f"Uptoken does not know LiteLLM's provider {prefix!r}")
    base_url = _text(params.get("api_base")) or _text(params.get("base_url")) or provider.base_url
    if base_url.startswith(FROM_ENVIRONMENT):
        variable = base_url.removeprefix(FROM_ENVIRONMENT)
        return LiteLLMEntry(name, skipped=f"its address is in the variable {variable}: use --base-url")
    if not base_url:
        return LiteLLMEntry(name, skipped="it has no api_base: use --base-url")
    key = _text(params.get("api_key"))
    if key.startswith(FROM_ENVIRONMENT):
        key_env: str | None = key.removeprefix(FROM_ENVIRONMENT)
    elif key and looks_secret(key):
        return LiteLLMEntry(
            name, skipped="its key is written in that file: put it in an environment variable, as os.environ/NAME"
        )
    else:  # none, or a placeholder such as "none" for a server that wants no key
        is_own_server = prefix == "openai" and base_url.rstrip("/") != provider.base_url
        key_env = None if key or is_own_server else provider.key_env
    if prefix in ("ollama", "ollama_chat") and not re.search(r"/v\d", base_url):
        base_url = f"{base_url.rstrip('/')}/v1"
    version = str(params.get("api_version") or "")  # YAML takes 2024-10-21 for a date
    more = {"api-version": version} if version and provider.api == "azure" else {}
    return LiteLLMEntry(name, model, base_url, provider.api, key_env, more)


def _split(named: str) -> tuple[str, str]:
    prefix, _, model = named.partition("/")
    if model:
        return prefix, model
    return next((known for beginning, known in BARE if named.startswith(beginning)), ""), named


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _safe_name(name: Any) -> str:
    """A name that is safe to show and store; empty for one that looks like a key."""
    text = "".join(letter for letter in str(name)[:200] if letter.isprintable()).strip() if name is not None else ""
    return "" if looks_secret(text) else text
