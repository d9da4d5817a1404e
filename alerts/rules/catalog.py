"""What catalogs say of a target's model: another price or context size, that it is gone, and when it will be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from alerts.facts import CollectorFacts, Finding
from settings.alerts import AlertRule
from store.clock import DAY_MS

DAYS_BEFORE = (1, 7, 30)


def find_change(kind: str) -> Callable[[CollectorFacts, AlertRule], Iterator[Finding]]:
    """The rule of one kind of change."""

    def find(facts: CollectorFacts, _rule: AlertRule) -> Iterator[Finding]:
        for change in facts.changes:
            if change.kind == kind:
                yield Finding(kind, change.target, True, change.at, change.at, cause=change.detail)

    return find


def find_retiring(facts: CollectorFacts, _rule: AlertRule) -> Iterator[Finding]:
    """30, 7 and 1 days before a model's last day; once for one that is deprecated without a day. Of days that passed
    before the alert was asked for, only the last one counts.
    """
    for retirement in facts.retirements:
        name, last_day = retirement.target, retirement.expires_at
        if last_day is None:
            cause = "its provider says that it is deprecated"
            yield Finding("retiring", name, True, facts.now, facts.now, cause=cause, once=True)
            continue
        days = next((days for days in DAYS_BEFORE if facts.now >= last_day - days * DAY_MS), None)
        if days is not None and facts.now < last_day + DAY_MS:
            at = last_day - days * DAY_MS
            cause = f"its last day is {datetime.fromtimestamp(last_day / 1_000, UTC):%Y-%m-%d}"
            yield Finding("retiring", name, True, at, at, cause=cause)
