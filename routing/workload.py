"""The duration and cost of one request of a given size, from latency, speed and price. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from routing.prices import BilledTokens, listed_price
from routing.selection import EndpointPerformance, RoutingRequest, seconds_to_respond
from store.schema import Endpoint, Model


@dataclass(frozen=True)
class Workload:
    """The size of one request, in tokens. `cached_tokens`: the part of the prompt that the provider has
    in its cache.
    """

    prompt_tokens: int = 1_000
    output_tokens: int = 500
    cached_tokens: int = 0

    @property
    def request(self) -> RoutingRequest:
        """The request for which endpoints are selected."""
        share = self.cached_tokens / self.prompt_tokens if self.prompt_tokens else 0.0
        return RoutingRequest(self.prompt_tokens, self.output_tokens, share)


@dataclass(frozen=True)
class RequestEstimate:
    """One request: seconds from sending it to the end of its response, and USD. Null: not known."""

    seconds: float | None
    usd: float | None


def estimate_request(
    workload: Workload,
    ttft_ms: float | None,
    tokens_per_second: float | None,
    listed: Model | Endpoint | None,
    now: int,
) -> RequestEstimate:
    """TTFT + output tokens / speed, and the cost at the `listed` price of `now` (milliseconds UTC), with cached tokens.
    Without output the duration is the TTFT.
    """
    if workload.output_tokens:
        seconds = seconds_to_respond(
            EndpointPerformance(ttft_ms=ttft_ms, tokens_per_second=tokens_per_second), workload.output_tokens
        )
    else:
        seconds = None if ttft_ms is None else ttft_ms / 1_000
    price = listed_price(listed) if listed is not None else None
    if price is None:
        return RequestEstimate(seconds, None)
    tokens = BilledTokens(workload.prompt_tokens, workload.output_tokens, workload.cached_tokens)
    return RequestEstimate(seconds, float(price.cost(tokens, now)))
