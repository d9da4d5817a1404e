"""Every kind of alert and its rule. A new one is one file in `rules/`, one entry here, and its name in the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from alerts.facts import CollectorFacts, Finding, TargetFacts
from alerts.rules.answers import find_wrong_answers
from alerts.rules.capabilities import find_capability_lost
from alerts.rules.catalog import find_change, find_retiring
from alerts.rules.certificate import find_certificate
from alerts.rules.collector import find_budget, find_collector_stopped
from alerts.rules.degraded import find_degraded
from alerts.rules.down import find_down
from alerts.rules.identity import find_identity_changed
from alerts.rules.internal_errors import find_internal_error
from alerts.rules.relay_errors import find_relay_errors
from alerts.rules.slo_burn import find_slo_burn
from settings.alerts import AlertRule


@dataclass(frozen=True)
class TargetRule:
    """A rule that looks at one target after each of its probes."""

    find: Callable[[TargetFacts, AlertRule], Finding | None]


@dataclass(frozen=True)
class CollectorRule:
    """A rule that looks at everything else now and then. What does not recover is an event: it is sent, and over."""

    find: Callable[[CollectorFacts, AlertRule], Iterable[Finding]]
    recovers: bool = True


TARGET_RULES: dict[str, TargetRule] = {
    "down": TargetRule(find_down),
    "degraded": TargetRule(find_degraded),
    "wrong_answers": TargetRule(find_wrong_answers),
    "slo_burn": TargetRule(find_slo_burn),
    "internal_error": TargetRule(find_internal_error),
}
COLLECTOR_RULES: dict[str, CollectorRule] = {
    "collector_stopped": CollectorRule(find_collector_stopped),
    "budget": CollectorRule(find_budget),
    "certificate": CollectorRule(find_certificate),
    "relay_errors": CollectorRule(find_relay_errors),
    "price_changed": CollectorRule(find_change("price_changed"), recovers=False),
    "context_changed": CollectorRule(find_change("context_changed"), recovers=False),
    "gone": CollectorRule(find_change("gone"), recovers=False),
    "retiring": CollectorRule(find_retiring, recovers=False),
    "identity_changed": CollectorRule(find_identity_changed, recovers=False),
    "capability_lost": CollectorRule(find_capability_lost, recovers=False),
}
EVENTS = frozenset(kind for kind, rule in COLLECTOR_RULES.items() if not rule.recovers)
"""Kinds that never recover."""
