"""What a channel is sent: one text and its events, grouped by host."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlencode

from alerts.facts import EVERYTHING
from alerts.occurrences import FLAPPING, NOT_PROBED, OFFLINE, Key, has_opening, has_recovery, key_of
from settings.durations import in_words
from store.alert_tables import Alert

VERSION = 1
MOST_NAMED = 5
MOST_EVENTS = 1_000
"""Events of one message; the rest is in the next one, so that no body grows without end."""
Part = Literal["opening", "reminder", "recovery"]
_VERBS = {
    "down": ("is down", "recovered"),
    "degraded": ("is degraded", "is no longer degraded"),
    "wrong_answers": ("answers wrongly", "answers rightly again"),
    "slo_burn": ("burns its error budget", "no longer burns its error budget"),
    "internal_error": ("could not be probed", "can be probed again"),
    "certificate": ("has an expiring certificate", "has a new certificate"),
    "relay_errors": ("fails in the relay", "no longer fails in the relay"),
    "price_changed": ("has another price", ""),
    "context_changed": ("has another context size", ""),
    "retiring": ("is retiring", ""),
    "gone": ("is gone from its catalog", ""),
    "identity_changed": ("serves another model, or serves it in another way", ""),
    "capability_lost": ("no longer does what it did", ""),
    FLAPPING: ("is flapping", "is no longer flapping"),
}
_OF_COLLECTOR = {
    "collector_stopped": ("The collector has stopped", "The collector is running again"),
    "budget": ("The day's budget is nearly used up", "The day's budget has room again"),
}


@dataclass(frozen=True)
class Item:
    """One thing to tell about one alert."""

    part: Part
    alert: Alert

    @property
    def group(self) -> tuple[str, str, str]:
        """What is told together: the same about the same host."""
        return self.part, self.alert.kind, self.alert.host or ""


@dataclass(frozen=True)
class Message:
    """What is sent at once. `items`: what the channel has been told when it took the message."""

    text: str
    events: tuple[Mapping[str, Any], ...]
    items: tuple[tuple[Part, Key], ...] = ()

    @property
    def title(self) -> str:
        """The first line, for a subject."""
        first, *more = self.text.splitlines() or [""]
        return first + (f" (and {len(more)} more)" if more else "")

    @property
    def body(self) -> dict[str, Any]:
        """The JSON document."""
        return {"version": VERSION, "text": self.text, "events": list(self.events)}


def items_of(pending: Sequence[Alert], due: Sequence[Alert] = (), most: int | None = MOST_EVENTS) -> list[Item]:
    """What is to be told: of what is pending, openings before recoveries; and reminders of what is still open."""
    items = [Item("opening", alert) for alert in pending if has_opening(alert)]
    items += [Item("recovery", alert) for alert in pending if has_recovery(alert)]
    return (items + [Item("reminder", alert) for alert in due])[:most]


@dataclass(frozen=True)
class Surroundings:
    """What a text says beside the alerts: how many targets each host has, how many alerts are open by kind and host,
    and where the dashboard is.
    """

    now: int
    hosts: Mapping[str, int]
    open: Mapping[tuple[str, str], int]
    dashboard_url: str | None = None


def compose(items: Sequence[Item], around: Surroundings) -> Message:
    """The message of these items."""
    groups: dict[tuple[str, str, str], list[Alert]] = defaultdict(list)
    for item in items:
        groups[item.group].append(item.alert)
    ended = {key_of(item.alert) for item in items if item.part == "recovery"}
    lines = []
    for (part, kind, host), alerts in groups.items():
        if part == "opening":  # what is over by now is told once, with its recovery
            alerts = [alert for alert in alerts if key_of(alert) not in ended]
        if alerts:
            lines.append(_line(part, kind, host, alerts, around))
    events = tuple(_event(item, around) for item in items)
    return Message("\n".join(lines), events, tuple((item.part, key_of(item.alert)) for item in items))


def _line(part: str, kind: str, host: str, alerts: Sequence[Alert], around: Surroundings) -> str:
    if len(alerts) == 1 and (part != "opening" or around.open.get((kind, host), 1) <= 1):
        return _sentence(part, alerts[0], around.now)
    if alerts[0].target == EVERYTHING:
        return "\n".join(_sentence(part, alert, around.now) for alert in alerts)
    names = ", ".join(sorted(alert.target for alert in alerts)[:MOST_NAMED])
    names += f" and {len(alerts) - MOST_NAMED} more" if len(alerts) > MOST_NAMED else ""
    word = _state_word(kind, part)
    count = around.open.get((kind, host), len(alerts)) if part == "opening" else len(alerts)
    count = max(count, len(alerts))
    total = max(around.hosts.get(host, 0), count)
    of = f"{count} of {total} targets" if host else f"{count} targets"
    causes = Counter(alert.cause for alert in alerts if alert.cause)
    cause = f" ({causes.most_common(1)[0][0]})" if causes else ""
    if part == "recovery":
        longest_ms = max((alert.ended_at or around.now) - alert.since for alert in alerts)
        cause = f" after up to {in_words(round(max(0, longest_ms) / 1_000))}{cause}"
    new = "new: " if count > len(alerts) else ""
    return f"{host or 'targets'}: {of} {word}{cause}: {new}{names}"


def _state_word(kind: str, part: str) -> str:
    begun, over = _VERBS.get(kind, (kind, f"no longer {kind}"))
    text = over if part == "recovery" else f"still {begun}" if part == "reminder" else begun
    for verb in ("is ", "are "):
        text = text.replace(f"still {verb}", "still ").removeprefix(verb)
    return text


def _sentence(part: str, alert: Alert, now: int) -> str:
    """One alert in a sentence: `acme/gpt is down since 10:02 UTC: timeout`."""
    name = alert.target
    why = f": {alert.cause}" if alert.cause else ""
    why += f" ({alert.detail})" if alert.detail and alert.detail != alert.cause else ""
    if alert.kind == OFFLINE:
        length = in_words(((alert.ended_at or now) - alert.since) / 1_000)
        return f"The network of the collector at {alert.location} was down for {length}; nothing was probed meanwhile"
    if alert.target == EVERYTHING:
        begun, over = _OF_COLLECTOR.get(alert.kind, (alert.kind, f"{alert.kind} is over"))
        subject = f"{over if part == 'recovery' else begun} ({alert.location})"
    else:
        begun, over = _VERBS.get(alert.kind, (f"has {alert.kind}", f"has no {alert.kind} any more"))
        subject = f"{name} {over if part == 'recovery' else begun}"
    if part == "recovery":
        if alert.closed_by == NOT_PROBED:
            return f"{name} is no longer probed; it was reported as {alert.kind} since {_clock(alert.since, now)}{why}"
        length = in_words(round(max(0, (alert.ended_at or now) - alert.since) / 1_000))
        return f"{subject} after {length}{why}"
    if part == "reminder":
        subject = subject.replace(" is ", " is still ", 1) if " is " in subject else f"{subject}, still"
    since = "" if alert.kind in ("retiring", "certificate", "budget") else f" since {_clock(alert.since, now)}"
    return f"{subject}{since}{why}"


def _clock(at: int, now: int) -> str:
    moment = datetime.fromtimestamp(at / 1_000, UTC)
    is_today = moment.date() == datetime.fromtimestamp(now / 1_000, UTC).date()
    return f"{moment:%H:%M} UTC" if is_today else f"{moment:%Y-%m-%d %H:%M} UTC"


def _event(item: Item, around: Surroundings) -> dict[str, Any]:
    alert, is_over = item.alert, item.part == "recovery"
    at = alert.closed_at if is_over and alert.closed_at is not None else alert.opened_at
    event: dict[str, Any] = {
        "kind": "recovered" if is_over else alert.kind,
        "target": alert.target,
        "location": alert.location,
        "at": _iso(around.now if item.part == "reminder" else at),
        "since": _iso(alert.since),
        "cause": alert.cause,
        "url": _url(alert, around.dashboard_url),
        "detail": alert.detail,
        "id": f"{alert.kind}:{item.part}:{alert.location}:{alert.target}:{alert.opened_at}",
    }
    if item.part == "reminder":
        event["reminder"] = True
    if is_over:
        ended_at = alert.ended_at if alert.ended_at is not None else at
        event |= {"of": alert.kind, "ended": _iso(ended_at), "duration_s": max(0, ended_at - alert.since) / 1_000}
        event["probed"] = alert.closed_by != NOT_PROBED
    return event


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at / 1_000, UTC).isoformat(timespec="milliseconds")


def _url(alert: Alert, dashboard_url: str | None) -> str | None:
    if dashboard_url is None:
        return None
    if alert.target == EVERYTHING:
        return f"{dashboard_url}/system"
    return f"{dashboard_url}/model?{urlencode({'target': alert.target, 'location': alert.location})}"
