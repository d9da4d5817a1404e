"""The Prompt sizes card of the model page: a ladder of times and costs, and what the prompt cache saves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st
from markupsafe import Markup

from charts.prompt_sizes import ttft_by_size
from pages.components import formatting, theme
from pages.components.table import NOTHING, Column, below, bold, quiet, table
from pages.queries import cache
from pages.shell import sign_in, time_range
from stats.workloads import ANSWER_TOKENS, CacheEffect, LadderStep, Measure, cache_effects, ladder
from store.schema import Target

HOW = (
    "Not measured. A [[workload]] section in targets.toml sends prompts of 100 to 100,000 tokens at an interval, at "
    "the price of their tokens."
)
NONE_IN_RANGE = "No workload requests in this range."
NOTE = (
    f"Medians; below them the slow end (p95 of times, p5 of speeds) and the requests. {ANSWER_TOKENS}-token answer: "
    f"TTFT and {ANSWER_TOKENS} output tokens at each request's own speed; its cost includes the prompt, uncached."
)


@sign_in.fragment(run_every="60s")
def workloads_card(url: str, target: Target, number: int) -> None:
    """One card; a line of how to switch it on for a target without any."""
    chosen = time_range.steady(cache.first_at(url).get(target.name, 0))
    requests = cache.workload_requests(url, target.name, target.location, chosen.since, chosen.until)
    steps, effects = ladder(requests), cache_effects(requests)
    with theme.card("workloads", "Prompt sizes", "time and cost by the length of the prompt", charts=["sizes_chart"]):
        if not requests:
            has_some = cache.has_workload_requests(url, target.name, target.location)
            st.html(NOTHING.format(NONE_IN_RANGE if has_some else HOW))
            return
        ladders = {name: [s for s in steps if s.workload == name] for name in sorted({s.workload for s in steps})}
        has_chart = any(sum(step.ttft_ms.count > 0 for step in one) > 1 for one in ladders.values())
        left, right = st.columns([2, 3]) if has_chart else (st.container(), st.container())
        if has_chart:
            numbers = {name: number + place for place, name in enumerate(ladders)}
            alt = f"Median TTFT of {target.name} by input tokens, {chosen.words}, in ms, both axes logarithmic"
            with left:
                theme.chart(ttft_by_size(ladders, theme.palette(), numbers), key="sizes_chart", alt=alt)
        if steps:
            right.html(ladder_table(steps))
        if effects:
            st.html(Markup('<div class="u">{}</div>').format(Markup().join(map(describe_cache, effects))))


def ladder_table(steps: Sequence[LadderStep]) -> Markup:
    """One row a size, by workload."""
    has_several = len({step.workload for step in steps}) > 1
    has_problems = any(step.problem for step in steps)
    columns: list[str | Column] = ["Workload"] if has_several else []
    columns += ["Input tokens", "TTFT", "Output speed", f"{ANSWER_TOKENS}-token answer", "Its cost", "Failed"]
    columns += [Column("", "left wrap")] if has_problems else []

    def cells(step: LadderStep) -> list[str | None]:
        return [
            *([bold(step.workload)] if has_several else []),
            bold(formatting.count(step.input_tokens)) + below(_counted(step)),
            with_slow_end(step.ttft_ms, formatting.latency),
            with_slow_end(step.tokens_per_second, formatting.speed, "p5"),
            with_slow_end(step.answer_s, lambda value: formatting.DASH if value is None else formatting.seconds(value)),
            None if step.answer_usd.p50 is None else formatting.cost(step.answer_usd.p50),
            formatting.count(step.failed),
            *([quiet(step.problem)] if has_problems else []),
        ]

    return table(columns, map(cells, steps), region="Prompt sizes", most_px=520, note=NOTE)


def with_slow_end(measure: Measure, write: Callable[[float | None], str], slow: str = "p95") -> Markup | None:
    """A median, below it the slow end and the number of requests."""
    if measure.p50 is None:
        return None
    return Markup("{}{}").format(write(measure.p50), below(f"{slow} {write(measure.slow)}, n {measure.count:,d}"))


def _counted(step: LadderStep) -> str | None:
    return None if step.prompt_tokens is None else f"counted {step.prompt_tokens:,.0f}"


def describe_cache(effect: CacheEffect) -> Markup:
    """What a long prompt gains when it is sent again, in a sentence."""
    name = f"Prompt cache ({effect.workload}):"
    if not effect.pairs:
        return Markup("<div><b>{}</b> not measured in this range{}</div>").format(
            name, f": {effect.problem}" if effect.problem else "."
        )
    times = "no first token was streamed"
    if effect.first_ms.p50 is not None and effect.again_ms.p50 is not None:
        first, again = formatting.latency(effect.first_ms.p50), formatting.latency(effect.again_ms.p50)
        times = f"first token after {again} instead of {first}"
    return Markup("<div><b>{}</b> a prompt of {} tokens sent again: {}; {}{} {}</div>").format(
        name,
        formatting.count(effect.input_tokens),
        times,
        _hits(effect),
        "" if effect.saved_share is None else f"; {_saving(effect.saved_share)}",
        quiet(f"(medians of {formatting.plural(effect.pairs, 'pair')})"),
    )


def _hits(effect: CacheEffect) -> str:
    if not effect.stating:
        return "responses state no cached tokens"
    if not effect.hits or effect.cached_tokens is None:
        return f"no cached tokens in {formatting.plural(effect.stating, 'response')}"
    hits = formatting.share_of(effect.hits, effect.stating)
    return f"{effect.cached_tokens:,.0f} cached tokens in {hits} responses"


def _saving(share: float) -> str:
    if abs(share) < 0.005:
        return "at the same cost"
    return f"{abs(share):.0%} {'cheaper' if share > 0 else 'more expensive'}"
