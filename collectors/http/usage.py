"""Tokens and cost of a response, from whichever usage its server sends: pure, a table of names, one reading.

The names are those of OpenAI, Anthropic, Google, Amazon, Mistral, DeepSeek, Moonshot, Ollama, Groq, Perplexity,
DeepInfra and OpenRouter. Nothing is believed: a number that is none, negative or too large is null.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

MOST_TOKENS = 10**9
"""A token count above this is no count."""
MOST_USD = 10**6

PROMPT = ("prompt_tokens", "input_tokens", "promptTokenCount", "inputTokens", "prompt_eval_count", "prompt_n")
COMPLETION = ("completion_tokens", "output_tokens", "candidatesTokenCount", "outputTokens", "eval_count", "predicted_n")
TOTAL = ("total_tokens", "totalTokenCount", "totalTokens")
REASONING = (
    "completion_tokens_details.reasoning_tokens",
    "output_tokens_details.reasoning_tokens",
    "output_tokens_details.thinking_tokens",
    "reasoning_tokens",
    "thoughtsTokenCount",
)
CACHED = (
    "prompt_tokens_details.cached_tokens",
    "input_tokens_details.cached_tokens",
    "prompt_cache_hit_tokens",
    "cache_read_input_tokens",
    "cacheReadInputTokens",
    "cachedContentTokenCount",
    "cached_tokens",
    "cache_n",
)
CACHE_WRITE = (
    "prompt_tokens_details.cache_write_tokens",
    "input_tokens_details.cache_write_tokens",
    "prompt_tokens_details.cache_creation_tokens",
    "cache_creation_input_tokens",
    "cacheWriteInputTokens",
)
"""OpenRouter, Chat Completions and Responses; LiteLLM; Anthropic; Amazon."""
CACHE_WRITE_1H = "ephemeral_1h_input_tokens"
CACHE_WRITE_PARTS = ("ephemeral_5m_input_tokens", CACHE_WRITE_1H)
CACHE_WRITE_HOLDERS = ("cache_creation", "prompt_tokens_details.cache_creation_token_details")
"""Where Anthropic, and LiteLLM for it, report cache writes by lifetime."""
BESIDE_INPUT = (
    ("cache_read_input_tokens", "cacheReadInputTokens", "cache_n"),
    ("cache_creation_input_tokens", "cacheWriteInputTokens"),
)
"""Anthropic, Amazon and llama.cpp's `timings` count the cached parts of a prompt, read and written, beside it."""
BESIDE_COMPLETION = ("thoughtsTokenCount",)
"""Google counts the reasoning beside `candidatesTokenCount`; elsewhere only the total shows whether it is so."""
COST = ("cost", "total_cost", "estimated_cost", "cost_usd")
COST_OF_ALL = ("total_cost", "total", "total_usd", "usd", "amount")
"""Where `cost` is an object: what it comes to in all; else its parts are added up."""
UPSTREAM_PARTS = ("upstream_inference_prompt_cost", "upstream_inference_completions_cost")
HOLDERS = ("timings", "usage", "usageMetadata")
"""llama.cpp's `timings` are there even where no usage was asked for; the later ones count."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used, each null where it is not known. `reasoning_tokens` are a part of `completion_tokens`;
    `cached_tokens` and `cache_write_tokens` of `prompt_tokens`, `cache_write_1h_tokens` of `cache_write_tokens`.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    cost_usd: float | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None

    def followed_by(self, later: Usage) -> Usage:
        """With what came later: of each figure the last one that is not zero. Servers send zeros first, or last; some
        say only at first how much of the prompt is cached beside it.
        """
        cached = (self.cached_tokens or 0) + (self.cache_write_tokens or 0)
        is_without = later.cached_tokens is None and self.prompt_tokens == (later.prompt_tokens or 0) + cached
        return Usage(
            self.prompt_tokens if is_without else later.prompt_tokens or self.prompt_tokens,
            later.completion_tokens or self.completion_tokens,
            _last(self.reasoning_tokens, later.reasoning_tokens),
            _last(self.cached_tokens, later.cached_tokens),
            _last(self.cost_usd, later.cost_usd),
            _last(self.cache_write_tokens, later.cache_write_tokens),
            _last(self.cache_write_1h_tokens, later.cache_write_1h_tokens),
        )


def usages_in(chunk: dict[str, Any]) -> Iterator[Usage]:
    """The usages in an event or a body: at the top, in a choice, or in an object of the vendor's own."""
    choices = chunk.get("choices")
    inner = [value for value in chunk.values() if isinstance(value, dict)]
    inner += [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
    for holder in (*inner, chunk):
        for name in HOLDERS:
            if isinstance(holder.get(name), dict):
                yield _with_hidden(read_usage(holder[name]), holder[name])


TICKS = "cost_in_usd_ticks"
TICKS_PER_USD = 10**10
"""xAI's unit."""
USD = (None, "", "usd", "credits", "$")
"""Currencies of a cost that is in USD; OpenRouter's credits are."""


def _with_hidden(read: Usage, usage: dict[str, Any]) -> Usage:
    """With what only the whole object shows: output that is in no figure but the total, a cost in another unit."""
    cost = usage.get("cost")
    for holder in (usage, cost if isinstance(cost, dict) else {}):
        currency = holder.get("currency")
        if (currency.lower() if isinstance(currency, str) else currency) not in USD:
            read = replace(read, cost_usd=None)
    if read.cost_usd is None and (ticks := _usd(_per_usd(usage.get(TICKS), TICKS_PER_USD))) is not None:
        read = replace(read, cost_usd=ticks)
    completion, reasoning = read.completion_tokens or 0, read.reasoning_tokens or 0
    if reasoning > completion:  # so it cannot be a part of it
        return replace(read, completion_tokens=completion + reasoning)
    prompt, total = _count(usage.get("prompt_tokens")), _count(usage.get("total_tokens"))
    if not prompt or total is None or reasoning or "completion_tokens" not in usage:
        return read
    hidden = total - prompt - completion
    cached = [_count(usage.get(name)) or 0 for name in ("cache_read_input_tokens", "cache_creation_input_tokens")]
    if hidden <= 0 or hidden in (read.cached_tokens, *cached, sum(cached)):
        return read
    return replace(read, completion_tokens=completion + hidden, reasoning_tokens=hidden)


def _per_usd(amount: Any, units: int) -> Any:
    return amount / units if type(amount) in (int, float) else None


def read_usage(usage: dict[str, Any]) -> Usage:
    """One usage object. Zero tokens of a prompt or a completion are not known: none is empty."""
    prompt, completion = _first(usage, PROMPT), _first(usage, COMPLETION)
    reasoning, total = _first(usage, REASONING), _first(usage, TOTAL)
    by_lifetime = _written_by_lifetime(usage)
    written = _first(usage, CACHE_WRITE)
    if not written and by_lifetime:
        written = sum(by_lifetime.values())
    if prompt is not None and "prompt_tokens" not in usage:
        read_beside, write_beside = (_first(usage, names) or 0 for names in BESIDE_INPUT)
        beside = read_beside + (write_beside or sum(by_lifetime.values()))
        prompt += beside if total is None or total != prompt + (completion or 0) else 0
    is_beside = total != (prompt or 0) + (completion or 0) and any(name in usage for name in BESIDE_COMPLETION)
    if reasoning and (is_beside or (prompt is not None and total == prompt + (completion or 0) + reasoning)):
        completion = (completion or 0) + reasoning  # counted beside the completion, as the total shows
    return Usage(
        count(prompt) or None,
        count(completion) or None,
        reasoning,
        _first(usage, CACHED),
        _cost(usage),
        written,
        by_lifetime.get(CACHE_WRITE_1H),
    )


def _written_by_lifetime(usage: dict[str, Any]) -> dict[str, int]:
    """Tokens written into the provider's cache, by lifetime; empty where the response does not say."""
    for place in CACHE_WRITE_HOLDERS:
        found = {name: _first(usage, (f"{place}.{name}",)) for name in CACHE_WRITE_PARTS}
        if known := {name: tokens for name, tokens in found.items() if tokens is not None}:
            return known
    return {}


def _cost(usage: dict[str, Any]) -> float | None:
    """What the response says that it cost: for a bring-your-own-key request, the router's fee plus the provider's cost;
    for any other, the fee includes it. A router that charged nothing although the provider did, and does not say whose
    key it used, used the user's.
    """
    cost = next((found for name in COST if (found := _usd(usage.get(name))) is not None), None)
    is_byok, upstream = usage.get("is_byok"), _upstream(usage.get("cost_details"))
    if upstream is not None and (is_byok is True or (cost == 0 and not isinstance(is_byok, bool))):
        return float(Decimal(str(cost or 0.0)) + Decimal(str(upstream)))
    return cost


def _upstream(details: Any) -> float | None:
    """What the provider took, in one sum or for the prompt and the completion."""
    if not isinstance(details, dict):
        return None
    upstream = _usd(details.get("upstream_inference_cost"))
    return upstream if upstream is not None else _usd({name: details.get(name) for name in UPSTREAM_PARTS})


def _usd(value: Any) -> float | None:
    if isinstance(value, dict):
        whole = next((found for name in COST_OF_ALL if (found := _usd(value.get(name))) is not None), None)
        if whole is not None:
            return whole
        parts = [part for part in value.values() if type(part) in (int, float)]
        return _usd(sum(parts)) if parts else None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value) if 0 <= value < MOST_USD else None


def _first(usage: dict[str, Any], names: tuple[str, ...]) -> int | None:
    """The first of these names that holds a count that is not zero; zero when one holds zero."""
    zero = None
    for name in names:
        place: Any = usage
        inner = name
        while "." in inner:
            holder, _, inner = inner.partition(".")
            place = place.get(holder) if isinstance(place, dict) else None
        found = _count(place.get(inner)) if isinstance(place, dict) else None
        if found:
            return found
        zero = found if zero is None else zero
    return zero


def _count(value: Any) -> int | None:
    """A count, also as text, as some routers pass it on."""
    return count(int(value)) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,10}", value) else count(value)


def _last(before: Any, later: Any) -> Any:
    return later or (before if before is not None else later)


def count(value: Any) -> int | None:
    """A token count, or null for what cannot be one: text, a fraction, a negative or absurdly large number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not 0 <= value <= MOST_TOKENS or value != int(value):
        return None
    return int(value)
