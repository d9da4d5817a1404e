"""What passed through the relay, added up where it lies: by day for `usage`, and by minute for uptime from traffic.

Both engines run the same queries; each has its own way to say which rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

from store.clock import DAY_MS
from store.protocol import ALL, Selection, Store, upkeep_of
from store.schema import DOWN, RELAY, UP, Usage

MINUTE_MS = 60_000
UNKNOWN_APP = "unknown"


class TrafficMinute(NamedTuple):
    """The attempts at one target that began in a minute (milliseconds UTC). Those that say nothing about the target,
    such as a client's mistake or a rate limit, are in neither count.
    """

    target: str
    minute: int
    ok: int
    failed: int


class TrafficDay(NamedTuple):
    """What one target, version, app and provider processed in a UTC day. `requests` are those that it served."""

    day: int
    target: str
    model: str
    version: str
    app: str
    provider: str
    requests: int
    tokens: int | None
    prompt_tokens: int | None
    completion_tokens: int | None
    reasoning_tokens: int | None
    cached_tokens: int | None
    cost_usd: float | None


@runtime_checkable
class Traffic(Protocol):
    """What every engine knows of the relay's attempts."""

    def traffic_by_minute(self, selection: Selection = ALL) -> Iterator[TrafficMinute]:
        """By target and minute. Raises StoreError."""

    def traffic_by_day(self, selection: Selection = ALL) -> Iterator[TrafficDay]:
        """By day, target, version, app and provider. Raises StoreError."""


def traffic_of(store: Store) -> Traffic:
    """The same store."""
    assert isinstance(store, Traffic)
    return store


def minutes_sql(table: str, where: str) -> str:
    """Counts up and down by target and minute."""
    return (
        f"SELECT target, started_at - started_at % {MINUTE_MS} AS minute, {_count(UP)}, {_count(DOWN)}"
        f" FROM {table}{where} GROUP BY target, minute ORDER BY target, minute"
    )


def days_sql(table: str, where: str) -> str:
    """Sums by day, target, version, app and provider. What nobody told is null."""
    told = "count(prompt_tokens) + count(completion_tokens)"
    both = "sum(coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0))"
    sums = ", ".join(
        f"sum({name})"
        for name in ("prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens", "cost_usd")
    )
    return (
        f"SELECT started_at - started_at % {DAY_MS} AS day, target, coalesce(model, route) AS asked,"
        f" coalesce(served_model, model, route) AS version, coalesce(app, '{UNKNOWN_APP}') AS used_by,"
        f" coalesce(provider, target) AS served_by, sum(served),"
        f" CASE WHEN {told} > 0 THEN {both} END, {sums}"
        f" FROM {table}{where} GROUP BY day, target, asked, version, used_by, served_by"
        f" HAVING sum(served) > 0 OR {told} > 0 ORDER BY day, target, asked, version, used_by, served_by"
    )


def _count(outcomes: Iterable[str]) -> str:
    return f"sum(CASE WHEN outcome IN ({', '.join(repr(outcome) for outcome in sorted(outcomes))}) THEN 1 ELSE 0 END)"


def refresh_usage(store: Store, days: Iterable[int]) -> int:
    """State what passed on these UTC days (milliseconds at which they began) anew in `usage`, from the attempts of all
    locations; returns how many rows that made. A day whose attempts are pruned keeps its rows. Raises StoreError.

    A day is made from its rows and not added up, so that a restart, a second relay and an import change nothing.
    """
    kept_since = upkeep_of(store).kept_since()
    count = 0
    for day in sorted({day - day % DAY_MS for day in days}):
        if day >= kept_since:
            count += store.write(usage_of(traffic_of(store).traffic_by_day(Selection(day, day + DAY_MS))))
    return count


def usage_of(found: Iterable[TrafficDay]) -> list[Usage]:
    """The rows of `usage` with the source `relay`; what several targets share is added up."""
    rows: dict[tuple[int, str, str, str, str], Usage] = {}
    for one in found:
        key = (one.day, one.model, one.version, one.app, one.provider)
        counts = one[7:12]
        before = rows.get(key)
        known = (None,) * 5 if before is None else tuple(getattr(before, name) for name in _COUNTS)
        sums = {name: _plus(a, b) for name, a, b in zip(_COUNTS, known, counts, strict=True)}
        requests = one.requests + (before.requests or 0 if before is not None else 0)
        cost_usd = _plus(before.cost_usd if before is not None else None, one.cost_usd)
        rows[key] = Usage(
            RELAY, one.day, one.model, one.version, one.app, one.provider, requests=requests, cost_usd=cost_usd, **sums
        )
    return list(rows.values())


_COUNTS = ("tokens", "prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens")


Number = TypeVar("Number", int, float)


def _plus(one: Number | None, other: Number | None) -> Number | None:
    return other if one is None else one if other is None else one + other
