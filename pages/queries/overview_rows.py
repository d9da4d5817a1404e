"""The overview's rows: filter, order and groups."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pages.queries import cache
from pages.queries.error_budgets import ErrorBudget, error_budgets
from pages.queries.listed_prices import priced_row
from pages.queries.situation import host_of
from pages.queries.target_history import THROUGHPUT, TargetHistory, target_histories
from pages.queries.time_range import TimeRange
from routing.prices import price_at
from routing.workload import RequestEstimate, Workload, estimate_request
from stats.catalog import blended_usd
from stats.incidents import Status, TargetState
from stats.samples import Percentiles
from stats.uptime import Uptime
from store.schema import Model, Probe, Target

Order = Literal["state", "name", "uptime", "p95", "speed", "price"]
ORDERS: tuple[Order, ...] = get_args(Order)
WORST_FIRST: tuple[Status, ...] = (
    "down",
    "degraded",
    "not_counted",
    "stale",
    "never",
    "up",
    "paused",
    "waiting",
    "disabled",
)
NOT_UP = "not_up"
UNTAGGED = "no tag"


@dataclass(frozen=True)
class Row:
    """The data of one row; bars and trends are computed only for rows that are drawn."""

    history: TargetHistory
    model: Model | None
    newest: Probe | None
    uptime: Uptime
    ttft: Percentiles
    speed: Percentiles
    budget: ErrorBudget | None
    """Of the last 30 days; null for a target without an objective."""

    @property
    def target(self) -> Target:
        """The target, at one location."""
        return self.history.target

    @property
    def state(self) -> TargetState:
        """Its current state."""
        return self.history.state

    @property
    def last_at(self) -> int | None:
        """When it was last probed (milliseconds UTC)."""
        return self.newest.started_at if self.newest is not None else None

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags in the configuration."""
        return tuple(tag for part in (self.target.tags or "").split(",") if (tag := part.strip()))

    def estimate(self, size: Workload | None, now: int) -> RequestEstimate | None:
        """The duration and cost of one request of this size at `now` (milliseconds UTC); null without a size."""
        if size is None:
            return None
        listed = priced_row(self.history.url, self.target, self.model)
        return estimate_request(size, self.ttft.p50, self.speed.p50, listed, now)


@dataclass(frozen=True)
class RowFilter:
    """The targets to show, by words of their name, model, host, provider or tags, and by state (`NOT_UP`: any but up;
    empty: any). `everything`: all of them instead of the first ones.
    """

    text: str = ""
    status: str = ""
    everything: bool = False

    def matches(self, row: Row) -> bool:
        """Whether a row passes the filter."""
        target = row.target
        text = f"{target.name} {target.model} {host_of(target)} {target.provider or ''} {target.tags or ''}".lower()
        status = row.state.status
        is_wanted = status != "up" if self.status == NOT_UP else self.status in ("", status)
        return is_wanted and all(part in text for part in self.text.lower().split())


@dataclass(frozen=True)
class Layout:
    """How rows are shown. Orders begin with what needs attention, unless `is_reversed`; `by_location` replaces the rows
    with a table of targets by location.
    """

    order: Order = "state"
    is_reversed: bool = False
    is_compact: bool = False
    by_tag: bool = False
    by_location: bool = False


@dataclass(frozen=True)
class Group:
    """The rows with one tag; a target with several is in the group of each. `name` is null where nothing is grouped."""

    name: str | None
    rows: Sequence[Row]

    @property
    def worst(self) -> Status:
        """The worst state in the group."""
        return min((row.state.status for row in self.rows), key=WORST_FIRST.index)


def rows(url: str, targets: list[Target], window: TimeRange, now: int) -> list[Row]:
    """A row for each target at each location, as configured: those that are down first, then by name."""
    models, budgets = cache.models(url), error_budgets(url, targets, now)
    unsorted = [
        Row(
            history,
            cache.model_of(history.target, models),
            cache.newest_of(url, history.target),
            history.uptime(),
            history.percentiles(history.target.profile, "ttft_ms"),
            history.percentiles(THROUGHPUT, "tokens_per_second"),
            budgets.get((history.target.name, history.target.location)),
        )
        for history in target_histories(url, targets, window, now, coarse=True)
    ]
    return sorted(unsorted, key=_state)


def filter_rows(rows: Sequence[Row], row_filter: RowFilter, *, by_location: bool) -> list[Row]:
    """The rows that match; `by_location` those of every location of a target that matches at one."""
    matching = [row for row in rows if row_filter.matches(row)]
    if not by_location:
        return matching
    names = {row.target.name for row in matching}
    return [row for row in rows if row.target.name in names]


def sort_rows(rows: Iterable[Row], layout: Layout, size: Workload | None, now: int) -> list[Row]:
    """In the layout's order, then by name; unknown values are last in either direction. The price is that of the
    request, or without a size that of three tokens in and one out.
    """
    by_name = sorted(rows, key=lambda row: (row.target.name.lower(), row.target.location))
    if layout.order == "name":
        return by_name[::-1] if layout.is_reversed else by_name

    def price(row: Row) -> float | None:
        if size is not None:
            estimate = row.estimate(size, now)
            return None if estimate is None else _negative(estimate.usd)
        listed = priced_row(row.history.url, row.target, row.model)
        return _negative(blended_usd(price_at(listed, 0, now) if listed is not None else None))

    keys: Mapping[Order, Callable[[Row], float | None]] = {
        "state": _state,
        "uptime": lambda row: row.uptime.share,
        "p95": lambda row: _negative(row.ttft.p95),
        "speed": lambda row: row.speed.p50,
        "price": price,
    }
    key, sign = keys[layout.order], -1 if layout.is_reversed else 1
    return sorted(by_name, key=lambda row: math.inf if (value := key(row)) is None else sign * value)


def group_rows(rows: Sequence[Row], *, by_tag: bool) -> list[Group]:
    """One group, or one per tag: the worst state first, then by name; targets without a tag last."""
    if not by_tag:
        return [Group(None, rows)]
    found: dict[str, list[Row]] = {}
    for row in rows:
        for tag in row.tags or (UNTAGGED,):
            found.setdefault(tag, []).append(row)
    groups = [Group(name, listed) for name, listed in found.items()]
    return sorted(groups, key=lambda one: (one.name == UNTAGGED, WORST_FIRST.index(one.worst), one.name))


def _state(row: Row) -> float:
    return WORST_FIRST.index(row.state.status)


def _negative(value: float | None) -> float | None:
    return None if value is None else -value
