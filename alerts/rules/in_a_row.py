"""What opens after bad slots in a row and closes after good ones: down, wrong answers, degraded by a limit."""

from __future__ import annotations

from collections.abc import Callable

from alerts.facts import Finding, Slot, TargetFacts
from alerts.streaks import newest_streak
from settings.alerts import AlertRule


def find_streak(kind: str, facts: TargetFacts, rule: AlertRule, judge: Callable[[Slot], bool | None]) -> Finding | None:
    """What the newest slots in a row say; null when they are too few to say anything."""
    name, reach_ms = facts.target.name, facts.target.reach_ms(max(rule.after, rule.clear_after))
    streak = newest_streak(facts.slots, judge, reach_ms)
    if streak is None or streak.count < (rule.clear_after if streak.is_good else rule.after):
        return None
    newest = streak.newest
    if streak.is_good:
        return Finding(kind, name, False, newest.at, streak.began_at, ended_at=streak.began_at)
    return Finding(kind, name, True, newest.at, streak.began_at, cause=newest.outcome, detail=newest.error)
