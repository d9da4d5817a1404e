"""What is left of the error budgets of targets with an objective, over the last 30 days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from pages.queries import cache
from pages.queries.target_history import target_histories
from pages.queries.time_range import TimeRange
from stats.error_budget import PERIOD_DAYS, Decided, budget_left
from store.clock import DAY_MS
from store.schema import Target

STEP_MS = 60_000
"""How long the budgets are the same for all viewers."""


@dataclass(frozen=True)
class ErrorBudget:
    """The budget of one target at one location; `left` is a share of it, below 0 when it is overspent."""

    slo: float
    left: float
    down_s: float
    allowed_s: float
    """Of the slots that were decided."""


def error_budgets(url: str, targets: Sequence[Target], now: int) -> dict[tuple[str, str], ErrorBudget]:
    """By name and location: of those with an objective of which any slot was decided. `now` in milliseconds UTC."""
    promised = tuple(target for target in targets if target.slo is not None)
    return _error_budgets(url, promised, cache.rounded(now, STEP_MS) + STEP_MS) if promised else {}


# not copied for each viewer: nobody changes it
@st.cache_resource(ttl=STEP_MS // 1_000, max_entries=16, show_spinner=False, hash_funcs={Target: hash})
def _error_budgets(url: str, targets: tuple[Target, ...], now: int) -> dict[tuple[str, str], ErrorBudget]:
    """`now` is the end of the step: nothing lies behind the present, and the newest probe is in it."""
    window = TimeRange(now - PERIOD_DAYS * DAY_MS, now, True, "")
    budgets = {}
    for history in target_histories(url, list(targets), window, now, coarse=True):
        target, uptime = history.target, history.uptime()
        slo = target.slo or 0.0
        left = budget_left(Decided(uptime.up_s, uptime.down_s, history.success_rate().failed), slo)
        if left is not None:
            allowed_s = (uptime.up_s + uptime.down_s) * (1 - slo / 100)
            budgets[target.name, target.location] = ErrorBudget(slo, round(left, 9), uptime.down_s, round(allowed_s, 3))
    return budgets
