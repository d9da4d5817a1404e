"""The alerts of one location that still matter: what is open, what waits to be sent, and what was lately."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from alerts.registry import EVENTS
from store.alert_tables import Alert
from store.clock import DAY_MS, HOUR_MS, MINUTE_MS
from store.schema import Row

KEPT_MS = 40 * DAY_MS
"""Longer than the longest notice of a retirement: what was told of it is not told again."""
RECENT_MS = HOUR_MS + 10 * MINUTE_MS
FLAPPING, OFFLINE = "flapping", "offline"
ONCE_OVER = EVENTS | {OFFLINE}
"""Kinds that are sent and over: nothing recovers from them."""
SILENCED, RECOVERY_ONLY = "silenced", "recovery_only"
NOT_PROBED = "not_probed"

Key = tuple[str, str, str, str, int]


def key_of(alert: Alert) -> Key:
    """The primary key of its row."""
    return alert.target, alert.kind, alert.location, alert.channel, alert.opened_at


def recovers(alert: Alert) -> bool:
    """Whether it can be open and end."""
    return alert.kind not in ONCE_OVER


def has_opening(alert: Alert) -> bool:
    """Whether its channel is still to be told that it began."""
    return alert.sent_at is None and alert.held is None


def has_recovery(alert: Alert) -> bool:
    """Whether its channel is still to be told that it ended: every channel that was told, or is about to be told."""
    if alert.closed_at is None or alert.recovery_sent_at is not None or not recovers(alert):
        return False
    return alert.sent_at is not None or alert.held in (None, RECOVERY_ONLY)


class Occurrences:
    """Rows of `alerts` in memory. What is changed here is handed out once by `take_changed`, to be recorded."""

    def __init__(self, alerts: Iterable[Alert], now: int) -> None:
        self._all: dict[Key, Alert] = {}
        self._open: dict[str, dict[tuple[str, str, str], Alert]] = {}
        self._of_series: dict[tuple[str, str], dict[Key, Alert]] = {}
        self._recent: dict[tuple[str, str], dict[Key, Alert]] = {}
        self._pending: dict[str, dict[Key, Alert]] = {}
        self._changed: dict[Key, Alert] = {}
        for alert in alerts:
            if alert.closed_at is None or _is_pending(alert) or alert.opened_at > now - KEPT_MS:
                self._keep(alert)

    def has(self, key: Key) -> bool:
        """Whether there is such an occurrence, in whatever state."""
        return key in self._all

    def get(self, key: Key) -> Alert | None:
        """The occurrence as it is by now."""
        return self._all.get(key)

    def of_series(self, target: str, channel: str) -> Iterable[Alert]:
        """All about one target for one channel."""
        return self._of_series.get((target, channel), {}).values()

    def recent(self, target: str, channel: str, now: int) -> list[Alert]:
        """Those that opened or closed in the last hour and a little before: going through all of 40 days at each probe
        of a flapping target takes a millisecond.
        """
        known = self._recent.get((target, channel), {})
        for key in [
            key for key, alert in known.items() if max(alert.opened_at, alert.closed_at or 0) < now - RECENT_MS
        ]:
            del known[key]
        return list(known.values())

    def open_alert(self, kind: str, target: str, channel: str, location: str) -> Alert | None:
        """The one that is open."""
        return self._open.get(target, {}).get((kind, channel, location))

    def open_of(self, target: str) -> list[Alert]:
        """What is open about a target."""
        return list(self._open.get(target, {}).values())

    def open_alerts(self) -> Iterator[Alert]:
        """Everything that is open."""
        for found in list(self._open.values()):
            yield from list(found.values())

    def pending(self, channel: str) -> list[Alert]:
        """What a channel is still to be told of, oldest first."""
        return sorted(self._pending.get(channel, {}).values(), key=lambda alert: alert.opened_at)

    def put(self, alert: Alert) -> None:
        """Add one, or replace it."""
        self._keep(alert)
        self._changed[key_of(alert)] = alert

    def adopt(self, alert: Alert) -> None:
        """Add one as the store has it; it is not written again."""
        self._keep(alert)

    def drop(self, key: Key) -> None:
        """Forget one that is old, or that another process handles."""
        alert = self._all.pop(key)
        self._of_series[key[0], key[3]].pop(key, None)
        self._recent[key[0], key[3]].pop(key, None)
        self._pending.get(key[3], {}).pop(key, None)
        series = (alert.kind, alert.channel, alert.location)
        if (known := self._open[alert.target].get(series)) is not None and key_of(known) == key:
            del self._open[alert.target][series]

    def update(self, key: Key, **values: object) -> None:
        """Change one, if it is still known."""
        if (alert := self._all.get(key)) is not None:
            self.put(replace(alert, **values))  # type: ignore[arg-type]

    def take_changed(self) -> list[Row]:
        """What was changed since the last time."""
        changed = list(self._changed.values())
        self._changed.clear()
        return list(changed)

    def forget_old(self, now: int) -> None:
        """Drop from memory what is over for long."""
        old = [
            key
            for key, alert in self._all.items()
            if alert.closed_at is not None and not _is_pending(alert) and alert.opened_at < now - KEPT_MS
        ]
        for key in old:
            self.drop(key)

    def _keep(self, alert: Alert) -> None:
        key = key_of(alert)
        self._all[key] = alert
        self._of_series.setdefault((alert.target, alert.channel), {})[key] = alert
        self._recent.setdefault((alert.target, alert.channel), {})[key] = alert
        opened = self._open.setdefault(alert.target, {})
        series = (alert.kind, alert.channel, alert.location)
        if alert.closed_at is None:
            opened[series] = alert
        elif (known := opened.get(series)) is not None and known.opened_at == alert.opened_at:
            del opened[series]
        pending = self._pending.setdefault(alert.channel, {})
        if _is_pending(alert):
            pending[key] = alert
        else:
            pending.pop(key, None)


def _is_pending(alert: Alert) -> bool:
    return has_opening(alert) or has_recovery(alert)
