"""What was known at earlier moments about everything but probes, for the dry run of alerts that depend on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby, pairwise
from statistics import median

import streamlit as st

from alerts.facts import CollectorFacts, CollectorSeen, DayBudget, Retirement, WatchedTarget
from alerts.gather import PROBE_RUNS, catalog_changes, retirements
from alerts.rules.catalog import DAYS_BEFORE
from alerts.rules.certificate import DAYS_BEFORE as CERTIFICATE_DAYS_BEFORE
from pages.queries import cache
from settings.addresses import certificate_host
from stats.capabilities import capability_changes
from stats.identity_changes import identity_changes
from store import Selection
from store.certificates import expiry_by_host
from store.clock import DAY_MS, HOUR_MS
from store.identity_tables import IDENTITY_EPOCHS, IdentityEpoch
from store.schema import BUDGETS, RUNS, Budget, Model, Target

CHANGES = ("price_changed", "context_changed", "gone")
OF_FACTS = (*CHANGES, "identity_changed", "capability_lost", "retiring", "certificate", "budget", "collector_stopped")


# not copied, because nobody changes it
@st.cache_resource(ttl=300, max_entries=16, show_spinner=False, hash_funcs={Target: hash})
def facts_of(url: str, target: Target, kind: str, since: int, until: int) -> list[CollectorFacts]:
    """The facts that a rule about one of `OF_FACTS` would have been given, at each moment of a range (milliseconds UTC)
    at which it would have found something about a target or its collector.
    """
    if kind in CHANGES:
        found = _changes(url, target, since)
    elif kind == "identity_changed":
        found = _identity_changes(url, target)
    elif kind == "capability_lost":
        found = _capability_changes(url, target)
    elif kind == "retiring":
        found = _retirements(url, target)
    elif kind == "certificate":
        found = _certificate(url, target)
    elif kind == "budget":
        found = _budgets(url, target, since, until)
    else:
        found = _stops(url, target, since, until)
    return sorted((facts for facts in found if since <= facts.now < until), key=lambda facts: facts.now)


def _versions(url: str, target: Target) -> list[Model]:
    listed = cache.versions_of(url, (target.model,))
    return [v for v in listed if v.source == target.name] or [v for v in listed if v.source == "openrouter"]


def _changes(url: str, target: Target, since: int) -> Iterator[CollectorFacts]:
    for change in catalog_changes({target.name: _versions(url, target)}, since):
        yield CollectorFacts(change.at, target.location, changes=(change,))


def _identity_changes(url: str, target: Target) -> Iterator[CollectorFacts]:
    rows = cache.store(url).read(IDENTITY_EPOCHS, Selection(targets=(target.name,)))
    for change in identity_changes(epoch for row in rows if (epoch := IdentityEpoch(*row)).location == target.location):
        yield CollectorFacts(change.noticed_at, target.location, identity_changes=(change,))


def _capability_changes(url: str, target: Target) -> Iterator[CollectorFacts]:
    """What one check showed is one moment."""
    changes = capability_changes(cache.capability_tests(url, (target.name,), target.location))
    for noticed_at, group in groupby(sorted(changes, key=lambda one: one.noticed_at), lambda one: one.noticed_at):
        yield CollectorFacts(noticed_at, target.location, capability_changes=tuple(group))


def _retirements(url: str, target: Target) -> Iterator[CollectorFacts]:
    """When the catalog first stated a last day, and 30, 7 and 1 days before that day."""
    for version in _versions(url, target):
        for retirement in retirements({target.name: [replace(version, valid_to=None)]}):
            for at in (version.valid_from, *_before(retirement)):
                if version.valid_from <= at and (version.valid_to is None or at < version.valid_to):
                    yield CollectorFacts(at, target.location, retirements=(retirement,))


def _before(retirement: Retirement) -> Iterable[int]:
    if retirement.expires_at is None:
        return ()
    return [retirement.expires_at - days * DAY_MS for days in reversed(DAYS_BEFORE)]


def _certificate(url: str, target: Target) -> Iterator[CollectorFacts]:
    """From the current certificate: earlier ones are not recorded."""
    host = certificate_host(target.base_url)
    expires_at = expiry_by_host(cache.certificates(url)).get(host or "")
    if host is not None and expires_at is not None:
        begins = expires_at - CERTIFICATE_DAYS_BEFORE * DAY_MS
        watched = WatchedTarget(target.name, host)
        yield CollectorFacts(begins, target.location, (watched,), certificates={host: expires_at})


def _budgets(url: str, target: Target, since: int, until: int) -> Iterator[CollectorFacts]:
    """From each day's last written total: earlier moments of the day are not recorded."""
    for row in (Budget(*values) for values in cache.store(url).read(BUDGETS, Selection(since - DAY_MS, until))):
        if row.location == target.location:
            limits = (row.usd_per_day, row.free_requests, row.free_requests_per_day)
            yield CollectorFacts(row.day, row.location, budget=DayBudget(row.day, 0.0, limits[0], 0, limits[2]))
            yield CollectorFacts(row.updated_at, row.location, budget=DayBudget(row.day, row.usd, *limits))


def _stops(url: str, target: Target, since: int, until: int) -> Iterator[CollectorFacts]:
    """Each gap between two runs of the target's collector, at the time when it ran again."""
    columns = ("started_at", "ended_at", "location", "runs")
    rows = cache.store(url).read(RUNS, Selection(since, until, (PROBE_RUNS,)), columns=columns)
    # the end of the last run is unknown when runs are merged into an hour
    runs = sorted(
        (began, ended if not merged or merged == 1 else began - began % HOUR_MS + HOUR_MS)
        for began, ended, location, merged in rows
        if location == target.location
    )
    steps = [(later - earlier) / 1_000 for (earlier, _), (later, _) in pairwise(runs)]
    mine = [other.every_s for other in cache.targets(url) if other.location == target.location]
    step_s = max(median(steps) if len(steps) >= 3 else 0.0, min(mine, default=0.0))
    last_at = runs[0][1] if runs else 0
    for began, ended in runs:
        if began - last_at > step_s * 1_000:
            yield CollectorFacts(began, target.location, stopped=CollectorSeen(target.location, last_at, step_s))
        last_at = max(last_at, ended)
