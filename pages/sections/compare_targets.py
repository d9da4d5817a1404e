"""The comparison: what can be compared, and the data of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

import numpy as np
import streamlit as st
from markupsafe import Markup

from pages.components import theme
from pages.components.table import quiet
from pages.queries import cache, series_colours
from pages.queries.listed_prices import priced_row
from pages.queries.target_history import THROUGHPUT, TargetHistory, target_history
from pages.queries.time_range import TimeRange
from pages.shell import workload
from pages.shell.time_range import in_link
from routing.workload import RequestEstimate, Workload, estimate_request
from stats.comparison import best_fact, best_median, best_share
from stats.latency import Band
from stats.median_difference import Difference, difference, resampled_medians
from stats.samples import Samples
from stats.uptime import wilson
from store.schema import Endpoint, Model, Target

MOST = 6
REQUESTS = 1_000
HEAD = theme.head(
    "Compare",
    "Targets side by side, for one time range and one request size. Models that are not probed show only the facts in "
    "the catalog.",
)
MOST_SUGGESTED = 4
MEDIANS = ("ttft_ms", "total_ms", "tokens_per_second")


@dataclass(frozen=True)
class Column:
    """One target, or one model that is not probed, and everything the table shows of it."""

    name: str
    target: Target | None
    model: Model | None
    history: TargetHistory | None
    estimate: RequestEstimate
    number: int | None = None
    location: str = ""
    """Of a target that is probed from several: the one that is shown."""
    differences: Mapping[str, Difference | None] = field(default_factory=dict)
    """By measured column, the difference of the median from the first probed column; empty for that one."""
    best: frozenset[str] = frozenset()
    """The rows in which it is clearly better than all others."""


def names(url: str) -> list[str]:
    """The targets by name, then the models that the router lists and no target probes."""
    targets = [target for target in cache.targets(url) if target.state != "removed"]
    probed = {target.model for target in targets}
    models = {model.model for model in cache.models(url) if model.source == "openrouter"} - probed
    return sorted({target.name for target in targets}) + sorted(models)


def pair(url: str, name: str | None = None) -> list[str]:
    """Two targets to compare: `name` (or the first one), and one of the same model, else the next one. Empty if there
    are not two.
    """
    targets = [target for target in cache.targets(url) if target.state == "active"]
    known = sorted({target.name for target in targets} | ({name} if name else set()))
    models = {target.name: target.model for target in cache.targets(url)}
    if len(known) < 2:
        return []
    alike = [one for one in known if sum(models.get(other) == models.get(one) for other in known) > 1]
    first = name or next(iter(alike), known[0])
    others = [other for other in known if other != first]
    same = [other for other in others if models.get(other) == models.get(first)]
    after = [other for other in others if other > first]
    return [first, [*same, *after, *others][0]]


def name_of(url: str, model: str) -> str:
    """The name of a catalog model here: that of the first target that probes it, else its slug."""
    probing = sorted(t.name for t in cache.targets(url) if t.model == model and t.state != "removed")
    return next(iter(probing), model)


def controls(url: str, known: list[str]) -> tuple[list[str], Workload]:
    """The targets and models to compare and the request size, kept in the URL. By default, two are selected."""
    if "with" not in st.session_state and "with" not in st.query_params:
        st.session_state["with"] = pair(url)
    left, right = st.columns([4, 2], vertical_alignment="bottom")
    with left:
        picked = st.multiselect(
            "Targets and models", known, key="with", bind="query-params", max_selections=MOST, placeholder="2 to 6"
        )
    with right:
        return picked, workload.control(always=True) or workload.USUAL


def suggestions(url: str) -> Markup:
    """What could be compared, as links: the targets of one model, and the first few of all."""
    targets = [target for target in cache.targets(url) if target.state == "active"]
    by_model: dict[str, list[str]] = defaultdict(list)
    for target in targets:
        if target.name not in by_model[target.model]:
            by_model[target.model].append(target.name)
    groups = [(model, names[:MOST]) for model, names in sorted(by_model.items()) if len(names) > 1][:MOST_SUGGESTED]
    everyone = sorted({target.name for target in targets})
    if len(everyone) > 1:
        groups.append(("all targets" if len(everyone) <= MOST else f"the first {MOST} targets", everyone[:MOST]))
    links = Markup().join(_link(text, names) for text, names in groups)
    heading = theme.title(f"Choose 2 to {MOST} above, or")
    return Markup('<div class="u u-card">{}<ul class="u-links">{}</ul></div>').format(heading, links)


def _link(text: str, names: list[str]) -> Markup:
    query = urlencode([*(("with", name) for name in names), *in_link().items()])
    link = Markup('<li><a href="compare?{}" target="_self">{}</a> {}</li>')
    return link.format(query, text, quiet(", ".join(names)))


def columns(url: str, picked: list[str], window: TimeRange, size: Workload, now: int) -> list[Column]:
    """The data of each."""
    by_name: dict[str, list[Target]] = defaultdict(list)
    for target in cache.targets(url):
        if target.state != "removed":
            by_name[target.name].append(target)
    loaded = [_column(url, name, by_name.get(name, []), window, size, now) for name in picked]
    first = next((column.history for column in loaded if column.history is not None), None)
    return _add_best([_add_differences(column, first) for column in loaded])


def _add_differences(column: Column, first: TargetHistory | None) -> Column:
    """The column with the differences of its medians from those of the first probed column."""
    history = column.history
    if history is None or first is None or history is first:
        return column
    found = {name: _difference(_samples(first, name), _samples(history, name)) for name in MEDIANS}
    return replace(column, differences=found)


def _samples(history: TargetHistory, column: str) -> Samples:
    return history.samples(THROUGHPUT if column == "tokens_per_second" else history.target.profile, column)


# not copied: nobody changes it. Six targets have 18 of them, which take 0.02 s each
@st.cache_resource(
    ttl=600, max_entries=512, show_spinner=False, hash_funcs={Samples: lambda samples: samples.buckets.tobytes()}
)
def _resampled(samples: Samples) -> np.ndarray:
    return resampled_medians(samples)


def _difference(one: Samples, other: Samples) -> Difference | None:
    return difference(one, other, _resampled)


def _add_best(columns: list[Column]) -> list[Column]:
    """The columns with the rows in which each is the best."""
    histories = [column.history for column in columns]
    uptimes = [history.uptime() if history is not None else None for history in histories]
    best: dict[str, int | None] = {
        "uptime": best_share(*_pairs([(up.share, up.interval) if up is not None else None for up in uptimes])),
        "success": best_share(*_pairs([success_of(history) for history in histories])),
        "answers": best_share(*_pairs([answers_of(history) for history in histories])),
        "cost": best_fact([column.estimate.usd for column in columns], is_lowest=True),
    }
    for fact in ("context_tokens", "max_output_tokens"):
        best[fact] = best_fact([getattr(column.model, fact, None) for column in columns], is_lowest=False)
    for name in MEDIANS:
        samples = [_samples(history, name) if history is not None else None for history in histories]
        best[name] = best_median(samples, _difference, is_lowest=name != "tokens_per_second")
    return [
        replace(column, best=frozenset(row for row, at in best.items() if at == place))
        for place, column in enumerate(columns)
    ]


Share = tuple[float, tuple[float, float]]


def _pairs(
    shares: Sequence[tuple[float | None, tuple[float, float] | None] | None],
) -> tuple[list[float | None], list[tuple[float, float] | None]]:
    known = [share or (None, None) for share in shares]
    return [share for share, _ in known], [interval for _, interval in known]


def success_of(history: TargetHistory | None) -> Share | None:
    """The success rate with its 95% Wilson interval; null without a request that counts."""
    rate = history.success_rate() if history is not None else None
    return None if rate is None or rate.share is None else (rate.share, wilson(rate.share, rate.ok + rate.failed))


def answers_of(history: TargetHistory | None) -> Share | None:
    """The share of correct answers with its 95% Wilson interval; null without a checked one."""
    answers = history.answers() if history is not None else None
    return None if answers is None or answers.share is None else (answers.share, wilson(answers.share, answers.checked))


def _column(url: str, name: str, places: list[Target], window: TimeRange, size: Workload, now: int) -> Column:
    known = cache.models(url)
    if not places:
        model = next((m for m in known if m.model == name and m.source == "openrouter"), None)
        return Column(name, None, model, None, _estimate(None, model, size, now))
    target = places[0]
    model = cache.model_of(target, known)
    history = target_history(url, target, window, now)
    return Column(
        name=name,
        number=series_colours.numbers(url).get(name),
        location=target.location if len(places) > 1 else "",
        target=target,
        model=model,
        history=history,
        estimate=_estimate(history, priced_row(url, target, model), size, now),
    )


def _estimate(
    history: TargetHistory | None, listed: Model | Endpoint | None, size: Workload, now: int
) -> RequestEstimate:
    if history is None:
        return estimate_request(size, None, None, listed, now)
    ttft = history.percentiles(history.target.profile, "ttft_ms")
    speed = history.percentiles(THROUGHPUT, "tokens_per_second")
    return estimate_request(size, ttft.p50, speed.p50, listed, now)


def bands(columns: list[Column], column: str) -> dict[str, list[Band]]:
    """The bands of a measured column of each that is probed: from throughput probes for a rate."""
    return {
        c.name: c.history.bands(THROUGHPUT if column == "tokens_per_second" else c.history.target.profile, column)
        for c in columns
        if c.history is not None
    }
