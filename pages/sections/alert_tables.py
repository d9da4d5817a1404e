"""Alerts as channels were told them, deliveries that failed, and silences."""

from __future__ import annotations

from markupsafe import Markup

from pages.components import formatting
from pages.components.states import state
from pages.components.table import NOTHING, Cell, Column, below, bold, moment, table
from pages.queries import cache
from pages.sections import overview_events
from stats.events import Event
from store.alert_tables import Alert
from store.clock import DAY_MS

DELIVERY = "alerts"
"""The collector under whose name a channel's failure is recorded."""
RECENT_MS = 7 * DAY_MS
SHOWN = 50
EVERYTHING = "*"


def open_alerts(url: str, now: int, zone: str) -> Markup:
    """What is not over."""
    shown = [alert for alert in cache.alerts(url) if alert.closed_at is None]
    return _table(shown, now, zone, "Open alerts") if shown else NOTHING.format("No alert is open.")


def sent_alerts(url: str, now: int, zone: str) -> Markup:
    """What is over, of the last days."""
    shown = [
        alert
        for alert in cache.alerts(url)
        if alert.closed_at is not None and now - max(alert.closed_at, alert.recovery_sent_at or 0) < RECENT_MS
    ]
    return _table(shown, now, zone, "Closed alerts") if shown else NOTHING.format("None in the last 7 days.")


def _table(alerts: list[Alert], now: int, zone: str, region: str) -> Markup:
    columns = ("Opened", Column("Alert", "left"), Column("Target", "left wrap"), Column("Channel", "left"))
    more = f"The newest {SHOWN} of {formatting.count(len(alerts))}." if len(alerts) > SHOWN else ""
    return table(
        (*columns, Column("Sent", "left wrap"), Column("Recovered", "left wrap"), Column("Cause", "left wrap")),
        [_row(alert, now, zone) for alert in alerts[:SHOWN]],
        note=more,
        region=region,
    )


def _row(alert: Alert, now: int, zone: str) -> list[str | Cell | None]:
    is_of_target = alert.target != EVERYTHING
    lasted_s = (alert.ended_at - alert.since) / 1_000 if alert.ended_at is not None else None
    event = Event(
        "down", alert.since, alert.target if is_of_target else None, alert.location, alert.cause or "", lasted_s
    )
    when = Markup('<a href="{}" target="_self">{}</a>')
    return [
        when.format(overview_events.link(event), formatting.clock(alert.opened_at, zone, now)),
        alert.kind.replace("_", " "),
        bold(alert.target if is_of_target else "collector") + below(alert.location),
        alert.channel,
        _sent(alert, now, zone),
        _recovered(alert, now, zone),
        Markup.escape(alert.cause or "") + below(alert.detail if alert.detail != alert.cause else ""),
    ]


def _sent(alert: Alert, now: int, zone: str) -> str | Cell:
    if alert.sent_at is not None:
        return moment(alert.sent_at, now, zone)
    return f"held back: {alert.held.replace('_', ' ')}" if alert.held else state("not_counted", "not taken yet")


def _recovered(alert: Alert, now: int, zone: str) -> str | Cell | None:
    if alert.closed_by is not None:
        return alert.closed_by.replace("_", " ")
    return None if alert.closed_at is None else moment(alert.closed_at, now, zone)


def failed_deliveries(url: str, now: int, zone: str) -> Markup:
    """What channels did not take in the last day, in the collector's words; empty where there is nothing."""
    since = cache.rounded(now - DAY_MS, 60_000)
    failed = [run for run in cache.runs(url, since) if run.collector == DELIVERY and run.error is not None]
    if not failed:
        return Markup()
    rows = [
        (moment(run.started_at, now, zone), bold(run.location), run.error)
        for run in sorted(failed, key=lambda run: run.started_at, reverse=True)[:SHOWN]
    ]
    columns = (Column("When", "left"), Column("Location", "left"), Column("Problem", "left wrap"))
    return table(columns, rows, region="Failed deliveries")


def silences(url: str, now: int, zone: str) -> Markup:
    """Those that hold; empty where there is none."""
    current = sorted((one for one in cache.silences(url) if one.ends_at > now), key=lambda one: one.ends_at)
    if not current:
        return Markup()
    columns = (Column("Target", "wrap"), Column("Location", "left"), "Until")
    rows = [(bold(one.target), one.location, formatting.until(one.ends_at, zone, now)) for one in current]
    return table(columns, rows, note="No new alert meanwhile; probing and recoveries go on.")
