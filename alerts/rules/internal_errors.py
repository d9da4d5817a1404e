"""Internal error: Uptoken itself failed while probing a target; over with its next probe that did not."""

from __future__ import annotations

from alerts.facts import Finding, TargetFacts
from settings.alerts import AlertRule
from store.outcomes import INTERNAL_ERROR


def find_internal_error(facts: TargetFacts, _rule: AlertRule) -> Finding | None:
    """The newest probe decides."""
    if not facts.slots:
        return None
    newest, name = facts.slots[-1], facts.target.name
    if newest.outcome == INTERNAL_ERROR:
        return Finding(INTERNAL_ERROR, name, True, newest.at, newest.at, cause="a bug in Uptoken", detail=newest.error)
    return Finding(INTERNAL_ERROR, name, False, newest.at, newest.at, ended_at=newest.at)
