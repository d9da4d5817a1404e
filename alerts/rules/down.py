"""Down: `after` failed slots in a row; over after `clear_after` successful ones."""

from __future__ import annotations

from alerts.facts import Finding, TargetFacts
from alerts.rules.in_a_row import find_streak
from settings.alerts import AlertRule


def find_down(facts: TargetFacts, rule: AlertRule) -> Finding | None:
    """A failure and its failed confirmation are one slot, which began with the first of them."""
    return find_streak("down", facts, rule, lambda slot: slot.is_up)
