"""Which prices apply to a target, and the most that a probe of it can cost."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from collectors.http.adaptations import Change
from collectors.http.prompt import PROMPT_TOKENS, PROMPT_TOKENS_AT_MOST
from collectors.request import most_output_tokens
from collectors.workload_prompts import most_tokens
from routing.prices import FREE, Price, highest_cost, is_of_provider, listed_price
from settings.targets import Config, ProbeTarget
from store.schema import Endpoint, Model

ASSUMED = Price({"input": Decimal(20), "output": Decimal(100)})
"""The price that the budget assumes for a model of unknown price: higher than nearly all, so that the budget holds."""
IMPLAUSIBLE_TIMES = 100


def is_plausible_usd(usd: float | None, price: Price | None, prompt_tokens: int | None, output_tokens: int) -> bool:
    """Whether what a response says that it cost can be in USD: some servers count in units of their own, thousands to
    a cent (BerriAI/litellm#35829), and one such response would use up a day's budget.
    """
    prompt_tokens = max(prompt_tokens or 0, PROMPT_TOKENS_AT_MOST)
    most = highest_cost([ASSUMED, *([price] if price is not None else [])], prompt_tokens, output_tokens)
    return usd is None or usd <= most * IMPLAUSIBLE_TIMES


def price_of(target: ProbeTarget, config: Config, models: Iterable[Model]) -> Price | None:
    """The target's price: its own in the configuration, else the catalog's open row, else null for unknown.

    Single parts in the configuration take the place of those of the catalog.
    """
    price_in, price_out = target.usd_per_million_input, target.usd_per_million_output
    if price_in is not None and price_out is not None:
        return _with_own_parts(Price({"input": price_in, "output": price_out}), target)
    sources = {target.name} | ({"openrouter"} if is_routed(target, config) else set())
    for model in models:
        if model.model == target.model and model.source in sources and model.valid_to is None:
            known = listed_price(model)
            if known is not None:
                return _with_own_parts(known, target)
    return _with_own_parts(FREE, target) if target.is_free_variant else None


def endpoint_prices(target: ProbeTarget, config: Config, endpoints: Iterable[Endpoint]) -> list[Price]:
    """The known prices of the endpoints that a router may send the target's requests to; they can be higher than the
    one that it lists for the model. A target with a price of its own has none of them.
    """
    has_own = target.usd_per_million_input is not None and target.usd_per_million_output is not None
    if has_own or not is_routed(target, config):
        return []
    provider = target.provider
    rows = (row for row in endpoints if row.model == target.model and row.valid_to is None)
    named = [row for row in rows if not provider or is_of_provider(row.tag, provider)]
    return [price for row in named if (price := listed_price(row)) is not None]


def is_routed(target: ProbeTarget, config: Config) -> bool:
    """Whether the target is behind OpenRouter."""
    return target.base_url == config.openrouter.base_url


def max_probe_cost(
    target: ProbeTarget,
    profile: str,
    price: Price | None,
    changes: list[Change] | None = None,
    others: Iterable[Price] = (),
    prompt_tokens: int | None = None,
) -> Decimal:
    """The worst case, in USD: the highest price that can apply, `others` included, at the output limit that the
    target's server accepts (`changes`). `prompt_tokens`: of a prompt that is longer than its profile's.

    A model of unknown price on this machine costs nothing; elsewhere it is `ASSUMED`.
    """
    if price is None:
        price = _with_own_parts(FREE if target.is_loopback else ASSUMED, target)
    prompt_tokens = prompt_tokens or _prompt_tokens(target, profile)
    return highest_cost([price, *others], prompt_tokens, most_output_tokens(target, profile, changes))


def _prompt_tokens(target: ProbeTarget, profile: str) -> int:
    """More than a prompt of a profile takes; of workloads the largest."""
    given = [size for one in target.workloads for size in (*one.input_tokens, one.prefix_tokens or 0)]
    if profile == "workloads" and given:
        return most_tokens(max(given))
    return PROMPT_TOKENS.get(profile, PROMPT_TOKENS_AT_MOST)


def _with_own_parts(price: Price, target: ProbeTarget) -> Price:
    own = {"cached_input": target.usd_per_million_cached, "request": target.usd_per_request}
    return price.with_parts({name: usd for name, usd in own.items() if usd is not None})
