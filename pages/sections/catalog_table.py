"""The catalog: the table, its filters, measurements, and the link to the comparison."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any
from zlib import crc32

import pandas as pd
import streamlit as st
from markupsafe import Markup

from pages.components import formatting, theme
from pages.queries import cache
from pages.queries.target_history import target_histories
from pages.queries.time_range import TimeRange
from pages.sections import compare_targets
from pages.shell.time_range import in_page_link
from routing.workload import RequestEstimate, Workload, estimate_request
from stats.catalog import CatalogModel, Filters, ModelMeasurement, catalog, measurements_by_model
from store.clock import now_ms

COMPARE = Path(__file__).resolve().parents[1] / "compare.py"
CONTEXTS = {"Any": None, "8k": 8_000, "32k": 32_000, "128k": 128_000, "256k": 256_000, "1M": 1_000_000}
PRICES = {"Any": None, "$0.10": 0.1, "$0.50": 0.5, "$1": 1.0, "$5": 5.0, "$20": 20.0}


@st.cache_resource(ttl=60, max_entries=2, show_spinner=False)  # not copied for each viewer: nobody changes it
def models(url: str) -> list[CatalogModel]:
    """Every model that the router lists now, the newest first."""
    listed = [model for model in cache.models(url) if model.source == "openrouter"]
    current = catalog(listed, cache.endpoint_counts(url), now_ms())
    return sorted(current, key=lambda model: -(model.created_at or 0))


def head(count: int) -> Markup:
    """The page's head."""
    models = formatting.plural(count, "model") if count else "models"
    return theme.head(
        "Catalog",
        f"The {models} that the router lists, with their prices and limits, and the speed that your probes measured. "
        "Select rows to compare them.",
    )


def filters(known: Sequence[CatalogModel]) -> Filters:
    """The filters, in the URL."""
    first, second, third = st.columns([2, 1, 1])
    with first:
        text = st.text_input("Search", key="q", bind="query-params", placeholder="name or slug, such as gemma 27b")
    with second:
        context = st.selectbox("Min context", list(CONTEXTS), key="context", bind="query-params")
    with third:
        price = st.selectbox(
            "Max price",
            list(PRICES),
            key="price",
            bind="query-params",
            help="USD per million tokens, input and output weighted 3:1",
        )
    first, second, third = st.columns([1, 2, 1], vertical_alignment="bottom")
    with first:
        modalities = _pick("Input", key="takes", lists=(model.input_modalities for model in known))
    with second:
        parameters = _pick("Parameters", key="supports", lists=(model.parameters for model in known))
    with third:
        only_free = st.toggle("Free only", key="free", bind="query-params")
    return Filters(text, CONTEXTS[context], PRICES[price], modalities, parameters, only_free)


def _pick(label: str, *, key: str, lists: Iterable[Sequence[str]]) -> tuple[str, ...]:
    options = sorted(set(chain.from_iterable(lists)))
    return tuple(st.multiselect(label, options, key=key, bind="query-params", placeholder="Any"))


def load_measurements(url: str, window: TimeRange) -> dict[str, ModelMeasurement]:
    """The probes' measurements of each model in a range."""
    targets = [target for target in cache.targets(url) if target.state != "removed"]
    histories = target_histories(url, targets, window, now_ms(), coarse=True)
    rollups = [rollup for history in histories for rollup in history.rollups]
    return measurements_by_model(rollups, {target.name: target.model for target in targets})


def measured_first(shown: Iterable[CatalogModel], measured: Mapping[str, ModelMeasurement]) -> list[CatalogModel]:
    """The measured models before the others, each in their given order."""
    return sorted(shown, key=lambda model: model.model not in measured)


def estimates(
    url: str, shown: Iterable[CatalogModel], measured: Mapping[str, ModelMeasurement], size: Workload | None
) -> dict[str, RequestEstimate]:
    """The duration and cost of one request, by model; empty while no size is set."""
    if size is None:
        return {}
    listed = {model.model: model for model in cache.models(url) if model.source == "openrouter"}
    now, found = now_ms(), {}
    for model in shown:
        mine = measured.get(model.model)
        ttft_ms, speed = (mine.ttft_ms, mine.tokens_per_second) if mine is not None else (None, None)
        found[model.model] = estimate_request(size, ttft_ms, speed, listed.get(model.model), now)
    return found


def models_table(
    shown: Sequence[CatalogModel],
    measured: Mapping[str, ModelMeasurement],
    known: Sequence[CatalogModel],
    estimates: Mapping[str, RequestEstimate],
) -> list[str]:
    """Draw the table, with `estimates` if there are any, and return the selected models, which the address (`picked`)
    keeps. Models that the filters hide stay selected.
    """
    asked = _read_picked({model.model for model in known})
    if not shown:
        st.info("No model matches all filters. Loosen one of them.", icon=":material/search_off:")
        return asked
    slugs = [model.model for model in shown]
    hidden = set() if _any_expires(shown) else {"expires_at"}
    hidden |= set() if estimates else {"seconds", "usd"}
    columns = {name: column for name, column in _columns().items() if name not in hidden}
    rows = [
        asdict(model)
        | (asdict(measured[model.model]) if model.model in measured else {})
        | (asdict(estimates[model.model]) if model.model in estimates else {})
        for model in shown
    ]
    data = pd.DataFrame(rows, columns=list(columns))
    for name in columns.keys() & {"created_at", "expires_at"}:
        data[name] = pd.to_datetime(data[name].astype("Int64"), unit="ms", utc=True)
    counts = ("context_tokens", "max_output_tokens", "providers")
    reals = {"ttft_ms", "tokens_per_second", "seconds", "usd"} & columns.keys()
    data = data.astype(dict.fromkeys(counts, "Int64") | dict.fromkeys(reals, float))
    event = st.dataframe(
        data,
        hide_index=True,
        height=420,
        column_config=columns,
        placeholder=formatting.DASH,
        on_select="rerun",
        selection_mode="multi-row",
        # a selection is of rows, not of models: other rows, or another selection in the address, need another key
        key=f"models_{st.session_state[_TURN]}_{crc32(' '.join(slugs).encode())}",
        selection_default={"selection": {"rows": [row for row, slug in enumerate(slugs) if slug in asked]}},
        alt=f"{len(shown)} of {len(known)} models with their prices and limits",
    )
    picked = [slugs[row] for row in event["selection"]["rows"] if row < len(slugs)]
    picked += [slug for slug in asked if slug not in slugs]
    _write_picked(picked)
    return picked


PICKED, _WRITTEN, _TURN = "picked", "catalog_picked", "catalog_turn"


def _read_picked(known: Set[str]) -> list[str]:
    """The models that the address selects. If a link or Back changed it, the table gets a new key."""
    written = st.query_params.get_all(PICKED)
    if written != st.session_state.get(_WRITTEN) or _TURN not in st.session_state:
        st.session_state[_WRITTEN] = written
        st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1
    return [slug for slug in dict.fromkeys(written) if slug in known]


def _write_picked(picked: list[str]) -> None:
    if picked == st.session_state[_WRITTEN]:
        return
    st.session_state[_WRITTEN] = picked
    if picked:
        st.query_params[PICKED] = picked
    else:
        st.query_params.pop(PICKED, None)


def _any_expires(shown: Sequence[CatalogModel]) -> bool:
    return any(model.expires_at is not None for model in shown)


def _columns() -> dict[str, Any]:
    number = st.column_config.NumberColumn
    return {
        "name": st.column_config.TextColumn("name", width=220, pinned=True),
        "model": st.column_config.TextColumn("slug", width=200),
        "context_tokens": number("context", format="localized"),
        "max_output_tokens": number("max output", format="localized"),
        "usd_per_million_input": number("USD per M in", format="$%.4g"),
        "usd_per_million_output": number("USD per M out", format="$%.4g"),
        "seconds": number("request, s", format="%.2f", help="One request of your workload, from your probes' medians"),
        "usd": number("request, USD", format="$%.3g", help="One request of your workload, at the listed price"),
        "input_modalities": st.column_config.ListColumn("input", width=120),
        "providers": number("endpoints", help="Known for models that are probed or watched"),
        "created_at": st.column_config.DatetimeColumn("created", format="D MMM YYYY"),
        "expires_at": st.column_config.DatetimeColumn(
            "expires",
            width=96,
            format="D MMM YYYY",
            timezone="UTC",
            help="The router may remove the model after this day",
        ),
        "ttft_ms": number("TTFT, ms", format="%.0f", help="Median of your probes in this range"),
        "tokens_per_second": number("tok/s", format="%.1f", help="Median of your throughput probes in this range"),
        "parameters": st.column_config.ListColumn("parameters", width=420),
    }


def compare_link(url: str, picked: list[str]) -> None:
    """The link to the comparison of what is selected."""
    if not 2 <= len(picked) <= compare_targets.MOST:
        st.caption(f"Select 2 to {compare_targets.MOST} rows to compare them.")
        return
    st.page_link(
        str(COMPARE),
        label=f"Compare {len(picked)} models",
        icon=":material/compare_arrows:",
        query_params={"with": [compare_targets.name_of(url, model) for model in picked], **in_page_link()},
    )
