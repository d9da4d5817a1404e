"""Error budgets: how fast a target uses up the failures that its objective allows.

Burn rates and their two ranges are those of the Site Reliability Workbook, chapter 5, alert 6:
https://sre.google/workbook/alerting-on-slos/
"""

from __future__ import annotations

from dataclasses import dataclass

from store.clock import HOUR_MS, MINUTE_MS

PERIOD_DAYS = 30
FEWEST_FAILURES = 3


@dataclass(frozen=True)
class BurnLimit:
    """A burn rate that is too high when it holds over both ranges."""

    rate: float
    long_ms: int
    short_ms: int


LIMITS = (
    BurnLimit(14.4, HOUR_MS, 5 * MINUTE_MS),  # 2% of 30 days' budget in an hour
    BurnLimit(6.0, 6 * HOUR_MS, 30 * MINUTE_MS),  # 5% in six hours
)


@dataclass(frozen=True)
class Decided:
    """The seconds of slots that were up and down in a range, and how many were down."""

    up_s: float
    down_s: float
    failures: int


def burn_rate(decided: Decided, slo: float) -> float | None:
    """How many times faster than allowed the budget of an objective (percent) is used up; null without any slot."""
    total_s = decided.up_s + decided.down_s
    return decided.down_s / total_s / (1 - slo / 100) if total_s else None


def budget_left(decided: Decided, slo: float) -> float | None:
    """The share of a range's error budget that is left, below 0 when it is overspent; null without any slot."""
    rate = burn_rate(decided, slo)
    return None if rate is None else 1 - rate
