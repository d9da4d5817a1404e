"""SLO burn: the error budget of a target with `slo` is used up too fast, over a long and a short range."""

from __future__ import annotations

from collections.abc import Sequence

from alerts.facts import Finding, Slot, TargetFacts
from settings.alerts import AlertRule
from stats.error_budget import FEWEST_FAILURES, LIMITS, BurnLimit, Decided, burn_rate


def find_slo_burn(facts: TargetFacts, _rule: AlertRule) -> Finding | None:
    """Looked at after each slot that counts."""
    slo = facts.target.slo
    newest = facts.slots[-1] if facts.slots else None
    if slo is None or newest is None or newest.is_up is None or not newest.decides:
        return None
    name = facts.target.name
    if newest.is_up and all(slot.is_up is not False for slot in facts.slots):  # nearly always
        return Finding("slo_burn", name, False, newest.at, newest.at, ended_at=newest.at)
    for limit in LIMITS:
        rate = _burn(facts.slots, newest.at, limit, slo)
        if rate is not None:
            hours = limit.long_ms / 3_600_000
            cause = f"its error budget ({slo:g}%) was used {rate:.1f} times too fast over the last {hours:g} h"
            return Finding("slo_burn", name, True, newest.at, newest.at - limit.long_ms, cause=cause)
    return Finding("slo_burn", name, False, newest.at, newest.at, ended_at=newest.at)


def _burn(slots: Sequence[Slot], at: int, limit: BurnLimit, slo: float) -> float | None:
    """The burn rate over the long range, if it is too high over both."""
    long = decided(slots, at - limit.long_ms)
    if long.failures < FEWEST_FAILURES:
        return None
    rates = burn_rate(long, slo), burn_rate(decided(slots, at - limit.short_ms), slo)
    return rates[0] if all(rate is not None and rate >= limit.rate for rate in rates) else None


def decided(slots: Sequence[Slot], after: int) -> Decided:
    """What the slots after a moment came to."""
    up_s = down_s = 0.0
    failures = 0
    for slot in reversed(slots):
        if slot.at <= after:
            break
        is_up = slot.is_up
        if is_up:
            up_s += slot.stands_for_s
        elif is_up is False and slot.decides:
            down_s += slot.stands_for_s
            failures += 1
    return Decided(up_s, down_s, failures)
