"""What OpenRouter sends, as far as it is read here, and how its prices become ours. Pure.

The contract is the `openrouter` package's typed models (its official client); the tests build their answers from them.
Unknown fields are ignored, a missing optional one is null, and an entry that does not validate is counted, not guessed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

SOURCE = "openrouter"
VARIES = "varies"
"""What a price of -1 means there: it depends on where the request is routed."""
MILLION = Decimal(1_000_000)
_BASE_PRICES = ("prompt", "completion", "request")
_NO_PRICE: tuple[Any, ...] = (None, [], "0", 0)

Sent = TypeVar("Sent", bound=BaseModel)
Tokens = Annotated[int, Field(ge=0, lt=2**53)] | None


class _Sent(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)  # a run with nothing due builds none


class Architecture(_Sent):
    """What goes in and what comes out."""

    input_modalities: list[str] = []
    output_modalities: list[str] = []


class TopProvider(_Sent):
    """The limits of the endpoint that is tried first."""

    context_length: Tokens = None
    max_completion_tokens: Tokens = None


def _date_or_null(value: Any) -> date | None:
    try:
        return date.fromisoformat(value[:10])
    except (TypeError, ValueError):
        return None


OptionalDay = Annotated[date | None, BeforeValidator(_date_or_null)]
"""A UTC calendar day; null for what is none, which is no reason to do without the rest of an entry."""


class SentModel(_Sent):
    """One entry of `GET /models`."""

    id: str = Field(min_length=1, max_length=300)
    name: str
    created: Annotated[int, Field(ge=0, lt=2**40)] | None = None
    canonical_slug: str | None = None
    description: str | None = None
    context_length: Tokens = None
    architecture: Architecture = Architecture()
    pricing: dict[str, Any]
    supported_parameters: list[str] = []
    top_provider: TopProvider = TopProvider()
    expiration_date: OptionalDay = None


class Percentiles(_Sent):
    """Over the last 30 minutes."""

    p50: float | None = None
    p75: float | None = None
    p90: float | None = None
    p99: float | None = None


def _of_one(value: Any) -> Any:
    """A share in percent, as it is sent, to a share of one."""
    return value / 100 if isinstance(value, int | float) and not isinstance(value, bool) else value


Share = Annotated[Annotated[float, Field(ge=0, le=1)] | None, BeforeValidator(_of_one)]


class SentEndpoint(_Sent):
    """One entry of `GET /models/{author}/{slug}/endpoints`."""

    tag: str = Field(min_length=1, max_length=300)
    model_id: str | None = None
    provider_name: str
    quantization: str | None = None
    context_length: Tokens = None
    max_completion_tokens: Tokens = None
    max_prompt_tokens: Tokens = None
    pricing: dict[str, Any]
    supported_parameters: list[str] = []
    status: int | None = None
    uptime_last_5m: Share = None
    uptime_last_30m: Share = None
    uptime_last_1d: Share = None
    latency_last_30m: Percentiles | None = None
    throughput_last_30m: Percentiles | None = None


Day = Annotated[date, BeforeValidator(lambda value: value[:10] if isinstance(value, str) else value)]
"""A UTC calendar day, also where midnight is written behind it."""
Count = Annotated[int, Field(ge=0, lt=2**63)]


class SentRanking(_Sent):
    """One entry of `GET /datasets/rankings-daily`: a model variant's tokens on a day, or those of all `other`."""

    date: Day
    model_permaslug: str = Field(min_length=1, max_length=300)
    total_tokens: Count


class SentApp(_Sent):
    """One entry of `GET /datasets/app-rankings`."""

    app_name: str = Field(min_length=1, max_length=300)
    total_tokens: Count
    total_requests: Count | None = None


class SentActivity(_Sent):
    """One entry of `GET /activity`: what an account used of one endpoint on a day."""

    date: Day
    model: str
    model_permaslug: str = Field(min_length=1, max_length=300)
    provider_name: str = Field(min_length=1, max_length=300)
    prompt_tokens: Count
    completion_tokens: Count
    reasoning_tokens: Count = 0
    cached_tokens: Count = 0
    requests: Count
    usage: Annotated[float, Field(ge=0, lt=1e12)]
    byok_usage_inference: Annotated[float, Field(ge=0, lt=1e12)] = 0.0


def midnight(day: date) -> int:
    """The moment at which a UTC day began, in milliseconds."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000


STANDARD = "standard"


def without_variant(slug: str) -> tuple[str, str]:
    """A slug and its variant: what has none is the `standard` one.

    >>> without_variant("google/gemma-3-1b-it:free")
    ('google/gemma-3-1b-it', 'free')
    """
    name, _, variant = slug.partition(":")
    return name, variant or STANDARD


def entries(answer: Any, *path: str) -> list[Any]:
    """The list at `path` in an answer, which may be empty. Raises ValueError when there is none."""
    value = answer
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, list):
        raise ValueError(f"the response has no list {'.'.join(path)}, which does not match the router's documentation")
    return value


def validate(kind: type[Sent], raw: Iterable[Any]) -> tuple[list[Sent], int]:
    """The entries that are what they should be, and how many are not."""
    good: list[Sent] = []
    bad = 0
    for entry in raw:
        try:
            good.append(kind.model_validate(entry))
        except ValidationError:
            bad += 1
    return good, bad


def usd_per_million(usd_per_token: Any) -> str | None:
    """An exact decimal per million from a decimal string per token; `varies` for -1, null for what is no price.

    >>> usd_per_million("0.00000015")
    '0.15'
    """
    price = _decimal(usd_per_token)
    if price is None:
        return None
    return VARIES if price < 0 else f"{(price * MILLION).normalize():f}"


def usd_per_request(usd: Any) -> str | None:
    """An exact decimal per request; null when nothing is taken for it."""
    price = _decimal(usd)
    if price is None or price == 0:
        return None
    return VARIES if price < 0 else f"{price.normalize():f}"


def _decimal(value: Any) -> Decimal | None:
    if not isinstance(value, str):
        return None
    try:
        price = Decimal(value)
    except InvalidOperation:
        return None
    return price if price.is_finite() and (price >= 0 or price == -1) else None


def more_prices(pricing: dict[str, Any]) -> str | None:
    """Everything else that is said of the price, as it was sent: discount, conditional overrides, caches, images."""
    rest = {name: value for name, value in pricing.items() if name not in _BASE_PRICES and value not in _NO_PRICE}
    return json.dumps(rest, sort_keys=True) if rest else None


def joined(words: Iterable[str]) -> str | None:
    """Sorted and separated by commas, so that another order is no change; null for none."""
    return ",".join(sorted({word for word in words if word and "," not in word})) or None
