"""The cost of one exchange with a target."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from collectors.http.usage import Usage
from collectors.prices import is_plausible_usd
from collectors.request import dialect_of
from routing.prices import BilledTokens, Price
from settings.targets import ProbeTarget
from store.outcomes import MAY_BE_BILLED

if TYPE_CHECKING:  # `requests` takes 0.13 s to import: a run with nothing due does without
    from collectors.http.exchange import Exchange


def billed_usd(cost_usd: float | None, outcome: str) -> float | None:
    """The cost to book for a request; null when it is unknown."""
    return cost_usd if cost_usd is not None or outcome in MAY_BE_BILLED else 0.0


def cost_of_exchange(target: ProbeTarget, price: Price | None, result: Exchange, at: int) -> float | None:
    """The cost of one exchange with a target; null when it is unknown."""
    return cost_of(plausible_usage(target, price, result), billed_output(target, result), price, at)


def billed_output(target: ProbeTarget, result: Exchange) -> int | None:
    """The output tokens that are paid for; 0 where a server makes no text."""
    return result.completion_tokens if dialect_of(target).makes_text else 0


def plausible_usage(target: ProbeTarget, price: Price | None, result: Exchange) -> Usage:
    """The usage, without a cost that is in a unit of the server's own."""
    used = result.response.usage
    output_tokens = max(billed_output(target, result) or 0, target.max_tokens)
    if is_plausible_usd(used.cost_usd, price, used.prompt_tokens, output_tokens):
        return used
    return replace(used, cost_usd=None)


def cost_of(used: Usage, completion_tokens: int | None, price: Price | None, at: int) -> float | None:
    """The cost that the response states, else its tokens at the price of that moment; null when neither is known.
    What is free costs nothing, whether or not a response that broke off says how many tokens it had.
    """
    if used.cost_usd is not None:
        return used.cost_usd
    if price is not None and price.is_free:
        return 0.0
    if price is None or used.prompt_tokens is None or completion_tokens is None:
        return None
    billed = BilledTokens(
        used.prompt_tokens,
        completion_tokens,
        used.cached_tokens or 0,
        used.cache_write_tokens or 0,
        used.cache_write_1h_tokens or 0,
        used.reasoning_tokens or 0,
    )
    return float(price.cost(billed, at))
