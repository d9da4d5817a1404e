"""The tables of what is known and decided of single targets and hosts, beside their probes."""

from __future__ import annotations

from dataclasses import dataclass

from store.table import TABLES, Integer, Moment, Row, Text, table


@table(
    "adaptations",
    key=("target", "base_url", "model", "field"),
    time="noticed_at",
    owner="target",
    on_conflict="replace",
)
@dataclass(frozen=True, slots=True)
class Adaptation(Row):
    """A request field that a server refused, and what is sent in its place (null: nothing)."""

    target: Text
    base_url: Text
    model: Text
    field: Text
    replacement: Text | None
    noticed_at: Moment


@table("rate_limits", key=("target", "location"), time="updated_at", owner="target", on_conflict="replace")
@dataclass(frozen=True, slots=True)
class RateLimit(Row):
    """What a server last said that a target may still send, and until when the target rests because it asked for it."""

    target: Text
    location: Text
    updated_at: Moment
    rests_until: Moment | None = None
    reason: Text | None = None
    requests_limit: Integer | None = None
    requests_remaining: Integer | None = None
    requests_reset_at: Moment | None = None
    tokens_limit: Integer | None = None
    tokens_remaining: Integer | None = None
    tokens_reset_at: Moment | None = None


@table("pauses", key=("target", "began_at"), time="began_at", owner="target", on_conflict="replace")
@dataclass(frozen=True, slots=True)
class Pause(Row):
    """A time in which a person wants a target not to be probed, from any location. `ends_at` is null until somebody
    resumes it.
    """

    target: Text
    began_at: Moment
    ends_at: Moment | None = None
    reason: Text | None = None

    def contains(self, moment: int) -> bool:
        """Whether the target is paused at a moment (milliseconds UTC)."""
        return self.began_at <= moment and (self.ends_at is None or moment < self.ends_at)


@table(
    "exclusions",
    key=("target", "began_at", "exclusion_id"),
    time="began_at",
    owner="target",
    on_conflict="replace",
)
@dataclass(frozen=True, slots=True)
class Exclusion(Row):
    """A range of the past (`began_at` <= t < `ends_at`) whose probes of a target count as paused, until it is undone.

    The store applies it to the probes when it is given to `Store.exclude`, and to those that come later.
    """

    target: Text
    began_at: Moment
    exclusion_id: Text  # the same for all targets of one command
    ends_at: Moment
    made_at: Moment
    reason: Text | None = None
    undone_at: Moment | None = None


@table("certificates", key=("host", "location"), time="seen_at", owner="host", on_conflict="replace")
@dataclass(frozen=True, slots=True)
class Certificate(Row):
    """The TLS certificate that a host last showed to a probe."""

    host: Text  # with the port, where it is not 443
    location: Text
    seen_at: Moment
    expires_at: Moment
    issuer: Text | None = None


ADAPTATIONS = TABLES["adaptations"]
RATE_LIMITS = TABLES["rate_limits"]
PAUSES = TABLES["pauses"]
EXCLUSIONS = TABLES["exclusions"]
CERTIFICATES = TABLES["certificates"]
