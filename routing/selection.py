"""Who would serve a request: which endpoints may, in which order they would be tried, and at what cost and time.

By price (https://openrouter.ai/docs/guides/routing/provider-selection): endpoints without a recent outage first, each
with a chance that falls with the square of its price; those with one come after them.

By what a good response costs (https://openrouter.ai/docs/guides/providers/traffic-routing): the price with its cache
share, divided by the chance that a request succeeds, plus what the time until the reply is over is worth to the user.
The router does not publish the curve from that cost to a share; here it falls with its square, as by price.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from statistics import median
from typing import Any, Literal

from routing.prices import Rates, price_at
from store.schema import Endpoint

Strategy = Literal["price", "good_response"]
Sort = Literal["price", "throughput", "latency"]
Data = Literal["any", "no_training", "zero_retention"]
PARAMETERS = {"tools": "tools", "structured outputs": "structured_outputs", "reasoning": "reasoning"}
SECONDS_AN_HOUR = 3_600.0


@dataclass(frozen=True)
class RoutingRequest:
    """A request: its size in tokens, what it needs, and what it may cost (USD per million tokens; null: anything)."""

    prompt_tokens: int = 1_000
    completion_tokens: int = 500
    cached_share: float = 0.0
    parameters: tuple[str, ...] = ()  # of PARAMETERS' values
    has_images: bool = False
    most_usd_per_million_input: float | None = None
    most_usd_per_million_output: float | None = None
    data: Data = "any"


@dataclass(frozen=True)
class EndpointPerformance:
    """How an endpoint does, as somebody saw it: the provider's report, or our own probes. Null: not known.

    `success` is the share of requests that succeed, 0 to 1; `had_outage`: within the last minutes.
    """

    success: float | None = None
    ttft_ms: float | None = None
    tokens_per_second: float | None = None
    had_outage: bool = False


UNKNOWN = EndpointPerformance()


@dataclass(frozen=True)
class Capabilities:
    """What an endpoint takes. Null: not known, so that nothing is held against it."""

    context_tokens: int | None = None
    max_prompt_tokens: int | None = None
    max_output_tokens: int | None = None
    parameters: frozenset[str] | None = None
    input_modalities: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Candidate:
    """One endpoint that may serve the request.

    `chance`: to be tried first, 0 to 1 (null where a sort fixes the order). `cost_usd`: of one request there.
    `seconds`: from sending it to the end of the reply. `good_response_usd`: what a good response costs, time included.
    """

    endpoint: Endpoint
    price: Rates
    record: EndpointPerformance
    cost_usd: float
    seconds: float | None
    good_response_usd: float
    chance: float | None = None


@dataclass(frozen=True)
class Rejected:
    """One endpoint that may not serve it, and why."""

    endpoint: Endpoint
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The endpoints in the order in which they would be tried, and those that are out."""

    offers: tuple[Candidate, ...]
    excluded: tuple[Rejected, ...]

    @property
    def is_sure(self) -> bool:
        """Nothing is left to chance: a sort fixes the order."""
        return bool(self.offers) and self.offers[0].chance is None

    @property
    def expected_usd(self) -> float | None:
        """What the first attempt costs on average; null where a sort fixes who it is, or nobody may."""
        return self._expected([offer.cost_usd for offer in self.offers])

    @property
    def expected_seconds(self) -> float | None:
        """How long it takes on average; null when one of those that could be first is not known."""
        likely = self.offers[:1] if self.is_sure else [offer for offer in self.offers if offer.chance]
        if any(offer.seconds is None for offer in likely):
            return None
        return self._expected([offer.seconds or 0.0 for offer in self.offers])

    def _expected(self, values: list[float]) -> float | None:
        chances = [offer.chance for offer in self.offers]
        if not chances or None in chances:
            return values[0] if values else None
        return sum(value * (chance or 0.0) for value, chance in zip(values, chances, strict=True))


def plan(
    endpoints: Iterable[Endpoint],
    records: Mapping[str, EndpointPerformance],
    wish: RoutingRequest,
    now: int,
    *,
    input_modalities: Sequence[str] = ("text",),
    strategy: Strategy = "good_response",
    sort: Sort | None = None,
    usd_per_hour: float = 0.0,
    lacks: Mapping[str, frozenset[str]] | None = None,
) -> Plan:
    """Who would serve `wish` at `now` (milliseconds UTC), each endpoint's `EndpointPerformance` by its tag.

    `usd_per_hour` is what an hour of waiting is worth. With a `sort` nothing is left to chance. `lacks`: what the tests
    of an endpoint, by its tag, show that it does not do, whatever it claims.
    """
    offers: list[Candidate] = []
    excluded: list[Rejected] = []
    for endpoint in endpoints:
        price = price_at(endpoint, wish.prompt_tokens, now)
        reasons = _reasons(endpoint, price, wish, input_modalities)
        reasons += tuple(test_reasons((lacks or {}).get(endpoint.tag, frozenset()), wish))
        if reasons or price is None:
            excluded.append(Rejected(endpoint, reasons))
        else:
            offers.append(_offer(endpoint, price, records.get(endpoint.tag, UNKNOWN), wish))
    valued = [replace(offer, good_response_usd=_good_response(offer, offers, usd_per_hour)) for offer in offers]
    ordered = _sorted(valued, sort) if sort else _by_chance(valued, strategy)
    return Plan(tuple(ordered), tuple(excluded))


def _reasons(
    endpoint: Endpoint, price: Rates | None, wish: RoutingRequest, input_modalities: Sequence[str]
) -> tuple[str, ...]:
    reasons = capability_reasons(capabilities_of(endpoint, tuple(input_modalities)), wish, wish.completion_tokens)
    if price is None:
        reasons.append("its price is not known" if endpoint.usd_per_million_input != "varies" else "its price varies")
    else:
        reasons += price_reasons(price, wish)
    if wish.data == "zero_retention" and not endpoint.zero_retention:
        said = "is not on" if endpoint.zero_retention is not None else "was not looked up on"
        reasons.append(f"it {said} the router's list of endpoints that keep nothing")
    return tuple(reasons)


def capabilities_of(endpoint: Endpoint, input_modalities: tuple[str, ...] | None) -> Capabilities:
    """As its catalog lists them; of a list of parameters that is not there, none."""
    return Capabilities(
        endpoint.context_tokens,
        endpoint.max_prompt_tokens,
        endpoint.max_output_tokens,
        frozenset((endpoint.supported_parameters or "").split(",")),
        input_modalities,
    )


def capability_reasons(known: Capabilities, wish: RoutingRequest, completion_tokens: int) -> list[str]:
    """Why an endpoint cannot take a request of this size, with these parameters, or with images.

    `completion_tokens`: of the request, as far as they count against an endpoint.
    """
    reasons = []
    needed = wish.prompt_tokens + completion_tokens
    if known.context_tokens is not None and needed > known.context_tokens:
        reasons.append(f"its context is {known.context_tokens:,d} tokens, the request needs {needed:,d}")
    if known.max_prompt_tokens is not None and wish.prompt_tokens > known.max_prompt_tokens:
        reasons.append(f"it takes prompts of at most {known.max_prompt_tokens:,d} tokens")
    if known.max_output_tokens is not None and completion_tokens > known.max_output_tokens:
        reasons.append(f"it writes at most {known.max_output_tokens:,d} tokens")
    if known.parameters is not None:
        reasons += [
            f"it does not support {_WORDS.get(name, name)}"
            for name in _in_usual_order(wish.parameters)
            if name not in known.parameters
        ]
    if wish.has_images and known.input_modalities is not None and "image" not in known.input_modalities:
        reasons.append("the model takes no images")
    return reasons


def test_reasons(lacks: frozenset[str], wish: RoutingRequest) -> list[str]:
    """Which of what a request needs its tests show that an endpoint lacks."""
    needed = (*wish.parameters, *(["image"] if wish.has_images else []))
    return [f"its tests show that it lacks {_WORDS.get(name, name)}" for name in needed if name in lacks]


_WORDS = {name: word for word, name in PARAMETERS.items()}


def _in_usual_order(parameters: Sequence[str]) -> list[str]:
    return [name for name in _WORDS if name in parameters] + [name for name in parameters if name not in _WORDS]


def price_reasons(price: Rates, wish: RoutingRequest) -> list[str]:
    """Which of its prices are above the request's ceilings."""
    ceilings = (
        ("input", price.input, wish.most_usd_per_million_input),
        ("output", price.output, wish.most_usd_per_million_output),
    )
    return [
        f"its {word} price of ${value.normalize():f} per million is above the ceiling"
        for word, value, most in ceilings
        if most is not None and float(value) > most
    ]


def _offer(endpoint: Endpoint, price: Rates, record: EndpointPerformance, wish: RoutingRequest) -> Candidate:
    cost_usd = price.request_usd(wish.prompt_tokens, wish.completion_tokens, wish.cached_share)
    return Candidate(endpoint, price, record, cost_usd, seconds_to_respond(record, wish.completion_tokens), inf)


def seconds_to_respond(record: EndpointPerformance, completion_tokens: int) -> float | None:
    """From sending a request to the end of a response of this length; null where a part of it is not known."""
    if record.ttft_ms is None or not record.tokens_per_second:
        return None
    return record.ttft_ms / 1_000 + completion_tokens / record.tokens_per_second


def _good_response(offer: Candidate, others: Sequence[Candidate], usd_per_hour: float) -> float:
    """What is not known of an endpoint is taken to be as the middle one of those that are known; where none is known,
    success is certain and time costs nothing.
    """
    success = known_or_median(offer.record.success, [other.record.success for other in others], 1.0)
    seconds = known_or_median(offer.seconds, [other.seconds for other in others], 0.0)
    return good_response_usd(offer.cost_usd, success, seconds, usd_per_hour / SECONDS_AN_HOUR)


def good_response_usd(cost_usd: float, success: float, seconds: float, usd_per_s: float) -> float:
    """The price over the chance of success (0 to 1), plus the worth of the time."""
    return cost_usd / success + usd_per_s * seconds if success > 0 else inf


def known_or_median(value: float | None, others: Iterable[float | None], otherwise: float) -> float:
    """A value; where it is not known, the median of the others; where none is known, `otherwise`."""
    if value is not None:
        return value
    known = [other for other in others if other is not None]
    return median(known) if known else otherwise


def _by_chance(offers: list[Candidate], strategy: Strategy) -> list[Candidate]:
    if strategy == "good_response":
        return _drawn(offers, [offer.good_response_usd for offer in offers])
    steady = [offer for offer in offers if not offer.record.had_outage]
    shaky = [offer for offer in offers if offer.record.had_outage]
    first = _drawn(steady, [offer.cost_usd for offer in steady])
    after = _drawn(shaky, [offer.cost_usd for offer in shaky])
    return first + ([replace(offer, chance=0.0) for offer in after] if first else after)


def _drawn(offers: list[Candidate], costs: list[float]) -> list[Candidate]:
    chances = inverse_square_shares(costs)
    chosen = [replace(offer, chance=chance) for offer, chance in zip(offers, chances, strict=True)]
    return sorted(chosen, key=lambda offer: (-(offer.chance or 0.0), offer.good_response_usd, offer.endpoint.tag))


def inverse_square_shares(costs: Sequence[float]) -> list[float]:
    """Shares that sum to 1 and fall with the square of the cost. What is free shares all among itself, and what costs
    infinitely much gets nothing (all of it equally, when there is nothing else).

    >>> inverse_square_shares([1.0, 3.0])
    [0.9, 0.1]
    """
    if not costs:
        return []
    cheapest = min(costs)
    if cheapest == 0 or cheapest == inf:
        count = sum(cost == cheapest for cost in costs)
        return [1 / count if cost == cheapest else 0.0 for cost in costs]
    weights = [(cheapest / cost) ** 2 for cost in costs]  # of the cheapest 1, so that nothing overflows
    total = sum(weights)
    return [weight / total for weight in weights]


def _sorted(offers: list[Candidate], sort: Sort) -> list[Candidate]:
    def rank(offer: Candidate) -> tuple[float, str]:
        known = {
            "price": offer.cost_usd,
            "throughput": -offer.record.tokens_per_second if offer.record.tokens_per_second is not None else inf,
            "latency": offer.record.ttft_ms if offer.record.ttft_ms is not None else inf,
        }
        return known[sort], offer.endpoint.tag

    return sorted(offers, key=rank)


def provider_object(
    wish: RoutingRequest, sort: Sort | None, order: Sequence[str] = (), ignored: Sequence[str] = ()
) -> dict[str, Any]:
    """The `provider` object of a request that asks for the same (OpenRouter's `ProviderPreferences`); with an `order`
    of tags exactly these are tried, one after the other. `ignored`: tags that the router itself would not leave out.
    """
    wanted: dict[str, Any] = {}
    if order:
        wanted |= {"order": list(order), "allow_fallbacks": False}
    elif sort:
        wanted["sort"] = sort
    if ignored and not order:
        wanted["ignore"] = list(ignored)
    if wish.parameters:
        wanted["require_parameters"] = True
    ceilings = {"prompt": wish.most_usd_per_million_input, "completion": wish.most_usd_per_million_output}
    if known := {name: f"{most:.9g}" for name, most in ceilings.items() if most is not None}:
        wanted["max_price"] = known
    if wish.data == "no_training":
        wanted["data_collection"] = "deny"
    elif wish.data == "zero_retention":
        wanted["zdr"] = True
    return wanted
