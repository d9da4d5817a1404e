"""Capabilities: a target no longer does something that its catalog claims, or that it did. Once for each check."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from alerts.facts import CollectorFacts, Finding
from settings.alerts import AlertRule


def find_capability_lost(facts: CollectorFacts, _rule: AlertRule) -> Iterator[Finding]:
    """Of what was noticed lately; what one check showed is told at once."""
    lost = [change for change in facts.capability_changes if not change.holds and change.location == facts.location]
    lost.sort(key=lambda change: (change.target, change.noticed_at))
    for (target, noticed_at), group in groupby(lost, lambda change: (change.target, change.noticed_at)):
        changes = list(group)
        cause = "; ".join(change.text for change in changes)
        yield Finding("capability_lost", target, True, noticed_at, min(change.at for change in changes), cause=cause)
