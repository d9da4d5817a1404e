"""The ladders of several targets beside each other: time and cost by the length of the prompt."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from markupsafe import Markup

from pages.components import formatting, theme
from pages.components.table import below, bold, table
from pages.queries import cache
from pages.queries.time_range import TimeRange
from stats.workloads import ANSWER_TOKENS, LadderStep, ladder
from store.schema import Target

_NOTE = (
    f"Median TTFT; below it the time until {ANSWER_TOKENS} output tokens, what they and the prompt cost, and the "
    "requests."
)


def ladders_card(url: str, targets: Sequence[Target], chosen: TimeRange) -> None:
    """One row a size, one column a target; nothing unless a target was measured by a workload."""
    since, until = cache.rounded(chosen.since), cache.rounded(chosen.until) + 5_000
    found = {
        target.name: {(step.workload, step.input_tokens): step for step in steps}
        for target in targets
        if (steps := ladder(cache.workload_requests(url, target.name, target.location, since, until)))
    }
    if not found:
        return
    keys = sorted({key for steps in found.values() for key in steps})
    has_several = len({workload for workload, _ in keys}) > 1
    rows = [
        [
            bold(formatting.count(size)) + below(workload if has_several else None),
            *(_cell(steps.get((workload, size))) for steps in found.values()),
        ]
        for workload, size in keys
    ]
    with theme.card("compare_workloads", "Prompt sizes", "time and cost by the length of the prompt"):
        st.html(table(["Input tokens", *found], rows, note=_NOTE, region="Prompt sizes"))


def _cell(step: LadderStep | None) -> Markup | None:
    if step is None or step.ttft_ms.p50 is None:
        return None
    parts = [None if step.answer_s.p50 is None else formatting.seconds(step.answer_s.p50)]
    parts += [None if step.answer_usd.p50 is None else formatting.cost(step.answer_usd.p50), f"n {step.ttft_ms.count}"]
    more = below(", ".join(part for part in parts if part))
    return Markup("{}{}").format(formatting.latency(step.ttft_ms.p50), more)
