"""Prices of well-known providers, with their history, from the `genai-prices` package.

Its list is as new as the package that is installed. Prices by the hour of the day are left out: which of them holds
changes while nothing is announced.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

LIST = "genai-prices"


@dataclass(frozen=True)
class KnownPrice:
    """A price in USD per million tokens, from `valid_from` until `valid_to` (milliseconds UTC; null: always, still)."""

    valid_from: int | None
    valid_to: int | None
    usd_per_million_input: str
    usd_per_million_output: str
    more_prices: str
    context_tokens: int | None


def known_prices(base_url: str, model: str, now: int) -> list[KnownPrice]:
    """All prices that a provider's model has had until `now`, oldest first; none for a provider or model not listed."""
    from genai_prices.data_snapshot import get_snapshot  # 0.25 s and 32 MB: only for who needs it

    try:
        _, found = get_snapshot().find_provider_model(model, None, None, base_url)
    except LookupError:
        return []
    today = datetime.fromtimestamp(now / 1_000, UTC).date()
    dated = [(start, prices) for start, prices in _dated(found.prices) if start is None or start <= today]
    dated.sort(key=lambda pair: pair[0] or date.min)
    starts = [_moment(start) for start, _ in dated] + [None]
    known = []
    for (valid_from, valid_to), (_, prices) in zip(pairwise(starts), dated, strict=True):
        sent = {
            name: getattr(prices, key, None) for name, key in (("prompt", "input_mtok"), ("completion", "output_mtok"))
        }
        if None in sent.values():
            continue  # a price by the image or the minute says nothing of tokens
        known.append(
            KnownPrice(
                valid_from,
                valid_to,
                _text(_base(sent["prompt"])),
                _text(_base(sent["completion"])),
                _more(sent, getattr(prices, "cache_read_mtok", None)),
                found.context_window,
            )
        )
    return known


def _dated(prices: Any) -> list[tuple[date | None, Any]]:
    if not isinstance(prices, list):
        return [(None, prices)]
    found = []
    for entry in prices:
        start = getattr(entry.constraint, "start_date", None)
        if entry.constraint is None or start is not None:
            found.append((start, entry.prices))
    return found


def _more(sent: dict[str, Any], cache_read: Any) -> str:
    """In the router's own shape: USD per token, and overrides for long prompts."""
    more: dict[str, Any] = {"list": LIST}
    if cache_read is not None:
        more["input_cache_read"] = _per_token(_base(cache_read))
    starts = sorted({tier.start for price in sent.values() for tier in getattr(price, "tiers", ())})
    if starts:
        more["overrides"] = [
            {"min_prompt_tokens": start} | {name: _per_token(_above(price, start)) for name, price in sent.items()}
            for start in starts
        ]
    return json.dumps(more, sort_keys=True)


def _base(price: Any) -> Decimal:
    return Decimal(getattr(price, "base", price))


def _above(price: Any, start: int) -> Decimal:
    reached = [tier.price for tier in getattr(price, "tiers", ()) if tier.start <= start]
    return Decimal(reached[-1]) if reached else _base(price)


def _text(price: Decimal) -> str:
    return f"{price.normalize():f}"


def _per_token(price: Decimal) -> str:
    return _text(price / 1_000_000)


def _moment(day: date | None) -> int | None:
    return None if day is None else int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000
