"""Which location alerts about stopped collectors: of those that run, the first by name.

Its process takes over the alerts of the others, so that each stop and each recovery is sent once, however often that
location changes. An alert that another process may be sending right now is left to it for a while.
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
"""Longer than two rounds of `look_around`: by then the other process has sent it, or has stopped."""


class StopAlerts:
    """The alerts about stopped collectors of all locations, while this process is the one that sends them."""

    def __init__(self) -> None:
        self._first_seen: dict[Key, int] = {}

    def take_over(self, occurrences: Occurrences, stored: Iterable[Alert], facts: CollectorFacts) -> None:
        """Before the rules run: take over the stored alerts, or leave them to the process that sends them."""
        if facts.tells_of_stops:
            for alert in stored:
                self._adopt(occurrences, alert, facts)
            for alert in list(occurrences.open_alerts()):
                if alert.kind == KIND and alert.location == facts.location and facts.stopped is None:
                    # another location alerted about this one, and has stopped itself
                    occurrences.put(replace(alert, closed_at=facts.now, ended_at=facts.now))
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
    """An alert with what either of two processes has done."""
    names = ("sent_at", "closed_at", "ended_at", "recovery_sent_at")
    done = {name: getattr(known, name) if getattr(known, name) is not None else getattr(stored, name) for name in names}
    return replace(known, **done)
