"""Which endpoints serve one real request, and in which order they are tried. Pure: the moment, chance and what is known
of each endpoint come from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf
from random import Random
from typing import NamedTuple

from routing.prices import Price, Rates
from routing.selection import (
    UNKNOWN,
    Capabilities,
    EndpointPerformance,
    RoutingRequest,
    Sort,
    capabilities_of,
    capability_reasons,
    good_response_usd,
    inverse_square_shares,
    known_or_median,
    price_reasons,
    seconds_to_respond,
    test_reasons,
)
from settings.relay import RouteStrategy
from store.schema import Endpoint


@dataclass(frozen=True)
class RequestNeeds(RoutingRequest):
    """What a real request needs, and what its `provider` object says.

    `parameters` are those that an endpoint must support. `order`, `only` and `ignore` name providers, tags of endpoints
    or targets. `completion_is_stated`: the request itself says how many tokens it may write; else `completion_tokens`
    is a guess, for its cost alone.
    """

    completion_is_stated: bool = False
    most_usd_per_request: float | None = None
    order: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow_fallbacks: bool = True
    sort: Sort | None = None
    quantizations: tuple[str, ...] = ()

    @property
    def has_preferences(self) -> bool:
        """Whether it names endpoints or quantizations."""
        return bool(self.only or self.ignore or self.order or self.quantizations)


@dataclass(frozen=True)
class EndpointState:
    """What is known of an endpoint at this moment. Null: not known.

    `context_tokens` is of use where the catalog has no `endpoint`. `cached_share`: of recent prompts, the share that
    came from its cache, 0 to 1. `resting_until` (milliseconds UTC): it asked to be left alone. `is_ejected`: too much
    of what it got failed.
    """

    target: str
    provider: str | None = None
    endpoint: Endpoint | None = None
    price: Price | None = None
    context_tokens: int | None = None
    performance: EndpointPerformance = UNKNOWN
    resting_until: int | None = None
    is_ejected: bool = False
    cached_share: float = 0.0
    input_modalities: tuple[str, ...] | None = None
    lacks: frozenset[str] = frozenset()
    """What its tests show that it does not do, whatever its catalog claims."""


@dataclass(frozen=True)
class RejectedTarget:
    """An endpoint that cannot or may not serve the request, and why."""

    target: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Ranking:
    """The names of targets in the order in which they are tried, and those that are out."""

    order: tuple[str, ...]
    rejected: tuple[RejectedTarget, ...] = ()


class _Offer(NamedTuple):
    """An endpoint that may serve. `cost_usd` and `seconds` of one request there; null: not known."""

    state: EndpointState
    cost_usd: float | None
    effective_usd: float | None
    seconds: float | None


def rank(
    states: Sequence[EndpointState], needs: RequestNeeds, strategy: RouteStrategy, now: int, random: Random
) -> Ranking:
    """Who serves a request with these `needs` at `now` (milliseconds UTC).

    The request's own `order` and `sort` go before the route's strategy. Endpoints that rest come last, the one that
    returns soonest first; before them those that are ejected.
    """
    offers: list[_Offer] = []
    rejected: list[RejectedTarget] = []
    uses_price = _uses_price(needs, strategy)
    for state in states:
        rates = state.price.at(now, needs.prompt_tokens) if state.price is not None and uses_price else None
        reasons = _reasons(state, rates, needs)
        if reasons:
            rejected.append(RejectedTarget(state.target, tuple(reasons)))
        else:
            offers.append(_offer(state, rates, needs))
    sort = needs.sort
    if sort is None and needs.order and strategy in ("price", "balanced"):
        sort = "price"  # an order switches balancing off, for those that it does not name, too
    ordered = _listed_first(_in_order(offers, sort, strategy, random), needs)
    ordered.sort(key=lambda offer: _standing(offer.state, now))  # stable: within a standing the order stays
    if not needs.allow_fallbacks and not needs.order:
        ordered = ordered[:1]
    return Ranking(tuple(offer.state.target for offer in ordered), tuple(rejected))


def _uses_price(needs: RequestNeeds, strategy: RouteStrategy) -> bool:
    """Whether a price decides anything: working it out takes longer than all the rest."""
    ceilings = (needs.most_usd_per_million_input, needs.most_usd_per_million_output, needs.most_usd_per_request)
    return strategy in ("price", "balanced") or needs.sort == "price" or any(most is not None for most in ceilings)


def _standing(state: EndpointState, now: int) -> tuple[int, int]:
    if state.resting_until is not None and state.resting_until > now:
        return 2, state.resting_until
    return int(state.is_ejected), 0


def names_of(state: EndpointState) -> set[str]:
    """What a request may call an endpoint: its target, its provider, its tag, and the tag without its quantization."""
    tag = state.endpoint.tag if state.endpoint is not None else ""
    provider = state.endpoint.provider if state.endpoint is not None else None
    names = {state.target, state.provider or "", provider or "", tag, tag.partition("/")[0]}
    return {name.lower() for name in names if name}


def _reasons(state: EndpointState, rates: Rates | None, needs: RequestNeeds) -> list[str]:
    reasons = _preference_reasons(state, needs) if needs.has_preferences else []
    reasons += capability_reasons(
        _capabilities(state), needs, needs.completion_tokens if needs.completion_is_stated else 0
    )
    reasons += test_reasons(state.lacks, needs)
    if rates is not None:
        reasons += price_reasons(rates, needs)
        if needs.most_usd_per_request is not None and float(rates.request) > needs.most_usd_per_request:
            reasons.append(f"its price of ${rates.request.normalize():f} per request is above the ceiling")
    elif (needs.most_usd_per_million_input, needs.most_usd_per_million_output) != (None, None):
        reasons.append("its price is not known, and the request has a ceiling")
    return reasons


def _preference_reasons(state: EndpointState, needs: RequestNeeds) -> list[str]:
    names, endpoint = names_of(state), state.endpoint
    reasons = []
    if needs.only and not names & _lower(needs.only):
        reasons.append("the request's `only` does not name it")
    if names & _lower(needs.ignore):
        reasons.append("the request's `ignore` names it")
    if needs.order and not needs.allow_fallbacks and not names & _lower(needs.order):
        reasons.append("the request's `order` does not name it, and `allow_fallbacks` is false")
    quantization = (endpoint.quantization if endpoint is not None else None) or "unknown"
    if needs.quantizations and quantization.lower() not in _lower(needs.quantizations):
        reasons.append(f"its quantization is {quantization}")
    return reasons


def _capabilities(state: EndpointState) -> Capabilities:
    if state.endpoint is None:
        return Capabilities(context_tokens=state.context_tokens, input_modalities=state.input_modalities)
    known = capabilities_of(state.endpoint, state.input_modalities)
    return known if state.endpoint.supported_parameters else replace(known, parameters=None)


def _lower(names: Iterable[str]) -> set[str]:
    return {name.lower() for name in names}


def _offer(state: EndpointState, rates: Rates | None, needs: RequestNeeds) -> _Offer:
    size = needs.prompt_tokens, needs.completion_tokens
    usd = None if rates is None else rates.request_usd(*size)
    effective_usd = usd if rates is None or not state.cached_share else rates.request_usd(*size, state.cached_share)
    return _Offer(state, usd, effective_usd, seconds_to_respond(state.performance, needs.completion_tokens))


def _in_order(offers: list[_Offer], sort: Sort | None, strategy: RouteStrategy, random: Random) -> list[_Offer]:
    if sort is None and strategy == "order":
        return offers
    if sort == "price":
        return sorted(offers, key=lambda offer: _or_last(offer.cost_usd))
    if sort == "latency" or (sort is None and strategy == "latency"):
        return sorted(offers, key=lambda offer: _or_last(offer.state.performance.ttft_ms))
    if sort == "throughput" or (sort is None and strategy == "throughput"):
        return sorted(offers, key=lambda offer: -(offer.state.performance.tokens_per_second or 0.0))
    steady = [offer for offer in offers if not offer.state.performance.had_outage]
    shaky = [offer for offer in offers if offer.state.performance.had_outage]
    costs = _balanced_costs if strategy == "balanced" else _plain_costs
    return [*_draw(steady, costs, random), *_draw(shaky, costs, random)]


def _or_last(value: float | None) -> float:
    return inf if value is None else value


def _draw(offers: list[_Offer], costs: Callable[[list[_Offer]], list[float]], random: Random) -> list[_Offer]:
    """One after the other, each with a chance that falls with the square of its cost among those that are left."""
    left = list(zip(offers, costs(offers), strict=True))
    drawn = []
    while len(left) > 1:
        shares = inverse_square_shares([cost for _, cost in left])
        [place] = random.choices(range(len(left)), shares)  # nosec B311  a share of traffic, no secret
        drawn.append(left.pop(place)[0])
    return drawn + [offer for offer, _ in left]


def _plain_costs(offers: list[_Offer]) -> list[float]:
    """Of this request; an unknown price is taken to be as the middle one of those that are known."""
    known = [offer.cost_usd for offer in offers]
    return [known_or_median(usd, known, 0.0) for usd in known]


def _balanced_costs(offers: list[_Offer]) -> list[float]:
    """What a good response costs, time included: the time of an average endpoint is worth as much as its price, so that
    neither decides alone, whatever a model costs. Where all are free, time alone decides.
    """
    known_usd, known_s = [offer.effective_usd for offer in offers], [offer.seconds for offer in offers]
    success = [offer.state.performance.success for offer in offers]
    usd = [known_or_median(value, known_usd, 0.0) for value in known_usd]
    seconds = [known_or_median(value, known_s, 0.0) for value in known_s]
    usd_per_s = sum(usd) / sum(seconds) if sum(usd) > 0 and sum(seconds) > 0 else 1.0
    return [
        good_response_usd(cost, known_or_median(share, success, 1.0), time, usd_per_s)
        for cost, share, time in zip(usd, success, seconds, strict=True)
    ]


def _listed_first(offers: list[_Offer], needs: RequestNeeds) -> list[_Offer]:
    """Those that the request's `order` names, in that order, before the others."""
    if not needs.order:
        return offers
    names = [name.lower() for name in needs.order]

    def place(offer: _Offer) -> int:
        return min((names.index(name) for name in names_of(offer.state) if name in names), default=len(names))

    return sorted(offers, key=place)
