"""What a request says of its routing: `models`, `provider`, and the suffixes `:nitro` and `:floor` of a model's name.

The fields are OpenRouter's (its client's `ProviderPreferences`). Those that are not known here, or are of another kind
than it documents, are ignored: a request that another router serves is not refused for them. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from routing.relay_selection import RequestNeeds
from routing.selection import Sort

CHARACTERS_A_TOKEN = 4
"""Of English; what is longer by that measure than a context surely does not fit."""
GUESSED_COMPLETION_TOKENS = 500
SUFFIX_SORTS: Mapping[str, Sort] = {":nitro": "throughput", ":floor": "price"}
_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_NO_PARAMETERS = frozenset(
    {"model", "models", "messages", "prompt", "input", "system", "stream", "stream_options", "provider", "route"}
    | {"user", "metadata", "transforms", "plugins", "usage", "n", *_LIMITS}
)
"""Fields of a request that every endpoint takes, or that are none of its parameters."""
_PARAMETER_NAMES = {"reasoning_effort": "reasoning", "thinking": "reasoning", "functions": "tools"}
"""Fields whose parameter the catalog lists under another name."""
_IMAGES = ("image_url", "input_image", "image")


@dataclass(frozen=True)
class Preferences:
    """The models that may serve a request, in order and without suffixes, and what it needs of an endpoint."""

    models: tuple[str, ...]
    needs: RequestNeeds


def read_preferences(body: Mapping[str, Any]) -> Preferences:
    """What the body of a request asks for."""
    provider = body.get("provider")
    said: Mapping[str, Any] = provider if isinstance(provider, dict) else {}
    models, suffix_sort = _models(body)
    parameters = _parameters(body, said.get("require_parameters") is True)
    limit = next((body[name] for name in _LIMITS if _is_count(body.get(name))), None)
    ceiling = said.get("max_price")
    prices: Mapping[str, Any] = ceiling if isinstance(ceiling, dict) else {}
    needs = RequestNeeds(
        prompt_tokens=_prompt_tokens(body),
        completion_tokens=GUESSED_COMPLETION_TOKENS if limit is None else limit,
        parameters=parameters,
        has_images=_has_images(body.get("messages")) or _has_images(body.get("input")),
        most_usd_per_million_input=_usd(prices.get("prompt")),
        most_usd_per_million_output=_usd(prices.get("completion")),
        completion_is_stated=limit is not None,
        most_usd_per_request=_usd(prices.get("request")),
        order=_names(said.get("order")),
        only=_names(said.get("only")),
        ignore=_names(said.get("ignore")),
        allow_fallbacks=said.get("allow_fallbacks") is not False,
        sort=_sort(said.get("sort")) or suffix_sort,
        quantizations=_names(said.get("quantizations")),
    )
    return Preferences(models, needs)


def _models(body: Mapping[str, Any]) -> tuple[tuple[str, ...], Sort | None]:
    """Each once; and what the first one's suffix asks for."""
    named = (*_names([body.get("model")]), *_names(body.get("models")))
    sorts = [SUFFIX_SORTS.get(f":{name.rpartition(':')[2]}") for name in named]
    plain = [name if sort is None else name.rpartition(":")[0] for name, sort in zip(named, sorts, strict=True)]
    return tuple(dict.fromkeys(plain)), sorts[0] if sorts else None


def _names(value: Any) -> tuple[str, ...]:
    return tuple(name for name in value if isinstance(name, str) and name) if isinstance(value, list) else ()


def _sort(value: Any) -> Sort | None:
    """A word, or an object with it: `{"by": "latency"}`."""
    wanted = value.get("by") if isinstance(value, dict) else value
    return next((sort for sort in get_args(Sort) if sort == wanted), None)


def _usd(value: Any) -> float | None:
    """A price as a number or as text; null for what is none."""
    try:
        usd = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        return None
    return usd if usd is not None and 0 <= usd < float("inf") else None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**9


def _parameters(body: Mapping[str, Any], all_of_them: bool) -> tuple[str, ...]:
    """What an endpoint must support: tools and structured outputs always, since an answer without them is useless; the
    others, which a server may as well leave out, where the request requires them.
    """
    found = ["tools"] if body.get("tools") or body.get("functions") else []
    form = body.get("response_format")
    if isinstance(form, dict) and form.get("type") == "json_schema":
        found.append("structured_outputs")
    if all_of_them:
        given = [name for name in body if name not in _NO_PARAMETERS and body[name] is not None]
        found += [_PARAMETER_NAMES.get(name, name) for name in given]
    return tuple(dict.fromkeys(found))


def _prompt_tokens(body: Mapping[str, Any]) -> int:
    """About how many, by the length of its texts."""
    parts = (body.get(name) for name in ("system", "messages", "prompt", "input"))
    return sum(len(text) for part in parts for text in _texts(part)) // CHARACTERS_A_TOKEN


def _texts(value: Any) -> Iterator[str]:
    """The texts of a prompt: of messages, of their parts, or of a list of prompts. An image's data is none."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, list):
            waiting += item
        elif isinstance(item, dict):
            waiting += [item.get("content"), item.get("text")]


def _has_images(messages: Any) -> bool:
    if not isinstance(messages, list):
        return False
    contents = [message.get("content") for message in messages if isinstance(message, dict)]
    parts = (part for content in contents if isinstance(content, list) for part in content)
    return any(isinstance(part, dict) and part.get("type") in _IMAGES for part in parts)
