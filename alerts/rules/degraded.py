"""Degraded: up, but slower than its limit for `after` slots in a row, or much slower than usual."""

from __future__ import annotations

from collections.abc import Iterator

from alerts.facts import Finding, Slot, TargetFacts
from alerts.rules.in_a_row import find_streak
from settings.alerts import AlertRule
from settings.durations import in_words
from stats.degraded import WINDOW_MS, recent_p95, times_usual


def find_degraded(facts: TargetFacts, rule: AlertRule) -> Finding | None:
    """Looked at after each successful slot: while a target is down, nothing is known of its speed."""
    newest = facts.slots[-1] if facts.slots else None
    if newest is None or newest.is_up is not True or not newest.decides:
        return None
    by_limit = _by_limit(facts, rule)
    by_usual = _by_usual(facts, newest)
    holding = next((found for found in (by_limit, by_usual) if found is not None and found.holds), None)
    if holding is not None or facts.target.ttft_max_ms is None:
        return holding or by_usual
    return by_limit


def _by_limit(facts: TargetFacts, rule: AlertRule) -> Finding | None:
    limit_ms = facts.target.ttft_max_ms
    if limit_ms is None:
        return None

    def is_fast(slot: Slot) -> bool | None:
        return None if slot.ttft_ms is None else slot.ttft_ms <= limit_ms

    found = find_streak("degraded", facts, rule, is_fast)
    if found is None or not found.holds:
        return found
    ttft_ms = next(slot.ttft_ms for slot in reversed(facts.slots) if slot.ttft_ms is not None)
    cause = f"first token after {_in_words(ttft_ms)}, above its limit of {_in_words(limit_ms)}"
    return Finding("degraded", found.target, True, found.at, found.since, cause=cause)


def _by_usual(facts: TargetFacts, newest: Slot) -> Finding | None:
    recent = list(_believed(facts, newest.at))
    times = times_usual([ttft_ms for _, ttft_ms in recent], facts.usual_ttft_ms)
    if times is None:
        return None
    name = facts.target.name
    if not times.is_degraded:
        return Finding("degraded", name, False, newest.at, newest.at, ended_at=newest.at)
    p95_ms = recent_p95([ttft_ms for _, ttft_ms in recent]) or 0.0
    cause = f"p95 of the last 15 min is {_in_words(p95_ms)}, {times.times:.1f} times the usual median at this hour"
    return Finding("degraded", name, True, newest.at, recent[0][0], cause=cause)


def _believed(facts: TargetFacts, until: int) -> Iterator[tuple[int, float]]:
    for slot in facts.slots:
        if until - WINDOW_MS < slot.at <= until and slot.is_up and slot.ttft_ms is not None:
            yield slot.at, slot.ttft_ms


def _in_words(ms: float) -> str:
    return in_words(ms / 1_000) if ms >= 1_000 else f"{ms:.0f} ms"
