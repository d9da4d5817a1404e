"""A server's list of models, in every shape: pure, a table of names, one reading.

What a request gets counts before what the model could take. Nothing is believed: a size that is no count is null, and
an entry without a name is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from collectors.http.usage import count

LISTS = ("data", "models", "result", "items", "resources", "modelSummaries")
"""The last two are IBM's and Amazon's."""
NAMES = ("id", "name", "model", "key", "model_name", "model_id", "modelId")
"""Under which a model's own name stands; `key` is LM Studio's, `model_name` LiteLLM's, the last two IBM's and Amazon's.
"""
AS_SERVED = ("meta.n_ctx", "n_ctx", "loaded_context_length", "loaded_instances.0.config.context_length")
"""What the server was started with: llama.cpp, LM Studio."""
AS_TRAINED = ("meta.n_ctx_train", "n_ctx_train", "max_position_embeddings")
"""What the model could take, where nothing else is there."""
HOLDERS = (
    "",
    "top_provider",  # OpenRouter
    "limits",  # GitHub Models, Cerebras
    "limit",  # models.dev's shape, of proxies
    "capabilities.limits",  # GitHub Copilot
    "capabilities",
    "metadata",  # DeepInfra
    "model_spec",  # Venice
    "model_info",  # LiteLLM
    "details",  # Ollama
    "model_limits",  # IBM
    "properties",  # Cloudflare
    "parameters",  # TabbyAPI
    "context_window",  # where it is an object
    "providers.0",  # Hugging Face's router
)
CONTEXT = (
    "max_model_len",  # vLLM, SGLang
    "context_length",  # OpenRouter, Together, Fireworks, mlx-lm
    "context_window",  # Groq, Vercel
    "max_context_length",  # Mistral, LM Studio
    "context_size",  # Novita
    "max_context_window",
    "max_context_window_tokens",  # GitHub Copilot
    "context_tokens",
    "max_context_tokens",
    "available_context_tokens",  # Venice
    "max_seq_len",  # TabbyAPI
    "max_sequence_length",
    "context",  # models.dev
    "max_input_tokens",  # Anthropic, GitHub Models
    "input_token_limit",  # Google
)
OUTPUT = (
    "max_output_tokens",
    "max_completion_tokens",  # Groq, OpenRouter, Venice, Cerebras
    "output_token_limit",  # Google
    "max_output_length",  # Chutes
    "max_new_tokens",
    "output",  # models.dev
)
OUTPUT_BESIDE_CONTEXT = "max_tokens"
"""Anthropic, DeepInfra and Vercel say so; alone, or larger than the context, it may be the context itself."""
INPUTS = ("architecture.input_modalities", "input_modalities", "modalities.input")
OUTPUTS = ("architecture.output_modalities", "output_modalities", "modalities.output")


@dataclass(frozen=True)
class ServedModel:
    """One entry of a list. The sizes are null where it does not say them."""

    id: str
    aliases: tuple[str, ...] = ()
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    input_modalities: tuple[str, ...] = ()
    output_modalities: tuple[str, ...] = ()


def served_models(answer: Any) -> list[ServedModel]:
    """The models of a list. Raises ValueError when the answer is none."""
    return [model for entry in _entries(answer) if (model := _model(entry)) is not None]


def find_model(served: list[ServedModel], wanted: str) -> ServedModel | None:
    """The entry of a model, by the closest form of its name: as it stands; without the prefix of its maker or place;
    without a tag or a router's suffix; with the date of its version.
    """
    bare = _last_part(wanted)
    untagged = bare.partition(":")[0]
    dated = re.compile(re.escape(untagged.removesuffix("-latest")) + r"[-@]\d{3,8}")

    def has_date(model: ServedModel) -> bool:
        return dated.fullmatch(_last_part(model.id)) is not None

    for is_it in (
        lambda model: wanted in (model.id, *model.aliases),
        lambda model: _last_part(model.id) == bare,
        lambda model: _last_part(model.id).removesuffix(":latest") == untagged,
        has_date,
    ):
        found = [model for model in served if is_it(model)]
        if found:
            return max(found, key=lambda model: model.id) if is_it is has_date else found[0]
    return served[0] if len(served) == 1 else None  # a server of one model answers to any name


def _last_part(name: str) -> str:
    return name.rpartition("/")[2].lower()


def _entries(answer: Any) -> list[Any]:
    """An array, or one in an object, or an object of entries by name. Raises ValueError when there is none."""
    if isinstance(answer, list):
        return answer
    for name in LISTS if isinstance(answer, dict) else ():
        inside = answer.get(name)
        if isinstance(inside, list):
            return inside
        if isinstance(inside, dict) and any(isinstance(inside.get(inner), list) for inner in LISTS):
            return _entries(inside)
        if isinstance(inside, dict) and inside and all(isinstance(entry, dict) for entry in inside.values()):
            return [{"id": key} | entry for key, entry in inside.items()]
    if isinstance(answer, dict) and answer.get("object") == "list" and answer.get("data", 0) is None:
        return []  # Go's JSON of an empty list
    raise ValueError("the response to GET /models is not a list of models")


def _model(entry: Any) -> ServedModel | None:
    if isinstance(entry, str):
        return ServedModel(entry) if entry else None
    if not isinstance(entry, dict):
        return None
    if isinstance(entry.get("properties"), list):  # pairs of a name and its value
        pairs = [one for one in entry["properties"] if isinstance(one, dict)]
        entry = entry | {"properties": {str(one.get("property_id")): one.get("value") for one in pairs}}
    names = [entry[key] for key in NAMES if isinstance(entry.get(key), str) and entry[key]]
    if not names:
        return None
    context = _first(entry, AS_SERVED) or _size(entry, CONTEXT)
    output = _size(entry, OUTPUT)
    if output is None and context is not None:
        beside = _size(entry, (OUTPUT_BESIDE_CONTEXT,))
        output = beside if beside is not None and beside <= context else None
    return ServedModel(
        names[0],
        (*names[1:], *_texts(entry.get("aliases"))),
        context or _first(entry, AS_TRAINED),
        output,
        _first_texts(entry, INPUTS),
        _first_texts(entry, OUTPUTS),
    )


def _size(entry: dict[str, Any], names: tuple[str, ...]) -> int | None:
    """The first of these names under which a size stands, in any spelling, at the top or where servers nest it."""
    for place in HOLDERS:
        holder = _at(entry, place)
        if not isinstance(holder, dict):
            continue
        plain = {_plain(key): value for key, value in holder.items() if isinstance(key, str)}
        for name in names:
            if size := _tokens(plain.get(_plain(name))):
                return size
    return None


def _first(entry: dict[str, Any], places: tuple[str, ...]) -> int | None:
    return next((size for place in places if (size := _tokens(_at(entry, place)))), None)


def _tokens(value: Any) -> int | None:
    """A size, also as text."""
    return count(int(value)) if isinstance(value, str) and re.fullmatch(r"\d{1,10}", value) else count(value)


def _at(value: Any, place: str) -> Any:
    """What stands at `a.b.0`; null where nothing does."""
    for part in place.split(".") if place else ():
        if isinstance(value, list):
            value = value[0] if value and part == "0" else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value


def _first_texts(entry: dict[str, Any], places: tuple[str, ...]) -> tuple[str, ...]:
    found: Iterator[tuple[str, ...]] = (_texts(_at(entry, place)) for place in places)
    return next((texts for texts in found if texts), ())


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()


def _plain(name: str) -> str:
    """`contextLength`, `context_length` and `context-length` as one."""
    return re.sub(r"[\W_]", "", name).lower()
