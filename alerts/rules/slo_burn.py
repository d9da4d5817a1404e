"""SLO burn: the error budget of a target with `slo` is used up too fast, over a long and a short range."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import partial

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
    return _find(name, newest.at, slo, lambda moment: decided(facts.slots, moment))


def burns_over_time(target: str, slots: Sequence[Slot], slo: float) -> Iterator[Finding]:
    """The findings of `find_slo_burn` after each of many slots, oldest first, where they differ from the one before.
    From cumulative sums: adding up six hours after each of a month's slots takes seconds.
    """
    at = [slot.at for slot in slots]
    up_s, down_s, failures = [0.0], [0.0], [0]
    for slot in slots:
        is_down = slot.is_up is False and slot.decides
        up_s.append(up_s[-1] + (slot.stands_for_s if slot.is_up else 0.0))
        down_s.append(down_s[-1] + (slot.stands_for_s if is_down else 0.0))
        failures.append(failures[-1] + is_down)

    def decided_since(moment: int, end: int) -> Decided:
        began = bisect_right(at, moment, 0, end)
        return Decided(up_s[end] - up_s[began], down_s[end] - down_s[began], failures[end] - failures[began])

    holds, longest_ms = False, max(limit.long_ms for limit in LIMITS)
    for place, slot in enumerate(slots, 1):
        if slot.is_up is None or not slot.decides:
            continue
        if not holds and decided_since(slot.at - longest_ms, place).failures < FEWEST_FAILURES:
            continue
        found = _find(target, slot.at, slo, partial(decided_since, end=place))
        if found.holds is not holds:
            holds = found.holds
            yield found


def _find(target: str, at: int, slo: float, decided_since: Callable[[int], Decided]) -> Finding:
    for limit in LIMITS:
        rate = _burn(at, limit, slo, decided_since)
        if rate is not None:
            hours = limit.long_ms / 3_600_000
            cause = f"its error budget ({slo:g}%) was used {rate:.1f} times too fast over the last {hours:g} h"
            return Finding("slo_burn", target, True, at, at - limit.long_ms, cause=cause)
    return Finding("slo_burn", target, False, at, at, ended_at=at)


def _burn(at: int, limit: BurnLimit, slo: float, decided_since: Callable[[int], Decided]) -> float | None:
    """The burn rate over the long range, if it is too high over both."""
    long = decided_since(at - limit.long_ms)
    if long.failures < FEWEST_FAILURES:
        return None
    rates = burn_rate(long, slo), burn_rate(decided_since(at - limit.short_ms), slo)
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
