"""What a request costs: a price with every part, what of it holds at a moment, and the most that it can come to. Pure,
and exact (Decimal).

The rules are OpenRouter's (its client's `PublicPricing` and `PricingOverride`): a condition holds when all of its parts
do; of those that hold the later one wins, part by part; a discount takes its share off whatever price holds. A price
by the length of the prompt is one for all of its tokens. `genai-prices` has the same rules for lengths and hours.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any

from store.schema import Endpoint, Model

MILLION = Decimal(1_000_000)
NOTHING = Decimal(0)
WHOLE = Decimal(1)
MOST = 10**12
"""What is above this is no price, and no number of tokens."""
SENT_NAMES = {
    "input": "prompt",
    "output": "completion",
    "cached_input": "input_cache_read",
    "cache_write": "input_cache_write",
    "cache_write_1h": "input_cache_write_1h",
    "reasoning": "internal_reasoning",
    "request": "request",
}
"""The parts of a price, and what OpenRouter calls them. It sends USD per token, and per request."""

Count = int | Decimal
Parts = Mapping[str, Decimal | None]
"""By the names of `SENT_NAMES`: USD per million tokens, and per request. Null: this part has no price of its own."""


@dataclass(frozen=True, slots=True)
class BilledTokens:
    """The tokens of one request. `cached` and `cache_write` are parts of `prompt`, `cache_write_1h` (kept for an hour
    instead of minutes) a part of `cache_write`, `reasoning` a part of `completion`.
    """

    prompt: Count
    completion: Count
    cached: Count = 0
    cache_write: Count = 0
    cache_write_1h: Count = 0
    reasoning: Count = 0


@dataclass(frozen=True)
class Rates:
    """What holds for one request: USD per million tokens of each kind, and USD for the request."""

    input: Decimal
    output: Decimal
    cached_input: Decimal
    cache_write: Decimal
    cache_write_1h: Decimal
    reasoning: Decimal
    request: Decimal

    def cost(self, tokens: BilledTokens) -> Decimal:
        """USD for one request with these tokens."""
        plain = tokens.prompt - tokens.cached - tokens.cache_write
        visible = tokens.completion - tokens.reasoning
        for_tokens = self.input * max(plain, 0) + self.output * max(visible, 0)
        if tokens.cached:
            for_tokens += self.cached_input * tokens.cached
        if tokens.cache_write:
            for_tokens += self.cache_write * max(tokens.cache_write - tokens.cache_write_1h, 0)
        if tokens.cache_write_1h:
            for_tokens += self.cache_write_1h * tokens.cache_write_1h
        if tokens.reasoning:
            for_tokens += self.reasoning * tokens.reasoning
        return for_tokens / MILLION + self.request

    def request_usd(self, prompt_tokens: int, completion_tokens: int, cached_share: float = 0.0) -> float:
        """USD for one request of this size, of whose prompt this share (0 to 1) comes from the provider's cache."""
        cached = Decimal(str(cached_share)) * prompt_tokens if cached_share else 0
        return float(self.cost(BilledTokens(prompt_tokens, completion_tokens, cached)))


@dataclass(frozen=True)
class Condition:
    """Parts of a price that hold only sometimes: above so many prompt tokens, on some weekdays, from a time of the day
    until before another one (HHMM, over midnight too), from a date on. All in UTC.
    """

    parts: Parts
    above_prompt_tokens: float | None = None
    days: tuple[str, ...] | None = None
    start: int | None = None
    end: int | None = None
    from_day: date | None = None

    def holds(self, prompt_tokens: int, now: int) -> bool:
        """For a request with so many prompt tokens at `now` (milliseconds UTC)."""
        moment = datetime.fromtimestamp(now / 1_000, UTC)
        if not self.can_hold(prompt_tokens) or (self.from_day is not None and moment.date() < self.from_day):
            return False
        if self.days is not None and f"{moment:%A}".lower() not in self.days:
            return False
        if self.start is None or self.end is None:
            return True
        clock = moment.hour * 100 + moment.minute
        return self.start <= clock < self.end if self.start <= self.end else clock >= self.start or clock < self.end

    def can_hold(self, prompt_tokens: int) -> bool:
        """At some moment, for a request with so many prompt tokens."""
        return self.above_prompt_tokens is None or prompt_tokens > self.above_prompt_tokens

    @property
    def input(self) -> Decimal | None:
        """Null: as otherwise."""
        return self.parts.get("input")

    @property
    def output(self) -> Decimal | None:
        """Null: as otherwise."""
        return self.parts.get("output")

    @property
    def when(self) -> str:
        """In words."""
        said = [] if self.from_day is None else [f"from {self.from_day.day} {self.from_day:%b %Y}"]
        if self.above_prompt_tokens is not None:
            said.append(f"above {self.above_prompt_tokens:,.0f} prompt tokens")
        if self.days is not None:
            said.append("on " + ", ".join(day.title() for day in self.days))
        if self.start is not None and self.end is not None:
            said.append(f"{_clock(self.start)} to {_clock(self.end)} UTC")
        return ", ".join(said) or "sometimes"


LONGEST_PROMPT = 100_000_000
"""Tokens: every condition of a price that goes by the length of a prompt can hold."""


@dataclass(frozen=True)
class Price:
    """A price as it is listed: `base` has at least `input` and `output`; a part without a price of its own costs what
    the part that it belongs to does. `discount` is the share that is taken off, 0 to 1.
    """

    base: Parts
    conditions: tuple[Condition, ...] = ()
    discount: Decimal = NOTHING

    def at(self, now: int, prompt_tokens: int) -> Rates:
        """What holds for a request with so many prompt tokens at `now` (milliseconds UTC)."""
        held = [condition.parts for condition in self.conditions if condition.holds(prompt_tokens, now)]
        return self._rates(held) if held else self._usual

    @cached_property
    def _usual(self) -> Rates:
        """What holds where no condition does, worked out once: the relay asks for each request."""
        return self._rates(())

    def _rates(self, held: Iterable[Parts]) -> Rates:
        """Under these conditions."""
        parts = dict(self.base)
        for more in held:
            parts.update(more)
        left = WHOLE - self.discount
        price_in, price_out = (_first(parts.get(name), NOTHING) * left for name in ("input", "output"))

        def part(name: str, otherwise: Decimal) -> Decimal:
            value = parts.get(name)
            return otherwise if value is None else value * left

        cache_write = part("cache_write", price_in)
        return Rates(
            price_in,
            price_out,
            part("cached_input", price_in),
            cache_write,
            part("cache_write_1h", cache_write),
            part("reasoning", price_out),
            part("request", NOTHING),
        )

    def cost(self, tokens: BilledTokens, now: int) -> Decimal:
        """USD for a request with these tokens at `now` (milliseconds UTC)."""
        return self.at(now, int(tokens.prompt)).cost(tokens)

    def with_parts(self, given: Parts) -> Price:
        """This price with these parts in place of its own, whatever its conditions and its discount say of them."""
        left = WHOLE - self.discount

        def others(parts: Parts) -> dict[str, Decimal | None]:
            return {name: usd and usd * left for name, usd in parts.items() if name not in given}

        conditions = tuple(replace(one, parts=others(one.parts)) for one in self.conditions)
        return Price({**others(self.base), **given}, conditions)

    def highest(self, prompt_tokens: int, completion_tokens: int) -> Decimal:
        """The most, in USD, that a request of at most this size can cost: at the worst hour, with every token at the
        highest price that tokens of its side have.
        """
        possible = [self.base, *(one.parts for one in self.conditions if one.can_hold(prompt_tokens))]

        def most(*names: str) -> Decimal:
            return max(_first(parts.get(name), NOTHING) for parts in possible for name in names)

        for_input = most("input", "cached_input", "cache_write", "cache_write_1h") * prompt_tokens
        for_output = most("output", "reasoning") * completion_tokens
        return ((for_input + for_output) / MILLION + most("request")) * (WHOLE - self.discount)

    @property
    def is_free(self) -> bool:
        """Whether no request costs anything, however long it is."""
        return not self.highest(LONGEST_PROMPT, 1)


FREE = Price({"input": NOTHING, "output": NOTHING})


def is_of_provider(tag: str, provider: str) -> bool:
    """Whether an endpoint's tag (`deepinfra/bf16`) is of a provider that a target is pinned to, in any case."""
    return provider.lower() in (tag.lower(), tag.partition("/")[0].lower())


def listed_price(row: Endpoint | Model) -> Price | None:
    """What a catalog says of a price; null when it is not known or depends on the route."""
    price_in, price_out = _decimal(row.usd_per_million_input), _decimal(row.usd_per_million_output)
    if price_in is None or price_out is None:
        return None
    more = _more_of(row)
    base = {"input": price_in, "output": price_out, "request": _decimal(row.usd_per_request)}
    return Price(_sent_parts(more) | base, conditions_of(row), discount_of(row))


def price_at(row: Endpoint | Model, prompt_tokens: int, now: int) -> Rates | None:
    """What a request with so many prompt tokens costs at `now` (milliseconds UTC); null where `listed_price` is."""
    price = listed_price(row)
    return None if price is None else price.at(now, prompt_tokens)


def highest_cost(prices: Iterable[Price], prompt_tokens: int, completion_tokens: int) -> Decimal:
    """The most that a request of at most this size can cost at any of these prices. At least one is given."""
    return max(price.highest(prompt_tokens, completion_tokens) for price in prices)


def discount_of(row: Endpoint | Model) -> Decimal:
    """The share that is taken off, 0 to 1."""
    sent = _more_of(row).get("discount")
    share = _decimal(str(sent)) if isinstance(sent, int | float) else None
    return share if share is not None and share <= 1 else NOTHING


def conditions_of(row: Endpoint | Model) -> tuple[Condition, ...]:
    """The prices that hold only sometimes, in the order in which they are applied."""
    sent = _more_of(row).get("overrides")
    return tuple(_condition(entry) for entry in sent if isinstance(entry, dict)) if isinstance(sent, list) else ()


def _more_of(row: Endpoint | Model) -> dict[str, Any]:
    """All else that is listed of the price, as it was sent."""
    try:
        more = json.loads(row.more_prices or "{}")
    except ValueError:
        return {}
    return more if isinstance(more, dict) else {}


def _condition(sent: dict[str, Any]) -> Condition:
    days = sent.get("utc_days")
    start, end = _number(sent.get("utc_start")), _number(sent.get("utc_end"))
    return Condition(
        _sent_parts(sent),
        _number(sent.get("min_prompt_tokens")),
        tuple(str(day).lower() for day in days) if isinstance(days, list) else None,
        None if start is None else int(start),
        None if end is None else int(end),
        _day(sent.get("from_date")),
    )


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and 0 <= value < MOST else None


def _sent_parts(sent: Mapping[str, Any]) -> dict[str, Decimal | None]:
    """The parts that are named, null where null is sent; what is no price changes nothing."""
    parts: dict[str, Decimal | None] = {}
    for name, sent_name in SENT_NAMES.items():
        value = sent.get(sent_name)
        usd = _decimal(value) if isinstance(value, str) else None
        if usd is not None:
            parts[name] = usd if name == "request" else usd * MILLION
        elif value is None and sent_name in sent:
            parts[name] = None
    return parts


def _day(value: Any) -> date | None:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        return None


def _clock(number: int) -> str:
    return f"{number // 100:02d}:{number % 100:02d}"


def _decimal(text: str | None) -> Decimal | None:
    try:
        value = Decimal(text or "")
    except InvalidOperation:
        return None  # nothing was said, or `varies`
    return value if value.is_finite() and 0 <= value < MOST else None


def _first(value: Decimal | None, otherwise: Decimal) -> Decimal:
    return otherwise if value is None else value
