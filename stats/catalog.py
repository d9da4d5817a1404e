"""The catalog as a table to search, filter and compare, beside what was measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from routing.prices import price_at
from stats.samples import samples
from stats.summary import summary
from store.rollups import Rollup
from store.rows import Model

PARTS_IN, PARTS_OUT = 3, 1
SPOT_DECADES = 0.05
"""About the size of a mark in a chart over three or four decades: 12%."""
COLUMNS = (
    "name",
    "model",
    "context_tokens",
    "max_output_tokens",
    "usd_per_million_input",
    "usd_per_million_output",
    "usd_per_million_blended",
    "input_modalities",
    "output_modalities",
    "parameters",
    "providers",
    "created_at",
    "expires_at",
)


@dataclass(frozen=True)
class Filters:
    """What a visitor looks for. Null and empty: anything. Prices in USD per million tokens, blended."""

    text: str = ""
    least_context_tokens: int | None = None
    most_usd_per_million: float | None = None
    modalities: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    only_free: bool = False


def catalog(models: Iterable[Model], providers: Mapping[str, int], now: int) -> pd.DataFrame:
    """One row a model with `COLUMNS`; `providers` is how many endpoints are known of each. A price that is not known,
    or varies, is missing. `usd_per_million_blended` is for three tokens in and one out; discounts are taken off.
    """
    return pd.DataFrame([_row(model, providers, now) for model in models], columns=list(COLUMNS)).astype(
        dict.fromkeys(("context_tokens", "max_output_tokens", "providers", "created_at", "expires_at"), "Int64")
    )


def _row(model: Model, providers: Mapping[str, int], now: int) -> tuple[object, ...]:
    price = price_at(model, 0, now)
    price_in, price_out = (float(price.input), float(price.output)) if price is not None else (None, None)
    blended = None
    if price_in is not None and price_out is not None:
        blended = (PARTS_IN * price_in + PARTS_OUT * price_out) / (PARTS_IN + PARTS_OUT)
    return (
        model.name or model.model,
        model.model,
        model.context_tokens,
        model.max_output_tokens,
        price_in,
        price_out,
        blended,
        _words(model.input_modalities),
        _words(model.output_modalities),
        _words(model.supported_parameters),
        providers.get(model.model),
        model.created_at,
        model.expires_at,
    )


def _words(text: str | None) -> list[str]:
    return text.split(",") if text else []


def filtered(table: pd.DataFrame, filters: Filters) -> pd.DataFrame:
    """The rows of `catalog` that meet all of it. What is not known of a model does not meet a limit on it."""
    kept = pd.Series(True, index=table.index)
    for word in filters.text.lower().split():
        kept &= (table["name"] + " " + table["model"]).str.lower().str.contains(word, regex=False)
    if filters.least_context_tokens is not None:
        kept &= (table["context_tokens"] >= filters.least_context_tokens).fillna(False).astype(bool)
    if filters.most_usd_per_million is not None:
        kept &= table["usd_per_million_blended"] <= filters.most_usd_per_million
    if filters.only_free:
        kept &= table["usd_per_million_blended"] == 0
    for column, wanted in (("input_modalities", filters.modalities), ("parameters", filters.parameters)):
        if wanted:
            kept &= table[column].map(set(wanted).issubset).astype(bool)
    return table[kept]


def spots(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Where the models of `catalog` stand by blended price and by `column`, those together that nobody could tell
    apart: a row a spot with the median `usd_per_million` and `value`, the `count`, and the `names` in their order.
    Models without the one or the other number are nowhere.
    """
    known = table[table["usd_per_million_blended"].notna() & table[column].notna()]
    points = pd.DataFrame(
        {
            "usd_per_million": known["usd_per_million_blended"].astype(float),
            "value": known[column].astype(float),
            "names": known["name"],
        }
    )
    price, value = points["usd_per_million"], points["value"]
    place = (np.log10(price.where(price > 0)) / SPOT_DECADES).round().fillna(-np.inf)
    height = (np.log10(value.where(value > 0)) / SPOT_DECADES).round().fillna(-np.inf)
    grouped = points.groupby([place.rename("place"), height.rename("height")])
    return grouped.agg(
        usd_per_million=("usd_per_million", "median"),
        value=("value", "median"),
        count=("names", "size"),
        names=("names", list),
    ).reset_index(drop=True)


def measured_by_model(rollups: Iterable[Rollup], models: Mapping[str, str]) -> pd.DataFrame:
    """Our own medians by model: `ttft_ms`, `tokens_per_second` and the number of `probes`; `models` tells each target's
    model.
    """
    listed: dict[str, list[Rollup]] = defaultdict(list)
    for rollup in rollups:
        if rollup.target in models:
            listed[models[rollup.target]].append(rollup)
    rows = {}
    for name, mine in sorted(listed.items()):
        [ttft], [speed] = (samples(mine, column).quantiles((0.5,)) for column in ("ttft_ms", "tokens_per_second"))
        rows[name] = (ttft, speed, summary(mine).requests)
    columns = ["ttft_ms", "tokens_per_second", "probes"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("model")
