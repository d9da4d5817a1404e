"""Certificate: a host's TLS certificate expires within 14 days; over when a newer one is served."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from alerts.facts import CollectorFacts, Finding
from settings.alerts import AlertRule
from store.clock import DAY_MS

DAYS_BEFORE = 14


def find_certificate(facts: CollectorFacts, _rule: AlertRule) -> Iterator[Finding]:
    """For every target of the host: a message groups them."""
    for target in facts.targets:
        expires_at = facts.certificates.get(target.host)
        if expires_at is None:
            continue
        begins = expires_at - DAYS_BEFORE * DAY_MS
        if facts.now >= begins:
            verb = "expires" if facts.now < expires_at else "expired"
            cause = f"its certificate {verb} on {datetime.fromtimestamp(expires_at / 1_000, UTC):%Y-%m-%d %H:%M} UTC"
            yield Finding("certificate", target.name, True, begins, begins, cause=cause)
        else:
            yield Finding("certificate", target.name, False, facts.now, facts.now, ended_at=facts.now)
