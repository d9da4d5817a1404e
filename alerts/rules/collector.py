"""The collector itself: it had stopped, one elsewhere has, or its budget is nearly used up."""

from __future__ import annotations

from collections.abc import Iterator

from alerts.facts import EVERYTHING, CollectorFacts, CollectorSeen, Finding
from settings.alerts import AlertRule

SHORTEST_STOP_MS = 300_000
STEPS = 3
NEARLY = 0.9
"""The share of a day's budget from which it is nearly used up: what a probe may cost at most is set aside before it."""


def stopped_after_ms(seen: CollectorSeen) -> int:
    """How long after its last run a collector has stopped: three of its usual steps, at least five minutes."""
    return max(SHORTEST_STOP_MS, round(STEPS * seen.step_s * 1_000))


def find_collector_stopped(facts: CollectorFacts, _rule: AlertRule) -> Iterator[Finding]:
    """A collector tells of its own stop when it runs again, and those that share its store tell while it lasts."""
    kind, now = "collector_stopped", facts.now
    if (gap := facts.stopped) is not None and now - gap.last_at > stopped_after_ms(gap):
        at = gap.last_at + stopped_after_ms(gap)
        yield Finding(kind, EVERYTHING, True, at, gap.last_at, cause="nothing was probed", location=gap.location)
        yield Finding(kind, EVERYTHING, False, now, now, ended_at=now, location=gap.location)
    for seen in facts.elsewhere:
        at = seen.last_at + stopped_after_ms(seen)
        if now > at:
            yield Finding(
                kind, EVERYTHING, True, at, seen.last_at, cause="it records nothing any more", location=seen.location
            )
        else:
            yield Finding(kind, EVERYTHING, False, now, now, ended_at=seen.last_at, location=seen.location)


def find_budget(facts: CollectorFacts, _rule: AlertRule) -> Iterator[Finding]:
    """Over when a new day begins, or when the budget was raised."""
    day = facts.budget
    if day is None:
        return
    causes = []
    if day.usd_per_day and day.usd >= NEARLY * day.usd_per_day:
        causes.append(f"${day.usd:.4f} of today's ${day.usd_per_day:g} (usd_per_day) are used or set aside")
    if day.free_requests_per_day and day.free_requests >= day.free_requests_per_day:
        causes.append(f"today's {day.free_requests_per_day} requests of free models (free_requests_per_day) are used")
    if causes:
        yield Finding("budget", EVERYTHING, True, facts.now, facts.now, cause="; ".join(causes))
    else:
        yield Finding("budget", EVERYTHING, False, facts.now, facts.now, ended_at=facts.now)
