"""What a request costs at a catalog's price: conditional overrides, discounts and cached prompt tokens included.

The rules are OpenRouter's (its client's `PublicPricing` and `PricingOverride`): an override holds when all of its
conditions do, later ones win, and a discount takes its share off whatever price holds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from store.rows import Endpoint, Model

MILLION = Decimal(1_000_000)
NOTHING = Decimal(0)
WHOLE = Decimal(1)


@dataclass(frozen=True)
class Price:
    """USD per million tokens, and USD per request, as they hold for one request. Exact."""

    input: Decimal
    output: Decimal
    cached_input: Decimal
    request: Decimal = NOTHING

    def cost(self, prompt_tokens: int, completion_tokens: int, cached_share: float = 0.0) -> float:
        """USD for one request of this size, of whose prompt this share (0 to 1) comes from the provider's cache."""
        cached = Decimal(str(cached_share))
        per_prompt_token = self.input * (WHOLE - cached) + self.cached_input * cached
        tokens = per_prompt_token * prompt_tokens + self.output * completion_tokens
        return float(tokens / MILLION + self.request)


@dataclass(frozen=True)
class Condition:
    """A price that holds only sometimes, in words, with USD per million tokens (null: as otherwise)."""

    when: str
    input: Decimal | None
    output: Decimal | None


def price_at(row: Endpoint | Model, prompt_tokens: int, now: int) -> Price | None:
    """The price of a request with so many prompt tokens at `now` (milliseconds UTC); null when it is not known or
    depends on the route.
    """
    price_in, price_out = _decimal(row.usd_per_million_input), _decimal(row.usd_per_million_output)
    if price_in is None or price_out is None:
        return None
    more = more_of(row)
    cached = _per_million(more.get("input_cache_read"))
    for override in _overrides(more):
        if _holds(override, prompt_tokens, now):
            price_in = _first(_per_million(override.get("prompt")), price_in)
            price_out = _first(_per_million(override.get("completion")), price_out)
            cached = _per_million(override.get("input_cache_read")) if "input_cache_read" in override else cached
    left = WHOLE - discount_of(row)
    return Price(
        price_in * left,
        price_out * left,
        _first(cached, price_in) * left,
        (_decimal(row.usd_per_request) or NOTHING) * left,
    )


def more_of(row: Endpoint | Model) -> dict[str, Any]:
    """All else that is said of the price, as it was sent."""
    try:
        more = json.loads(row.more_prices or "{}")
    except ValueError:
        return {}
    return more if isinstance(more, dict) else {}


def discount_of(row: Endpoint | Model) -> Decimal:
    """The share that is taken off, 0 to 1."""
    said = more_of(row).get("discount")
    share = _decimal(str(said)) if isinstance(said, int | float) else None
    return share if share is not None and share <= 1 else NOTHING


def conditions_of(row: Endpoint | Model) -> list[Condition]:
    """The prices that hold only sometimes."""
    return [
        Condition(_said(override), _per_million(override.get("prompt")), _per_million(override.get("completion")))
        for override in _overrides(more_of(row))
    ]


def _overrides(more: dict[str, Any]) -> list[dict[str, Any]]:
    sent = more.get("overrides")
    return [entry for entry in sent if isinstance(entry, dict)] if isinstance(sent, list) else []


def _holds(override: dict[str, Any], prompt_tokens: int, now: int) -> bool:
    at_least = override.get("min_prompt_tokens")
    if isinstance(at_least, int | float) and prompt_tokens <= at_least:
        return False
    moment = datetime.fromtimestamp(now / 1_000, UTC)
    days = override.get("utc_days")
    if isinstance(days, list) and f"{moment:%A}".lower() not in days:
        return False
    start, end = override.get("utc_start"), override.get("utc_end")
    if not isinstance(start, int | float) or not isinstance(end, int | float):
        return True
    clock = moment.hour * 100 + moment.minute
    return start <= clock < end if start <= end else clock >= start or clock < end


def _said(override: dict[str, Any]) -> str:
    parts = []
    if isinstance(above := override.get("min_prompt_tokens"), int | float):
        parts.append(f"above {above:,.0f} prompt tokens")
    if isinstance(days := override.get("utc_days"), list):
        parts.append("on " + ", ".join(str(day).title() for day in days))
    start, end = override.get("utc_start"), override.get("utc_end")
    if isinstance(start, int | float) and isinstance(end, int | float):
        parts.append(f"{_clock(start)} to {_clock(end)} UTC")
    return ", ".join(parts) or "sometimes"


def _clock(number: float) -> str:
    return f"{int(number) // 100:02d}:{int(number) % 100:02d}"


def _decimal(text: str | None) -> Decimal | None:
    try:
        value = Decimal(text or "")
    except InvalidOperation:
        return None  # nothing was said, or `varies`
    return value if value.is_finite() and value >= 0 else None


def _per_million(usd_per_token: Any) -> Decimal | None:
    value = _decimal(usd_per_token) if isinstance(usd_per_token, str) else None
    return None if value is None else value * MILLION


def _first(value: Decimal | None, otherwise: Decimal) -> Decimal:
    return otherwise if value is None else value
