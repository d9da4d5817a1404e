"""Identity: a target serves another model, or serves it in another way. Once for each change."""

from __future__ import annotations

from collections.abc import Iterator

from alerts.facts import CollectorFacts, Finding
from settings.alerts import AlertRule


def find_identity_changed(facts: CollectorFacts, _rule: AlertRule) -> Iterator[Finding]:
    """One finding for each change that was noticed recently at this location."""
    for change in facts.identity_changes:
        if change.location == facts.location:
            yield Finding("identity_changed", change.target, True, change.noticed_at, change.at, cause=change.text)
