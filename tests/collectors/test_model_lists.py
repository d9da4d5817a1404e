"""Lists of models in the shapes that servers send; each row says who reported or declares it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from collectors.sources.model_lists import ServedModel, find_model, served_models

LM_STUDIO = {
    "key": "google/gemma-4-12b-qat",
    "display_name": "Gemma 4",
    "architecture": "gemma4",
    "max_context_length": 262_144,
    "loaded_instances": [{"id": "google/gemma-4-12b-qat", "config": {"context_length": 122_880}}],
}


@pytest.mark.parametrize(
    ("entry", "context_tokens", "max_output_tokens"),
    [
        # llama.cpp: what -c allocated before what the model was trained for (1ay1/agentty#49)
        ({"id": "m", "meta": {"n_ctx": 8_192, "n_ctx_train": 40_960}}, 8_192, None),
        # llama.cpp's older versions and ktransformers (kvcache-ai/ktransformers#123)
        ({"id": "m", "meta": {"vocab_type": 2, "n_ctx_train": 163_840}}, 163_840, None),
        # a size that is none takes nothing else away from the entry
        ({"id": "m", "meta": {"n_ctx": 0, "n_ctx_train": 4_096}}, 4_096, None),
        ({"id": "m", "meta": {"n_ctx": -1}, "context_length": 4_096}, 4_096, None),
        # vLLM (azrtydxb/Fastllm-proxy#24) and SGLang (sgl-project/sglang#4809)
        ({"id": "m", "max_model_len": 32_768}, 32_768, None),
        # OpenRouter's own size of the model, not the one of its first provider (anomalyco/models.dev#2796)
        ({"id": "m", "context_length": 1_048_576, "top_provider": {"context_length": 32_000}}, 1_048_576, None),
        # both names, of one proxy (LeenHawk/gproxy#160)
        ({"id": "m", "context_length": 95_232, "context_window": 95_232}, 95_232, None),
        # Bifrost (yuhp/opencode-models-discovery#53)
        ({"id": "m", "context_length": 200_000, "max_input_tokens": 190_000, "max_output_tokens": 64_000}, 200_000, 64_000),
        # LM Studio: what is loaded before what the model supports, in both of its native lists (co-l/openfox#49)
        ({"id": "m", "max_context_length": 262_144, "loaded_context_length": 122_880}, 122_880, None),
        (LM_STUDIO, 122_880, None),
        # GitHub Copilot (zed-industries/zed#20362)
        (
            {"id": "m", "capabilities": {"limits": {"max_context_window_tokens": 16_384, "max_output_tokens": 4_096, "max_prompt_tokens": 12_288}}},
            16_384,
            4_096,
        ),
        # Anthropic's names, of a proxy (ericc-ch/copilot-api#257)
        ({"id": "m", "max_input_tokens": 200_000, "max_tokens": 64_000}, 200_000, 64_000),
        # Vercel's gateway (anomalyco/models.dev#6311)
        ({"id": "m", "context_window": 1_050_000, "max_tokens": 128_000}, 1_050_000, 128_000),
        # `max_tokens` alone may be either
        ({"id": "m", "max_tokens": 8_192}, None, None),
        ({"id": "m", "context_length": 4_096, "max_tokens": 8_192}, 4_096, None),
        # DeepInfra: in `metadata`, which is null for other models
        ({"id": "m", "metadata": {"context_length": 131_072, "max_tokens": 16_384}}, 131_072, 16_384),
        ({"id": "m", "metadata": None}, None, None),
        # Venice: in `model_spec`
        ({"id": "m", "model_spec": {"availableContextTokens": 32_768, "maxCompletionTokens": 8_192}}, 32_768, 8_192),
        # TabbyAPI: in `parameters`
        ({"id": "m", "parameters": {"max_seq_len": 16_384, "cache_size": 32_768}}, 16_384, None),
        # GitHub Models and Cerebras: in `limits`
        ({"id": "m", "limits": {"max_input_tokens": 131_072, "max_output_tokens": 4_096}}, 131_072, 4_096),
        ({"id": "m", "limits": {"max_context_length": 65_536, "max_completion_tokens": 32_768}}, 65_536, 32_768),
        # models.dev's shape, of proxies (anomalyco/opencode#5993)
        ({"id": "m", "limit": {"context": 128_000, "output": 65_536}}, 128_000, 65_536),
        # LiteLLM (BerriAI/litellm#10096)
        ({"model_name": "m", "id": "m", "model_info": {"max_input_tokens": 131_072, "max_output_tokens": 8_192}}, 131_072, 8_192),
        # Ollama (zammad/zammad#6281)
        ({"name": "m", "model": "m", "details": {"family": "bert", "context_length": 512}, "capabilities": ["embedding"]}, 512, None),
        # IBM: in `model_limits`
        ({"model_id": "m", "model_limits": {"max_sequence_length": 8_192, "max_output_tokens": 4_096}}, 8_192, 4_096),
        # Cloudflare: among pairs of a name and its value
        ({"name": "m", "properties": [{"property_id": "context_window", "value": "8192"}, None]}, 8_192, None),
        # Hugging Face's router: its providers'
        ({"id": "m", "providers": [{"provider": "groq", "context_length": 131_072}, {"provider": "x"}]}, 131_072, None),
        # other spellings (devchat-ai/devchat#302), and numbers as text
        ({"id": "m", "contextSize": 8_192}, 8_192, None),
        ({"id": "m", "contextLength": "131072"}, 131_072, None),
        ({"id": "m", "context_length": "128k"}, None, None),
        # mlx-lm reads it from the model's own file (ml-explore/mlx-lm#1184)
        ({"id": "m", "max_position_embeddings": 32_768}, 32_768, None),
        # what is no number, or no text, of one field spoils no other
        ({"id": "m", "architecture": "llama", "aliases": None, "context_length": 4_096}, 4_096, None),
        ({"id": "m", "context_length": True, "context_window": 4_096.0}, 4_096, None),
    ],
)  # fmt: skip
def test_the_sizes_of_an_entry(
    entry: dict[str, Any], context_tokens: int | None, max_output_tokens: int | None
) -> None:
    [model] = served_models({"object": "list", "data": [entry]})
    assert (model.context_tokens, model.max_output_tokens) == (context_tokens, max_output_tokens)


@pytest.mark.parametrize(
    "answer",
    [
        [{"id": "m"}],  # Together
        {"data": [{"id": "m"}]},
        {"models": [{"name": "m"}]},  # Google, Ollama, Cohere
        {"models": [{"key": "m"}]},  # LM Studio
        {"models": ["m"]},
        ["m"],
        {"data": {"models": [{"id": "m"}]}},
        {"models": {"m": {"context_length": None}}},
        {"result": [{"name": "m"}], "success": True},  # Cloudflare
        {"data": [{"model_name": "m", "model_info": {}}]},  # LiteLLM's /model/info
        {"total_count": 1, "resources": [{"model_id": "m"}]},  # IBM
        {"modelSummaries": [{"modelId": "m"}]},  # Amazon
        {"data": [{"id": 5}, None, {}, {"id": ""}, {"id": "m"}]},  # an entry that is none is left out
    ],
)
def test_a_list_in_any_shape(answer: Any) -> None:
    assert [model.id for model in served_models(answer)] == ["m"]


def test_go_writes_an_empty_list_as_null() -> None:
    assert served_models({"object": "list", "data": None}) == []


@pytest.mark.parametrize(
    "answer", [None, 5, "m", {}, {"data": None}, {"data": 5}, {"data": {}}, {"error": {"message": "no"}}]
)
def test_what_is_no_list_is_an_error(answer: Any) -> None:
    with pytest.raises(ValueError, match="not a list of models"):
        served_models(answer)


@pytest.mark.parametrize(
    ("wanted", "ids", "found"),
    [
        ("m", ["x", "m"], "m"),
        ("gemini-2.5-pro", ["models/gemini-2.5-flash", "models/gemini-2.5-pro"], "models/gemini-2.5-pro"),
        ("models/gemini-2.5-pro", ["gemini-2.5-flash", "gemini-2.5-pro"], "gemini-2.5-pro"),
        ("kimi-k2", ["accounts/fireworks/models/glm-5", "accounts/fireworks/models/kimi-k2"], "accounts/fireworks/models/kimi-k2"),
        ("openai/gpt-4o", ["gpt-4o-mini", "gpt-4o"], "gpt-4o"),
        ("gpt-4o", ["openai/gpt-4o-mini", "openai/GPT-4o"], "openai/GPT-4o"),
        ("azure/gpt-4o", ["openai/gpt-4o", "azure/gpt-4o"], "azure/gpt-4o"),  # as it stands, first
        ("gemma3", ["gemma3:4b", "gemma3:latest"], "gemma3:latest"),  # Ollama
        ("gemma3:1b", ["gemma3:4b", "qwen3:1b"], None),
        ("deepseek-ai/DeepSeek-R1:groq", ["x", "deepseek-ai/DeepSeek-R1"], "deepseek-ai/DeepSeek-R1"),  # Hugging Face
        ("claude-sonnet-4-5", ["claude-sonnet-4-20250514", "claude-sonnet-4-5-20250929"], "claude-sonnet-4-5-20250929"),
        ("claude-3-5-sonnet-latest", ["claude-3-5-sonnet-20240620", "claude-3-5-sonnet-20241022"], "claude-3-5-sonnet-20241022"),
        ("gemini-2.0-flash", ["gemini-2.0-flash-lite", "gemini-2.0-flash-001"], "gemini-2.0-flash-001"),
        ("gpt-4", ["gpt-4o", "gpt-4.1"], None),
        ("anything", ["the-only-one"], "the-only-one"),
        ("anything", ["one", "two"], None),
        ("anything", [], None),
    ],
)  # fmt: skip
def test_a_model_is_found_under_the_forms_of_its_name(wanted: str, ids: list[str], found: str | None) -> None:
    model = find_model(served_models({"data": ids}), wanted)
    assert (model and model.id) == found


def test_any_name_of_an_entry_is_its_name() -> None:
    served = served_models({"models": [{"name": "Gemma 3", "model": "gemma3:1b"}, {"id": "x", "aliases": ["y"]}]})
    assert find_model(served, "gemma3:1b") == served[0]
    assert find_model(served, "y") == served[1]


def test_modalities_where_servers_say_them() -> None:
    said = {"input_modalities": ["text", "image"], "output_modalities": ["text"]}
    for entry in ({"architecture": said}, said, {"modalities": {"input": ["text", "image"], "output": ["text"]}}):
        [model] = served_models([{"id": "m"} | entry])
        assert (model.input_modalities, model.output_modalities) == (("text", "image"), ("text",))


def test_anthropics_own_list() -> None:
    types = pytest.importorskip("anthropic.types")
    sent = types.ModelInfo.construct(
        id="claude-sonnet-4-5-20250929",
        created_at=datetime(2025, 9, 29, tzinfo=UTC),
        display_name="Claude Sonnet 4.5",
        max_input_tokens=200_000,
        max_tokens=64_000,
        type="model",
    )
    answer = {"data": [sent.model_dump(mode="json")], "has_more": False, "first_id": sent.id, "last_id": sent.id}
    assert served_models(answer) == [ServedModel(sent.id, (), 200_000, 64_000)]


def test_googles_own_list() -> None:
    types = pytest.importorskip("google.genai.types")
    sent = types.Model(
        name="models/gemini-2.5-pro",
        display_name="Gemini 2.5 Pro",
        input_token_limit=1_048_576,
        output_token_limit=65_536,
    )
    answer = {"models": [sent.model_dump(mode="json", by_alias=True, exclude_none=True)], "nextPageToken": "x"}
    assert served_models(answer) == [ServedModel("models/gemini-2.5-pro", (), 1_048_576, 65_536)]
