"""What a target's tokens cost, and what a probe can cost at most. Money is exact (Decimal) until it is a row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from collectors.http.adaptations import Change
from collectors.http.question import PROMPT_TOKENS_AT_MOST
from collectors.request import most_output_tokens
from collectors.scheduler.config import Config, ProbeTarget
from store.rows import Model

MILLION = Decimal(1_000_000)
NOTHING = Decimal(0)


@dataclass(frozen=True)
class Price:
    """USD per million tokens, and per request."""

    input: Decimal
    output: Decimal
    request: Decimal = NOTHING

    def cost(self, prompt_tokens: int, completion_tokens: int) -> Decimal:
        """USD for this many tokens in one request."""
        return (self.input * prompt_tokens + self.output * completion_tokens) / MILLION + self.request


FREE = Price(NOTHING, NOTHING)
ASSUMED = Price(Decimal(20), Decimal(100))
"""What a model of unknown price is reckoned at for the budget: dearer than nearly all, so that the budget holds."""


def price_of(target: ProbeTarget, config: Config, models: Iterable[Model]) -> Price | None:
    """The target's price: its own in the configuration, else the catalog's open row, else null for unknown."""
    if target.usd_per_million_input is not None and target.usd_per_million_output is not None:
        return Price(target.usd_per_million_input, target.usd_per_million_output)
    sources = {target.name} | ({"openrouter"} if is_routed(target, config) else set())
    for model in models:
        if model.model == target.model and model.source in sources and model.valid_to is None:
            known = _price(model)
            if known is not None:
                return known
    return FREE if target.is_free_variant else None


def is_routed(target: ProbeTarget, config: Config) -> bool:
    """The target is behind OpenRouter."""
    return target.base_url == config.openrouter.base_url


def most_a_probe_costs(
    target: ProbeTarget, profile: str, price: Price | None, changes: list[Change] | None = None
) -> Decimal:
    """The worst case, in USD, with the limit that the target's server made of the profile's (`changes`).

    A model of unknown price on this machine costs nothing; elsewhere it is `ASSUMED`.
    """
    if price is None:
        price = FREE if target.is_loopback else ASSUMED
    return price.cost(PROMPT_TOKENS_AT_MOST, most_output_tokens(target, profile, changes))


def _price(model: Model) -> Price | None:
    try:
        return Price(
            Decimal(model.usd_per_million_input or ""),
            Decimal(model.usd_per_million_output or ""),
            Decimal(model.usd_per_request or "0"),
        )
    except InvalidOperation:
        return None
