"""The parts of the comparison: what can be compared, what is known of each, and the table."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from html import escape
from urllib.parse import urlencode

import streamlit as st

from pages.components import theme
from pages.components.number_inputs import numeric
from pages.queries import cache, series_colours
from pages.queries.target_history import THROUGHPUT, TargetHistory, target_history
from pages.queries.time_range import TimeRange
from pages.sections import model_header
from pages.sections.model_header import View
from pages.shell.time_range import in_link
from routing.prices import price_at
from routing.selection import RoutingRequest
from stats.latency import Band
from stats.median_difference import Difference, difference
from stats.samples import Percentiles
from store.schema import Endpoint, Model, Target

MOST = 6
REQUESTS = 1_000
HEAD = theme.head(
    "Compare",
    "Targets side by side, over one time range and for one size of request; a model that is not probed has its "
    "catalog's facts alone",
)
MOST_SUGGESTED = 4


@dataclass(frozen=True)
class Column:
    """One target, or one model that is not probed, and all that the table says of it."""

    name: str
    target: Target | None
    model: Model | None
    view: View | None
    total: Percentiles | None
    history: TargetHistory | None
    cost_usd: float | None
    number: int | None = None
    slower: Difference | None = None
    faster: Difference | None = None


def names(url: str) -> list[str]:
    """The targets by name, then the models that the router lists and nobody probes."""
    targets = [target for target in cache.targets(url) if target.state != "removed"]
    probed = {target.model for target in targets}
    models = {model.model for model in cache.models(url) if model.source == "openrouter"} - probed
    return sorted({target.name for target in targets}) + sorted(models)


def name_of(url: str, model: str) -> str:
    """What a model of the catalog is called here: by the first target that probes it, else by its slug."""
    probing = sorted(t.name for t in cache.targets(url) if t.model == model and t.state != "removed")
    return next(iter(probing), model)


def controls(known: list[str]) -> tuple[list[str], RoutingRequest]:
    """What is compared, and the size of a request, in the URL."""
    left, middle, right = st.columns([4, 1, 1], vertical_alignment="bottom")
    with left:
        picked = st.multiselect(
            "Targets and models", known, key="with", bind="query-params", max_selections=MOST, placeholder="two to six"
        )
    with middle:
        prompt = numeric(st.number_input, "Prompt, tokens", 0, 10_000_000, 1_000, step=500, key="prompt")
    with right:
        output = numeric(st.number_input, "Output, tokens", 0, 1_000_000, 500, step=100, key="output")
    return picked, RoutingRequest(int(prompt), int(output))


def suggestions(url: str) -> str:
    """What could be compared, as links: the targets that ask the same model, and the first few of all."""
    targets = [target for target in cache.targets(url) if target.state == "active"]
    by_model: dict[str, list[str]] = defaultdict(list)
    for target in targets:
        if target.name not in by_model[target.model]:
            by_model[target.model].append(target.name)
    groups = [(model, names[:MOST]) for model, names in sorted(by_model.items()) if len(names) > 1][:MOST_SUGGESTED]
    everybody = sorted({target.name for target in targets})
    if len(everybody) > 1:
        groups.append(("all of them" if len(everybody) <= MOST else "the first of them", everybody[:MOST]))
    links = "".join(_link(text, names) for text, names in groups)
    return f'<div class="u u-card">{theme.title("Choose two to six above, or")}<ul class="u-links">{links}</ul></div>'


def _link(text: str, names: list[str]) -> str:
    query = escape(urlencode([*(("with", name) for name in names), *in_link().items()]), quote=True)
    said = escape(", ".join(names))
    return f'<li><a href="compare?{query}" target="_self">{escape(text)}</a> <span class="q">{said}</span></li>'


def columns(url: str, picked: list[str], window: TimeRange, wish: RoutingRequest, now: int) -> list[Column]:
    """All that is said of each."""
    by_name = {target.name: target for target in reversed(cache.targets(url)) if target.state != "removed"}
    found = [_column(url, name, by_name.get(name), window, wish, now) for name in picked]
    first = next((column.history for column in found if column.history is not None), None)
    return [_against(column, first) for column in found]


def _against(column: Column, first: TargetHistory | None) -> Column:
    """With how its medians differ from those of the first that is probed."""
    history = column.history
    if history is None or first is None or history is first:
        return column
    profiles = first.target.profile, history.target.profile
    ttft, ttft_here = (h.samples(p, "ttft_ms") for h, p in zip((first, history), profiles, strict=True))
    speed, speed_here = (h.samples(THROUGHPUT, "tokens_per_second") for h in (first, history))
    return replace(column, slower=difference(ttft, ttft_here), faster=difference(speed, speed_here))


def _column(url: str, name: str, target: Target | None, window: TimeRange, wish: RoutingRequest, now: int) -> Column:
    known = cache.models(url)
    if target is None:
        model = next((m for m in known if m.model == name and m.source == "openrouter"), None)
        return Column(name, None, model, None, None, None, _cost(model, wish, now))
    model = cache.model_of(target, known)
    history = target_history(url, target, window, now)
    return Column(
        name=name,
        number=series_colours.numbers(url).get(name),
        target=target,
        model=model,
        view=model_header.view(url, target, window, now),
        total=history.percentiles(target.profile, "total_ms"),
        history=history,
        cost_usd=_cost(_pinned(url, target) or model, wish, now),
    )


def _pinned(url: str, target: Target) -> Endpoint | None:
    if target.provider is None:
        return None
    listed = cache.endpoints(url, target.model)
    return next((row for row in listed if target.provider in (row.provider, row.tag, row.tag.partition("/")[0])), None)


def _cost(row: Model | Endpoint | None, wish: RoutingRequest, now: int) -> float | None:
    price = price_at(row, wish.prompt_tokens, now) if row is not None else None
    return None if price is None else price.request_usd(wish.prompt_tokens, wish.completion_tokens) * REQUESTS


def over_time(found: list[Column], column: str) -> dict[str, list[Band]]:
    """The bands of a measured column of each that is probed: of throughput probes for a rate."""
    return {
        c.name: c.history.bands(THROUGHPUT if column == "tokens_per_second" else c.history.target.profile, column)
        for c in found
        if c.history is not None
    }
