"""The tables of alerts: what channels were told, and which targets are silenced."""

from __future__ import annotations

from dataclasses import dataclass

from store.table import TABLES, Moment, Row, Text, table


@table(
    "alerts",
    key=("target", "kind", "location", "channel", "opened_at"),
    time="opened_at",
    owner="target",
    on_conflict="replace",
)
@dataclass(frozen=True, slots=True)
class Alert(Row):
    """One occurrence of a kind of alert, for one channel: when it was opened and closed, and what the channel took."""

    target: Text  # `*`: it is about the collector
    kind: Text
    location: Text
    channel: Text
    opened_at: Moment
    since: Moment  # when it began: the first of the bad slots that opened it
    closed_at: Moment | None = None
    ended_at: Moment | None = None  # when it was over: the first of the good slots that closed it
    host: Text | None = None
    cause: Text | None = None
    detail: Text | None = None
    closed_by: Text | None = None  # null: it recovered; not_probed, channel_removed
    held: Text | None = None  # why its opening is not sent: silenced, flapping, offline, no_rule
    sent_at: Moment | None = None
    reminded_at: Moment | None = None
    recovery_sent_at: Moment | None = None


@table("silences", key=("target", "location", "began_at"), time="began_at", owner="target", on_conflict="replace")
@dataclass(frozen=True, slots=True)
class Silence(Row):
    """A time in which no new alert is sent about a target, or about those that a pattern matches."""

    target: Text
    location: Text
    began_at: Moment
    ends_at: Moment


ALERTS = TABLES["alerts"]
SILENCES = TABLES["silences"]
