"""The catalog to search, filter and compare, next to measurements."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from routing.prices import Rates, price_at
from stats.samples import samples
from stats.summary import summary
from store.rollups import Rollup
from store.schema import Model

PARTS_IN, PARTS_OUT = 3, 1
POINT_DECADES = 0.05
"""About the size of a mark in a chart over three or four decades: 12%."""


@dataclass(frozen=True)
class CatalogModel:
    """What the catalog says of a model, with discounts taken off; null where it is not known, or varies.
    `usd_per_million_blended` is for three tokens in and one out; `providers` is how many endpoints are known.
    """

    name: str
    model: str
    context_tokens: int | None
    max_output_tokens: int | None
    usd_per_million_input: float | None
    usd_per_million_output: float | None
    usd_per_million_blended: float | None
    input_modalities: tuple[str, ...]
    output_modalities: tuple[str, ...]
    parameters: tuple[str, ...]
    providers: int | None
    created_at: int | None
    expires_at: int | None


@dataclass(frozen=True)
class Filters:
    """What a visitor looks for. Null and empty: any. Prices in USD per million tokens, blended."""

    text: str = ""
    least_context_tokens: int | None = None
    most_usd_per_million: float | None = None
    modalities: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    only_free: bool = False


def catalog(models: Iterable[Model], providers: Mapping[str, int], now: int) -> list[CatalogModel]:
    """Each model at its prices of `now` (milliseconds UTC); `providers` is how many endpoints each is known to have."""
    return [_catalog_model(model, providers, now) for model in models]


def blended_usd(price: Rates | None) -> float | None:
    """USD per million tokens, three in and one out; null where the price is."""
    if price is None:
        return None
    return (PARTS_IN * float(price.input) + PARTS_OUT * float(price.output)) / (PARTS_IN + PARTS_OUT)


def _catalog_model(model: Model, providers: Mapping[str, int], now: int) -> CatalogModel:
    price = price_at(model, 0, now)
    price_in, price_out = (float(price.input), float(price.output)) if price is not None else (None, None)
    return CatalogModel(
        model.name or model.model,
        model.model,
        model.context_tokens,
        model.max_output_tokens,
        price_in,
        price_out,
        blended_usd(price),
        _words(model.input_modalities),
        _words(model.output_modalities),
        _words(model.supported_parameters),
        providers.get(model.model),
        model.created_at,
        model.expires_at,
    )


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def filter_models(models: Iterable[CatalogModel], filters: Filters) -> list[CatalogModel]:
    """The models that match every filter. An unknown value does not match a limit on it."""
    return [model for model in models if _fits(model, filters)]


def _fits(model: CatalogModel, filters: Filters) -> bool:
    text, price = f"{model.name} {model.model}".lower(), model.usd_per_million_blended
    least, most = filters.least_context_tokens, filters.most_usd_per_million
    return (
        all(word in text for word in filters.text.lower().split())
        and (least is None or (model.context_tokens is not None and model.context_tokens >= least))
        and (most is None or (price is not None and price <= most))
        and (not filters.only_free or price == 0)
        and set(filters.modalities) <= {*model.input_modalities}
        and set(filters.parameters) <= {*model.parameters}
    )


@dataclass(frozen=True)
class Point:
    """Models too close to tell apart in a chart: their medians, and their names in order."""

    usd_per_million: float
    value: float
    names: tuple[str, ...]


def group_points(points: Iterable[tuple[CatalogModel, float | None]]) -> list[Point]:
    """Models by blended price and by a value, neighbours as one point. Models without either are skipped."""
    groups: dict[tuple[float, float], list[tuple[float, float, str]]] = defaultdict(list)
    for model, value in points:
        price = model.usd_per_million_blended
        if price is not None and value is not None:
            groups[_place(price), _place(value)].append((price, float(value), model.name))
    return [
        Point(median(price for price, *_ in near), median(value for _, value, _ in near), tuple(n for *_, n in near))
        for _, near in sorted(groups.items())
    ]


def _place(value: float) -> float:
    return round(math.log10(value) / POINT_DECADES) if value > 0 else -math.inf


@dataclass(frozen=True)
class ModelMeasurement:
    """Measured medians of a model, over all its targets."""

    ttft_ms: float | None
    tokens_per_second: float | None
    probes: int


def measurements_by_model(rollups: Iterable[Rollup], models: Mapping[str, str]) -> dict[str, ModelMeasurement]:
    """By model; `models` has the model of each target."""
    listed: dict[str, list[Rollup]] = defaultdict(list)
    for rollup in rollups:
        if rollup.target in models:
            listed[models[rollup.target]].append(rollup)
    measurements = {}
    for name, mine in sorted(listed.items()):
        [ttft], [speed] = (samples(mine, column).quantiles((0.5,)) for column in ("ttft_ms", "tokens_per_second"))
        measurements[name] = ModelMeasurement(ttft, speed, summary(mine).requests)
    return measurements
