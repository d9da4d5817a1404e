"""Relay errors: too many of the relay's attempts at a target failed in the last minutes."""

from __future__ import annotations

from collections.abc import Iterator

from alerts.facts import CollectorFacts, Finding
from settings.alerts import AlertRule

WINDOW_MS = 600_000
FEWEST_FAILED, LEAST_SHARE = 5, 0.2


def find_relay_errors(facts: CollectorFacts, _rule: AlertRule) -> Iterator[Finding]:
    """At least 5 attempts and a fifth of them in 10 minutes; over when no longer so."""
    if facts.relay is None:
        return
    for target in facts.targets:
        traffic, name = facts.relay.get(target.name), target.name
        failed = traffic.failed if traffic is not None else 0
        if traffic is None or failed < FEWEST_FAILED or failed < LEAST_SHARE * traffic.attempts:
            yield Finding("relay_errors", name, False, facts.now, facts.now, ended_at=facts.now)
            continue
        cause = f"{failed:,} of {traffic.attempts:,} attempts of the relay failed in 10 min ({traffic.cause})"
        since = traffic.first_failed_at or facts.now
        yield Finding("relay_errors", name, True, facts.now, since, cause=cause)
