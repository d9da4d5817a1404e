"""Prices of well-known providers, with their history, from the `genai-prices` package.

Its list is as new as the package that is installed. A price is kept with every part that a request for text can have,
in the router's own shape (`more_prices`): the cost of a probe at any later moment is what the package computes itself.
Sounds, images and searches are left out: a probe has none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

from routing.prices import SENT_NAMES

LIST = "genai-prices"
KEYS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "reasoning": "output_reasoning_mtok",
    "request": "requests_kcount",
}
"""The parts of a price, and what the package calls them."""
OF_COLUMNS = tuple(SENT_NAMES[name] for name in ("input", "output", "request"))
"""What has columns of its own."""
PER = {name: 1_000 if name == "request" else 1_000_000 for name in KEYS}
MORE_HOSTS = {
    r"https://[a-z]{2}\.api\.openai\.com": "openai",
    r"https://bedrock-mantle\.[a-z0-9-]+\.api\.aws": "aws",
    r"https://api\.together\.ai": "together",
    r"https://models\.inference\.ai\.azure\.com": "azure",
}
"""Addresses of a provider that the list does not know."""
HUGGING_FACE = "https://router.huggingface.co/v1"
LITELLM = {
    "anthropic": "anthropic",
    "azure": "azure",
    "azure_ai": "azure",
    "bedrock": "aws",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "deepseek": "deepseek",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "groq": "groq",
    "mistral": "mistral",
    "moonshot": "moonshotai",
    "novita": "novita",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "together_ai": "together",
    "vertex_ai": "google",
    "xai": "x-ai",
}
"""LiteLLM's prefixes, as https://docs.litellm.ai/docs/providers has them. Behind an address that is nobody's, such a
prefix says whose price it is. `google/` and the like are no such prefix: open weights have names of that form wherever
they are served.
"""
OPEN_WEIGHTS = "gpt-oss"
"""OpenAI's models that anybody serves, under `openai/`."""
KEPT_VARIANTS = ("free", "online")
"""Suffixes that change the price."""


@dataclass(frozen=True)
class KnownPrice:
    """A price in USD per million tokens, from `valid_from` until `valid_to` (milliseconds UTC; null: always, still)."""

    valid_from: int | None
    valid_to: int | None
    usd_per_million_input: str
    usd_per_million_output: str
    usd_per_request: str | None
    more_prices: str
    context_tokens: int | None


def known_prices(base_url: str, model: str, now: int) -> list[KnownPrice]:
    """All prices that a provider's model has had until `now`, oldest first; none for a provider or model not listed,
    and for one whose price has nothing to do with text.
    """
    found = find_model(base_url, model)
    return [] if found is None else prices_of(found, now)


def prices_of(found: Any, now: int) -> list[KnownPrice]:
    """All prices that an entry of the list has had until `now`, oldest first. What it will cost from a later day on is
    a condition of the last one.
    """
    today = datetime.fromtimestamp(now / 1_000, UTC).date()
    entries = found.prices if isinstance(found.prices, list) else [found]
    days = sorted(day for entry in entries if (day := _start_day(entry)) is not None)
    starts = [date.min, *(day for day in dict.fromkeys(days) if day <= today)]
    later = [day for day in dict.fromkeys(days) if day > today]
    known = []
    for day, end in pairwise([*starts, None]):
        assert day is not None
        base, *by_hour = _entries_on(entries, day)
        if not _is_for_text([base, *by_hour]):
            continue
        upcoming = [] if end is not None else [(start, _entries_on(entries, start)) for start in later]
        parts = _named(base)
        more = {name: sent for name, sent in parts.items() if name not in OF_COLUMNS}
        known.append(
            KnownPrice(
                None if day == date.min else _moment(day),
                None if end is None else _moment(end),
                _text(_base(base, "input") or Decimal(0)),
                _text(_base(base, "output") or Decimal(0)),
                parts.get(SENT_NAMES["request"]),
                json.dumps(
                    {"list": LIST} | more | _overrides(base, by_hour, upcoming) | _deprecated(found), sort_keys=True
                ),
                found.context_window,
            )
        )
    return known


def _deprecated(found: Any) -> dict[str, Any]:
    """That its provider calls a model deprecated; the list knows no day."""
    return {"deprecated": True} if getattr(found, "deprecated", None) else {}


# -- whose price it is


def find_model(base_url: str, model: str) -> Any:
    """The list's entry for a provider's model, in any form in which servers name it; null when it has none."""
    from genai_prices.data_snapshot import get_snapshot  # 0.25 s and 32 MB: only for who needs it

    snapshot = get_snapshot()
    for provider, reference in _references(snapshot, base_url, model):
        if (found := provider.find_model(reference, all_providers=snapshot.providers)) is not None:
            return found
    return None


def _references(snapshot: Any, base_url: str, model: str) -> Iterator[tuple[Any, str]]:
    """Providers and names to look under, the most exact first."""
    prefix, _, rest = model.partition("/")
    if base_url.startswith(HUGGING_FACE):
        name, _, host = model.rpartition(":")
        provider_id, model = f"huggingface_{host}", name
    elif (provider := _provider_at(snapshot, base_url)) is not None:
        provider_id = provider.id
    elif prefix.lower() in LITELLM and OPEN_WEIGHTS not in model.lower():
        provider_id, model = LITELLM[prefix.lower()], rest
    else:
        return
    provider = next((one for one in snapshot.providers if one.id == provider_id), None)
    if provider is not None:
        yield from ((provider, name) for name in _names(model))


def _provider_at(snapshot: Any, base_url: str) -> Any:
    patterns = [(provider.api_pattern, provider.id) for provider in snapshot.providers]
    wanted = next((name for form, name in [*patterns, *MORE_HOSTS.items()] if re.match(form, base_url)), None)
    return next((provider for provider in snapshot.providers if provider.id == wanted), None)


def _names(model: str) -> Iterator[str]:
    """A model's name as it is, without what stands before it (a gateway's prefix, `models/`, `accounts/…/models/`,
    `publishers/…/models/`), and without a variant.
    """
    parts = model.split("/")
    names = ["/".join(parts[first:]) for first in range(len(parts))]
    yield from names
    base, _, variant = model.rpartition(":")
    if base and variant not in KEPT_VARIANTS:
        yield from (name.rpartition(":")[0] for name in names)


# -- what it is


def _start_day(entry: Any) -> date | None:
    day = getattr(getattr(entry, "constraint", None), "start_date", None)
    return day if isinstance(day, date) else None


def _entries_on(entries: list[Any], day: date) -> list[Any]:
    """What can hold on a day: the entry that holds at any hour, and those that hold at some hours and come after it.
    Of all that hold the package takes the last one, and the first one when none does.
    """
    always = [
        number
        for number, entry in enumerate(entries)
        if _hours(entry) is None and ((start := _start_day(entry)) is None or start <= day)
    ]
    first = always[-1] if always else 0
    return [entries[first], *(entry for entry in entries[first + 1 :] if _hours(entry) is not None)]


def _hours(entry: Any) -> tuple[int, int] | None:
    constraint = getattr(entry, "constraint", None)
    start, end = getattr(constraint, "start_time", None), getattr(constraint, "end_time", None)
    return None if start is None or end is None else (_clock(start), _clock(end))


def _clock(moment: Any) -> int:
    """HHMM in UTC."""
    if moment.tzinfo is not None:
        moment = datetime.combine(date(1970, 1, 2), moment).astimezone(UTC).time()
    return int(moment.hour * 100 + moment.minute)


def _is_for_text(entries: list[Any]) -> bool:
    """No part at all means that it is free."""
    return all(
        _base(entry, "input") is not None or not any(value is not None for value in vars(entry.prices).values())
        for entry in entries
    )


def _overrides(base: Any, by_hour: list[Any], upcoming: list[tuple[date, list[Any]]]) -> dict[str, Any]:
    """The conditions under which another price holds, in the order in which they are applied."""
    sent = list(_tiers(base, {}))
    for entry in by_hour:
        sent += _replacement(entry, {})
    for day, (first, *others) in upcoming:
        for entry in (first, *others):
            sent += _replacement(entry, {"from_date": day.isoformat()})
    return {"overrides": sent} if sent else {}


def _replacement(entry: Any, when: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All parts of another price, null for what has none there, and then those for long prompts."""
    if (hours := _hours(entry)) is not None:
        when = when | {"utc_start": hours[0], "utc_end": hours[1]}
    yield when | {SENT_NAMES[name]: None for name in KEYS} | _named(entry)
    yield from _tiers(entry, when)


def _named(entry: Any) -> dict[str, str]:
    """The parts that have a price, by the router's names."""
    return {SENT_NAMES[name]: _sent(name, usd) for name in KEYS if (usd := _base(entry, name)) is not None}


def _tiers(entry: Any, when: dict[str, Any]) -> Iterator[dict[str, Any]]:
    tiered = {name: price for name in KEYS if hasattr(price := _part(entry, name), "tiers")}
    for start in sorted({tier.start for price in tiered.values() for tier in price.tiers}):
        parts = {SENT_NAMES[name]: _sent(name, _above(price, start)) for name, price in tiered.items()}
        yield when | {"min_prompt_tokens": start} | parts


def _part(entry: Any, name: str) -> Any:
    return getattr(entry.prices, KEYS[name], None)


def _base(entry: Any, name: str) -> Decimal | None:
    price = _part(entry, name)
    return None if price is None else Decimal(getattr(price, "base", price))


def _above(price: Any, start: int) -> Decimal:
    reached = [tier.price for tier in price.tiers if tier.start <= start]
    return Decimal(reached[-1] if reached else price.base)


def _text(price: Decimal) -> str:
    return f"{price.normalize():f}"


def _sent(name: str, price: Decimal) -> str:
    return _text(price / PER[name])


def _moment(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000
