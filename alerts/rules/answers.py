"""Wrong answers: `after` wrong ones in a row; over after `clear_after` right ones."""

from __future__ import annotations

from dataclasses import replace

from alerts.facts import Finding, TargetFacts
from alerts.rules.in_a_row import find_streak
from settings.alerts import AlertRule


def find_wrong_answers(facts: TargetFacts, rule: AlertRule) -> Finding | None:
    """Slots whose answer was not checked neither continue nor break a streak."""
    found = find_streak("wrong_answers", facts, rule, lambda slot: slot.answer_ok)
    return replace(found, cause="wrong answers", detail=None) if found is not None and found.holds else found
