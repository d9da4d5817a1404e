"""Who tells of collectors that stopped: of those that run, the location that comes first by name.

Its process takes over what others told or were about to tell, so that each stop is told once, and its recovery once,
however often that location changes. What another process may just be sending is left to it for a while.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from alerts.facts import CollectorFacts
from alerts.occurrences import Key, Occurrences, has_opening, has_recovery, key_of
from store.alert_tables import Alert
from store.clock import MINUTE_MS

KIND = "collector_stopped"
PATIENCE_MS = 3 * MINUTE_MS
"""Longer than two looks around: by then the other process has sent it, or left it."""


class StopAlerts:
    """The alerts about stopped collectors, of all locations, as far as this process is the one that tells."""

    def __init__(self) -> None:
        self._first_seen: dict[Key, int] = {}

    def take_over(self, occurrences: Occurrences, stored: Iterable[Alert], facts: CollectorFacts) -> None:
        """Before rules look: know of what the store has, or leave it to the process that tells."""
        if facts.tells_of_stops:
            for alert in stored:
                self._adopt(occurrences, alert, facts)
            for alert in list(occurrences.open_alerts()):
                if alert.kind == KIND and alert.location == facts.location and facts.stopped is None:
                    occurrences.put(
                        replace(alert, closed_at=facts.now, ended_at=facts.now)
                    )  # the one that told stopped
            return
        for alert in [alert for alert in occurrences.open_alerts() if alert.kind == KIND]:
            if not _is_pending(alert):
                occurrences.drop(key_of(alert))

    def _adopt(self, occurrences: Occurrences, alert: Alert, facts: CollectorFacts) -> None:
        key = key_of(alert)
        if (known := occurrences.get(key)) is not None:
            merged = _merge(known, alert)
            if merged != known:
                occurrences.adopt(merged)
            return
        first_seen = self._first_seen.setdefault(key, facts.now)
        if not _is_pending(alert) or not facts.others_run or facts.now - first_seen >= PATIENCE_MS:
            occurrences.adopt(alert)


def _is_pending(alert: Alert) -> bool:
    return has_opening(alert) or has_recovery(alert)


def _merge(known: Alert, stored: Alert) -> Alert:
    """What either of two processes did with an alert is done."""
    names = ("sent_at", "closed_at", "ended_at", "recovery_sent_at")
    done = {name: getattr(known, name) if getattr(known, name) is not None else getattr(stored, name) for name in names}
    return replace(known, **done)
