"""The store, read-only, through one cached loader: short-lived and bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import streamlit as st

from pages.components import formatting
from stats.costs import COST_COUNTS, Cost, costs_begin_at
from stats.costs import costs as to_costs
from stats.latency import MeasuredProbe
from stats.providers import RoutedProbe
from stats.status_bars import Failure
from store import Selection, Spending, Store, StoreError, open_store
from store.alert_tables import ALERTS, SILENCES, Alert, Silence
from store.capability_tables import CAPABILITIES, TEST_COLUMNS, CapabilityTest
from store.certificates import certificates as read_certificates
from store.check_spending import CheckSpending, check_spending
from store.clock import DAY_MS, HOUR_MS, now_ms
from store.horizon import as_of, horizon, late_rows
from store.identity_tables import EPOCH_COLUMNS, IDENTITY_EPOCHS, IdentityEpoch
from store.outcomes import INTERNAL_ERROR
from store.rests import resting_until
from store.rollup_plan import Range, days, rollups_of
from store.rollups import SKETCHED, SPENDING_COLUMNS, spending_of
from store.schema import (
    BUDGETS,
    ENDPOINT_STATS,
    ENDPOINTS,
    MODELS,
    PROBES,
    RATE_LIMITS,
    RUNS,
    TARGETS,
    USAGE,
    Budget,
    Certificate,
    Endpoint,
    EndpointStats,
    Incident,
    Model,
    Probe,
    RateLimit,
    Run,
    Table,
    Target,
    Usage,
)
from store.url import parse_store_url
from store.workload_tables import WORKLOADS, WorkloadRequest

FRESH_S = 4
SINGLE_DAYS = 10
REPORTS = 500
"""More than any model has endpoints: the newest report of each is among so many."""

MOST_ALERTS = 1_000


def store(url: str) -> Store:
    """The store at a URL. Raises StoreError when it is not there yet or cannot be opened."""
    return _opened(url, _identity(url))


@st.cache_resource(max_entries=2, show_spinner=False, on_release=lambda store: store.close())
def _opened(url: str, identity: tuple[int, bool]) -> Store:
    return open_store(url, read_only=True)


def _identity(url: str) -> tuple[int, bool]:
    """Changes when the file is another one, or when a writer came to one that was read as if nobody wrote it."""
    path = parse_store_url(url).file
    if path is None:  # a server is no file, and the same whatever it was started from
        return 0, False
    try:
        return path.stat().st_ino, path.with_name(path.name + "-wal").exists()
    except OSError as problem:
        if isinstance(problem, FileNotFoundError):
            return 0, False
        raise StoreError(f"could not open the store {path}: {problem.strerror}") from problem


# What every run of every page reads is not copied for each of them: the rows are frozen, and nobody changes the lists.
@st.cache_resource(ttl=FRESH_S, max_entries=4, show_spinner=False)
def targets(url: str) -> list[Target]:
    """Every target that is or was configured, at every location."""
    return [Target(*row) for row in store(url).read(TARGETS)]


@st.cache_resource(ttl=FRESH_S, max_entries=4, show_spinner=False)
def newest(url: str) -> list[Probe]:
    """The newest probe of every series, rows from the future left aside."""
    return [series.newest for series in store(url).series(_horizon())]


def newest_by_series(url: str) -> dict[tuple[str, str, str], Probe]:
    """The newest probe by target, location and profile."""
    return {(probe.target, probe.location, probe.profile): probe for probe in newest(url)}


@st.cache_resource(ttl=FRESH_S, max_entries=4, show_spinner=False)
def first_at(url: str) -> dict[str, int]:
    """When each target was first probed (milliseconds UTC)."""
    began: dict[str, int] = {}
    for series in store(url).series(_horizon()):
        name = series.newest.target
        began[name] = min(series.first_at, began.get(name, series.first_at))
    return began


@st.cache_data(ttl=10, max_entries=4, show_spinner=False)  # a newcomer's first screen waits for its context size
def models(url: str) -> list[Model]:
    """What the catalogs say now."""
    return [model for row in _history(url, MODELS, ()) if (model := Model(*row)).valid_to is None]


@st.cache_data(ttl=60, max_entries=32, show_spinner=False)
def versions(url: str, model: str) -> list[Model]:
    """Every version of a model that any source ever told."""
    return [Model(*row) for row in _history(url, MODELS, (model,))]


@st.cache_resource(ttl=60, max_entries=8, show_spinner=False)  # not copied: nobody changes it
def versions_of(url: str, models: tuple[str, ...]) -> list[Model]:
    """Every version of these models (none: of no model) that any source ever told."""
    return [Model(*row) for row in _history(url, MODELS, models)] if models else []


@st.cache_data(ttl=60, max_entries=32, show_spinner=False)
def endpoints(url: str, model: str | None) -> list[Endpoint]:
    """The endpoints that the router lists now, for a model or (null) for all of them."""
    return [
        endpoint
        for row in _history(url, ENDPOINTS, (model,) if model else ())
        if (endpoint := Endpoint(*row)).valid_to is None
    ]


@st.cache_data(ttl=60, max_entries=32, show_spinner=False)
def reported(url: str, model: str) -> dict[str, EndpointStats]:
    """The newest report of each of a model's endpoints, by tag."""
    selection = Selection(until=_horizon(), targets=(model,))
    rows = store(url).read(ENDPOINT_STATS, selection, newest_first=True, limit=REPORTS)
    newest_of: dict[str, EndpointStats] = {}
    for row in rows:
        stats = EndpointStats(*row)
        newest_of.setdefault(stats.tag, stats)
    return newest_of


@st.cache_data(ttl=60, max_entries=8, show_spinner=False)
def reports(url: str, model: str, since: int, until: int) -> list[EndpointStats]:
    """Every report of a model's endpoints in a window."""
    return [EndpointStats(*row) for row in store(url).read(ENDPOINT_STATS, Selection(since, until, (model,)))]


@st.cache_data(ttl=300, max_entries=4, show_spinner=False)
def endpoint_counts(url: str) -> dict[str, int]:
    """How many endpoints the router lists for a model now, for each of which it is known."""
    rows = (Endpoint(*row) for row in _history(url, ENDPOINTS, ()))
    return dict(Counter(endpoint.model for endpoint in rows if endpoint.valid_to is None))


@st.cache_data(ttl=60, max_entries=16, show_spinner=False)
def usage(url: str, model: str, since: int, until: int) -> list[Usage]:
    """The tokens that a model's versions really processed, by day; `model` is its permanent name, or `all` for what is
    told for all models together.
    """
    return [Usage(*row) for row in store(url).read(USAGE, Selection(since, until, (model,)))]


@st.cache_data(ttl=60, max_entries=64, show_spinner=False)
def names_routes(url: str, name: str) -> bool:
    """Whether a target's newest probes say who was tried: also a router without a catalog (LiteLLM) may tell."""
    rows = store(url).read(PROBES, Selection(targets=(name,)), columns=("route",), newest_first=True, limit=200)
    return any(route is not None for (route,) in rows)


@st.cache_data(ttl=60, max_entries=8, max_size="100MB", show_spinner=False)
def routes(url: str, names: tuple[str, ...], since: int, until: int) -> list[RoutedProbe]:
    """The probes of these targets in a window, with who was tried before the answer."""
    return read_routes(url, names, since, until)


def read_routes(url: str, names: tuple[str, ...], since: int, until: int) -> list[RoutedProbe]:
    """The same, not cached, oldest first. It reads the newest first, because that takes one query and a quarter of the
    time.
    """
    if not names:
        return []
    rows = store(url).read(PROBES, Selection(since, until, names), columns=RoutedProbe._fields, newest_first=True)
    return [RoutedProbe._make(row) for row in rows][::-1]


@st.cache_data(ttl=FRESH_S, max_entries=4, show_spinner=False)
def last_runs(url: str) -> list[Run]:
    """The newest runs of the collectors, newest first."""
    return [Run(*row) for row in store(url).read(RUNS, Selection(until=_horizon()), newest_first=True, limit=50)]


@st.cache_data(ttl=10, max_entries=4, show_spinner=False)
def runs(url: str, since: int) -> list[Run]:
    """Every run of the collectors that began since then."""
    return [Run(*row) for row in store(url).read(RUNS, Selection(since, _horizon()))]


@st.cache_data(ttl=10, max_entries=4, show_spinner=False)
def internal_errors(url: str, since: int) -> list[Probe]:
    """The probes since then in which Uptoken itself failed, newest first. The days name their targets, so that the
    failures of the others are not read.
    """
    counted = days(store(url), (INTERNAL_ERROR,), since - since % DAY_MS)
    names = tuple(sorted({day.target for day in counted if day[INTERNAL_ERROR]}))
    if not names:
        return []
    rows = store(url).read(PROBES, Selection(since, targets=names, failed=True), newest_first=True)
    return [probe for row in rows if (probe := Probe(*row)).outcome == INTERNAL_ERROR]


@st.cache_data(ttl=60, max_entries=4, show_spinner=False)
def from_the_future(url: str) -> dict[str, int]:
    """By table, how many rows a clock that was ahead left; only tables with some. This clock may be behind, too."""
    return {table.name: count for table, count in late_rows(store(url), now_ms()).items()}


@st.cache_data(ttl=FRESH_S, max_entries=4, show_spinner=False)
def budgets(url: str, day: int) -> list[Budget]:
    """What each collector may use of a UTC day, and has used."""
    return [Budget(*row) for row in store(url).read(BUDGETS, Selection(day, day + DAY_MS))]


@st.cache_resource(ttl=FRESH_S, max_entries=4, show_spinner=False)
def rate_limits(url: str) -> list[RateLimit]:
    """What servers last said of their limits, and which targets rest, rows from the future left aside."""
    return [RateLimit(*row) for row in store(url).read(RATE_LIMITS, Selection(until=_horizon()))]


@st.cache_data(ttl=60, max_entries=4, show_spinner=False)
def certificates(url: str) -> list[Certificate]:
    """What each location last saw of each host's TLS certificate, rows from the future left aside."""
    return read_certificates(store(url), _horizon())


@st.cache_resource(ttl=10, max_entries=4, show_spinner=False)
def alerts(url: str) -> list[Alert]:
    """What channels were told or are to be told, newest first, rows from the future left aside."""
    selection = Selection(until=_horizon())
    return [Alert(*row) for row in store(url).read(ALERTS, selection, newest_first=True, limit=MOST_ALERTS)]


def alerts_between(url: str, names: tuple[str, ...], since: int, until: int) -> list[Alert]:
    """Those about these targets (none: about all) that were opened in a range, the newest `MOST_ALERTS`."""
    selection = Selection(since, min(until, _horizon()), names)
    return [Alert(*row) for row in store(url).read(ALERTS, selection, newest_first=True, limit=MOST_ALERTS)]


@st.cache_resource(ttl=60, max_entries=16, show_spinner=False)
def identity_epochs(url: str, names: tuple[str, ...], location: str | None = None) -> list[IdentityEpoch]:
    """The periods in which these targets served one model, oldest first, without their references."""
    rows = store(url).read(IDENTITY_EPOCHS, Selection(until=_horizon(), targets=names), columns=EPOCH_COLUMNS)
    epochs = [IdentityEpoch(*row) for row in rows]
    return [epoch for epoch in epochs if location in (None, epoch.location)]


@st.cache_resource(ttl=60, max_entries=16, show_spinner=False)
def capability_tests(
    url: str, names: tuple[str, ...], location: str | None = None, since: int | None = None
) -> list[CapabilityTest]:
    """The tests of what these targets claim to do, without what they cost."""
    selection = Selection(since, _horizon(), names)
    tests = [CapabilityTest(*row) for row in store(url).read(CAPABILITIES, selection, columns=TEST_COLUMNS)]
    return [test for test in tests if location in (None, test.location)]


@st.cache_resource(ttl=60, max_entries=32, show_spinner=False)
def workload_requests(url: str, name: str, location: str, since: int, until: int) -> list[WorkloadRequest]:
    """The requests of a target's workloads in a range, from one location."""
    rows = (WorkloadRequest(*row) for row in store(url).read(WORKLOADS, Selection(since, until, (name,))))
    return [request for request in rows if request.location == location]


@st.cache_data(ttl=60, max_entries=64, show_spinner=False)
def has_workload_requests(url: str, name: str, location: str) -> bool:
    """Whether a target was ever measured by a workload from a location."""
    rows = store(url).read(WORKLOADS, Selection(targets=(name,)), columns=("location",), newest_first=True, limit=1_000)
    return (location,) in rows


@st.cache_resource(ttl=10, max_entries=4, show_spinner=False)
def silences(url: str) -> list[Silence]:
    """Every silence, of now and of before, rows from the future left aside."""
    return [Silence(*row) for row in store(url).read(SILENCES, Selection(until=_horizon()))]


def resting(url: str, target: Target, now: int) -> tuple[int, str] | None:
    """Until when a target rests (milliseconds UTC), and why; null when it does not."""
    for row in rate_limits(url):
        until = resting_until(row.updated_at, row.rests_until, now)
        if until is not None and (row.target, row.location) == (target.name, target.location):
            return until, row.reason or ""
    return None


@st.cache_data(ttl=60, max_entries=4, show_spinner=False)
def lags(url: str, since: int) -> list[float]:
    """How late the collector's machine woke while each probe since then ran, in milliseconds, in order of size."""
    rows = store(url).read(PROBES, Selection(since=since), columns=("lag_ms",))
    return sorted(lag for (lag,) in rows if lag is not None)


@st.cache_data(ttl=30, max_entries=4, show_spinner=False)
def size_bytes(url: str) -> int:
    """How much room the store takes."""
    return store(url).size_bytes()


@st.cache_data(ttl=60, max_entries=4, show_spinner=False)
def probes_by_day(url: str, now: int) -> dict[int, tuple[int, int]]:
    """By UTC day (milliseconds): all probes, and those whose times are excluded because the collector's machine was
    overloaded. Days before the last `SINGLE_DAYS` may be summed up in blocks of 16, under the first one.
    """
    by_day: dict[int, tuple[int, int]] = {}
    recent = now - now % DAY_MS - SINGLE_DAYS * DAY_MS  # a block that ends today would hide the days of this week
    for part, coarse in ((Range(0, recent), True), (Range(recent, now + -now % HOUR_MS), False)):
        for rollup in rollups_of(store(url), (), part, coarse=coarse, without=(*SKETCHED, "cells")):
            day = rollup.began - rollup.began % DAY_MS
            probes, lagged = by_day.get(day, (0, 0))
            by_day[day] = probes + rollup.requests, lagged + rollup["lagged"]
    return by_day


@st.cache_data(ttl=FRESH_S, max_entries=8, show_spinner=False)
def spending(url: str, since: int, until: int) -> list[Spending]:
    """Requests and cost of probes and checks by target, of whole days (UTC)."""
    probes = spending_of(store(url).rollups("day", Selection(since, until), SPENDING_COLUMNS))
    return [*probes, *(one.spending for one in _check_spending(url, since, until))]


def _check_spending(url: str, since: int, until: int) -> list[CheckSpending]:
    """By target: rows lie by target and time, so without names all of them would be looked through."""
    names = tuple(sorted({target.name for target in targets(url)}))
    return check_spending(store(url), Selection(since, until, names)) if names else []


@st.cache_resource(ttl=600, max_entries=64, show_spinner=False)
def _checks_of_day(url: str, day: int) -> list[CheckSpending]:
    """What the checks of a day that is over spent."""
    return _check_spending(url, day, day + DAY_MS)


@st.cache_data(ttl=300, max_entries=4, show_spinner=False)
def costs(url: str, now: int) -> list[Cost]:
    """What probes and checks cost by target: today, this month, and what it will come to."""
    since, today = costs_begin_at(now), now - now % DAY_MS
    checks = [check for day in range(since, today, DAY_MS) for check in _checks_of_day(url, day)]
    checks += _check_spending(url, today, today + DAY_MS)
    return to_costs(days(store(url), COST_COUNTS, since), now, checks)


@st.cache_data(ttl=30, max_entries=24, show_spinner=False)
def newest_probes(url: str, name: str, since: int, until: int, most: int) -> list[MeasuredProbe]:
    """The newest probes of a target in a window, of every place and profile."""
    rows = store(url).read(
        PROBES, Selection(since, until, (name,)), columns=MeasuredProbe._fields, newest_first=True, limit=most
    )
    return [MeasuredProbe._make(row) for row in rows]


@st.cache_data(ttl=30, max_entries=24, show_spinner=False)
def failures(url: str, name: str, since: int, until: int, most: int) -> list[Failure]:
    """The newest probes of a target in a window that were no success, of every place and profile."""
    selection = Selection(since, until, (name,), failed=True)
    rows = store(url).read(PROBES, selection, columns=Failure._fields, newest_first=True, limit=most)
    return [Failure._make(row) for row in rows]


@st.cache_data(ttl=300, max_entries=256, show_spinner=False)
def probe_at(url: str, name: str, location: str, profile: str, at: int) -> Probe | None:
    """The probe of a series that began at a moment; null where it was pruned."""
    rows = (Probe(*row) for row in store(url).read(PROBES, Selection(at, at + 1, (name,))))
    return next((row for row in rows if (row.location, row.profile) == (location, profile)), None)


def newest_of(url: str, target: Target) -> Probe | None:
    """The newest probe of a target at its place, of the profile that decides its uptime."""
    return newest_by_series(url).get((target.name, target.location, target.profile))


@st.cache_data(ttl=10, max_entries=8, show_spinner=False)
def incidents(url: str, names: tuple[str, ...], since: int, until: int) -> list[Incident]:
    """The incidents that a range has a part of."""
    return [Incident(*row) for row in store(url).incidents_within(since, until, names)]


@st.cache_data(ttl=10, max_entries=8, show_spinner=False)
def last_incidents(url: str, names: tuple[str, ...], before: int) -> dict[tuple[str, str, str], list[Incident]]:
    """The newest incident of each series (target, location, profile) that began before a moment."""
    rows = (Incident(*row) for row in store(url).last_incidents(before, names))
    return {(row.target, row.location, row.profile): [row] for row in rows}


def _history(url: str, table: Table, models: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    """The rows of a table with a history, as of now."""
    until, length = _horizon(), len(table.key)
    return (as_of(row, length, until) for row in store(url).read(table, Selection(until=until, targets=models)))


def _horizon() -> int:
    return horizon(now_ms())


def rounded(moment: int, step_ms: int = 5_000) -> int:
    """A moment down to the step, so that what is asked for again within it is in the cache."""
    return moment - moment % step_ms


def model_of(target: Target, known: list[Model]) -> Model | None:
    """What a catalog says of a target's model: its own server's row first, then the router's."""
    own = [m for m in known if m.model == target.model and m.source == target.name]
    routed = [m for m in known if m.model == target.model and m.source == "openrouter"]
    return next(iter([*own, *routed]), None)


def routed_model(target: Target, known: list[Model]) -> Model | None:
    """What the router says of a target's model, when the target is behind it or the router lists its model."""
    return next((m for m in known if m.model == target.model and m.source == "openrouter"), None)


def catalog_note(url: str, now: int) -> str:
    """When the catalog was last read, in words."""
    runs = [run for run in last_runs_of(url, "catalog") if run.error is None]
    if not runs:
        return "No catalog run is recorded."
    return f"The catalog was last read {formatting.ago(runs[0].started_at, now)}."


@st.cache_data(ttl=FRESH_S, max_entries=8, show_spinner=False)
def last_runs_of(url: str, collector: str) -> list[Run]:
    """The newest runs of one collector, newest first."""
    rows = store(url).read(RUNS, Selection(until=_horizon(), targets=(collector,)), newest_first=True, limit=10)
    return [Run(*row) for row in rows]
