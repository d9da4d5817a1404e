"""The events of a range, of one target and of all: incidents, changes, retirements and gaps."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import streamlit as st

from pages.queries import cache
from pages.queries.target_history import THROUGHPUT, TargetHistory, target_histories, target_history
from pages.queries.time_range import TimeRange
from stats import events
from stats.capabilities import SEVERAL_TESTS_MS
from stats.events import (
    Event,
    ServedModel,
    capability_events,
    catalog_events,
    declared_events,
    gap_events,
    identity_events,
    incident_events,
    merge_events,
    served_model_events,
    shift_events,
)
from stats.intervals import split_range
from stats.status_bars import Bar, bars_in
from store import Selection
from store.clock import DAY_MS, HOUR_MS, now_ms
from store.schema import PROBES, Model, Target

MEASURED = (("ttft_ms", "TTFT p50", "ms"), ("total_ms", "total time p50", "ms"))
MOST_SEARCHED = 20
"""Targets whose change points and served models the overview looks for: it takes about 0.03 s each."""
SAMPLES, FLEET_SAMPLES = 32, 1
"""Moments of a range at which the served model is looked up, besides now: each is a query."""
SEARCH_STEP_MS = 300_000
"""For how long the overview shows what was found by searching, as 20 targets of a minute take a second."""
DECLARED = {"prompt_tokens": "prompt tokens", "system_fingerprint": "fingerprint", "provider": "provider"}
"""Columns in which responses describe themselves, and their names in events."""
_SAMPLE_OF = 16
GAP_BARS = 10_000
_FIRST_READ = 64
REACH_MS = 30 * DAY_MS
"""How long before a range an alert may have begun whose recovery is looked for in it."""


def target_events(url: str, target: Target, window: TimeRange) -> list[Event]:
    """What happened to one target at one location, newest first."""
    return _target_events(url, target, window.since, window.until, window.is_live)


def fleet_events(url: str, targets: Sequence[Target], window: TimeRange) -> list[Event]:
    """What happened to all targets, newest first. Of more than `MOST_SEARCHED` without change points and served
    models; of fewer without served models that came back within the range.
    """
    return _fleet_events(url, tuple(targets), window.since, window.until, window.is_live)


# not copied for each viewer: nobody changes them
@st.cache_resource(ttl=60, max_entries=32, show_spinner=False, hash_funcs={Target: hash})
def _target_events(url: str, target: Target, since: int, until: int, is_live: bool) -> list[Event]:
    history = target_history(url, target, TimeRange(since, until, is_live, ""), _now(until, is_live))
    sources: list[Iterable[Event]] = [
        _incidents([history]),
        _searched(history, SAMPLES),
        _declared(history),
        _catalog(url, [target]),
        _gaps([history]),
        alert_events(url, (target.name,), since, until),
        identity_events(cache.identity_epochs(url, (target.name,), target.location)),
        capability_events(cache.capability_tests(url, (target.name,), target.location)),
    ]
    return merge_events(sources, since, until)


@st.cache_resource(ttl=60, max_entries=8, show_spinner=False, hash_funcs={Target: hash})
def _fleet_events(url: str, targets: tuple[Target, ...], since: int, until: int, is_live: bool) -> list[Event]:
    window, is_searched = TimeRange(since, until, is_live, ""), len(targets) <= MOST_SEARCHED
    whole = window if is_live else TimeRange(since - since % HOUR_MS, until + -until % HOUR_MS, False, "")
    # in hours, which are roll-ups: the raw probes at the ends of a range take 0.1 s, and its events are the same
    histories = target_histories(url, list(targets), whole, _now(until, is_live), coarse=True)
    names = tuple(sorted({target.name for target in targets}))
    until_step = until + -until % SEARCH_STEP_MS if is_live else until
    sources: list[Iterable[Event]] = [
        _incidents(histories),
        _catalog(url, targets),
        _gaps(histories, is_fine=is_searched),
        alert_events(url, (), since, until),
        identity_events(cache.identity_epochs(url, names)),
        capability_events(cache.capability_tests(url, names, since=since - since % DAY_MS - SEVERAL_TESTS_MS)),
        *(_search(url, target, until_step - (until - since), until_step, is_live) for target in targets if is_searched),
    ]
    return merge_events(sources, since, until)


# not copied for each viewer: nobody changes them
@st.cache_resource(
    ttl=SEARCH_STEP_MS // 1_000, max_entries=4 * MOST_SEARCHED, show_spinner=False, hash_funcs={Target: hash}
)
def _search(url: str, target: Target, since: int, until: int, is_live: bool) -> list[Event]:
    """What is looked for in one of several targets' measurements, as of the end of a step."""
    history = target_history(url, target, TimeRange(since, until, is_live, ""), _now(until, is_live))
    return list(_searched(history, FLEET_SAMPLES))


def _now(until: int, is_live: bool) -> int:
    """The present, at which a range that is live ends: what targets are now is in the cache, and is no event."""
    return until if is_live else now_ms()


def alert_events(url: str, names: tuple[str, ...], since: int, until: int) -> list[Event]:
    """The alerts that were sent about these targets (none: about all), and when those were degraded."""
    return list(events.alert_events(cache.alerts_between(url, names, since - REACH_MS, until)))


def _incidents(histories: Iterable[TargetHistory]) -> Iterator[Event]:
    for history in histories:
        yield from incident_events(history.target.name, history.target.location, history.incidents)


def _searched(history: TargetHistory, samples: int) -> Iterator[Event]:
    """What has to be looked for in a target's measurements."""
    target = history.target
    for column, what, unit in MEASURED:
        yield from shift_events(target.name, target.location, what, unit, history.shifts(target.profile, column))
    speeds = history.shifts(THROUGHPUT, "tokens_per_second")
    yield from shift_events(target.name, target.location, "output speed p50", "tok/s", speeds)
    yield from _served_models(history, samples)


def _served_models(history: TargetHistory, count: int) -> Iterator[Event]:
    url, target, since, until = history.url, history.target, history.asked_since, history.ends
    if since >= until:
        return

    def find(began: int, ended: int) -> ServedModel | None:
        return _first_served(url, target, began, ended)

    edges = [since + number * (until - since) // count for number in range(count + 1)]
    samples = [find(began, ended) for began, ended in pairwise(edges) if began < ended]
    newest = cache.newest_of(url, target)
    if newest is not None and newest.served_model and newest.started_at < until:
        samples.append(ServedModel(newest.started_at, newest.served_model))
    yield from served_model_events(target.name, target.location, samples, find)


def _first_served(url: str, target: Target, since: int, until: int) -> ServedModel | None:
    """The first response of a range that names its model: nearly always among the first few probes."""
    selection, columns = Selection(since, until, (target.name,)), ("started_at", "location", "served_model")
    for limit in (_FIRST_READ, None):
        count = 0
        for at, location, name in cache.store(url).read(PROBES, selection, columns=columns, limit=limit):
            count += 1
            if name and location == target.location:
                return ServedModel(at, name)
        if count < _FIRST_READ:
            break
    return None


def _declared(history: TargetHistory) -> Iterator[Event]:
    """Changes of what responses state besides the model; not of the provider where a router chooses it."""
    target, since, until = history.target, history.asked_since, history.ends
    names = [name for name in DECLARED if target.provider is not None or name != "provider"]
    if since >= until:
        return
    edges = [since + number * (until - since) // SAMPLES for number in range(SAMPLES + 1)]
    reads = [
        list(_read_stated(history.url, target, began, ended, limit=_SAMPLE_OF))
        for began, ended in pairwise(edges)
        if began < ended
    ]
    for name in names:
        samples = [_most_frequent(rows, name) for rows in reads]

        def find(began: int, ended: int, name: str = name) -> ServedModel | None:
            rows = (row for row in _read_stated(history.url, target, began, ended) if row[name] is not None)
            return next((ServedModel(row["at"], str(row[name])) for row in rows), None)

        yield from declared_events(DECLARED[name], target.name, target.location, samples, find)


def _read_stated(
    url: str, target: Target, since: int, until: int, limit: int | None = None
) -> Iterator[dict[str, Any]]:
    """What successful probes of the deciding profile state in a range: their prompts are of one kind."""
    columns = ("started_at", "location", "profile", "outcome", *DECLARED)
    selection = Selection(since, until, (target.name,))
    for at, *series, outcome, tokens, fingerprint, provider in cache.store(url).read(
        PROBES, selection, columns=columns, limit=limit
    ):
        if outcome == "ok" and series == [target.location, target.profile]:
            yield dict(zip(("at", *DECLARED), (at, tokens, fingerprint, provider), strict=True))


def _most_frequent(rows: Iterable[dict[str, Any]], name: str) -> ServedModel | None:
    """The most frequent value among some responses, at the first of them that states it."""
    known = [(row["at"], str(row[name])) for row in rows if row[name] is not None]
    counted = Counter(value for _, value in known).most_common(1)
    return next((ServedModel(at, value) for at, value in known if value == counted[0][0]), None)


def _catalog(url: str, targets: Sequence[Target]) -> Iterator[Event]:
    by_model: dict[str, list[Model]] = defaultdict(list)
    for model in cache.versions_of(url, tuple(sorted({target.model for target in targets}))):
        by_model[model.model].append(model)
    for name, wanted in sorted({(target.name, target.model) for target in targets}):
        own = [version for version in by_model[wanted] if version.source == name]
        yield from catalog_events(name, own or [v for v in by_model[wanted] if v.source == "openrouter"])


def _gaps(histories: Sequence[TargetHistory], *, is_fine: bool = True) -> Iterator[Event]:
    """A location has a gap where none of its targets was probed. `is_fine`: to five minutes in ranges up to 45 days."""
    by_location: dict[str, list[TargetHistory]] = defaultdict(list)
    for history in histories:
        by_location[history.target.location].append(history)
    for location, mine in sorted(by_location.items()):
        yield from gap_events(location, _location_bars(mine, is_fine=is_fine))


def _location_bars(histories: Sequence[TargetHistory], *, is_fine: bool) -> list[Bar]:
    rollups = []
    for history in histories:
        profile = history.target.profile
        rollups += history.hours(profile) if is_fine else history.of(profile)
    if not rollups:
        return []
    first, every_s = histories[0], min(history.target.every_s for history in histories)
    cell_ms = max(rollup.cell_ms for rollup in rollups)
    since = max(first.since, min(rollup.began for rollup in rollups))
    return bars_in(rollups, split_range(rollups, since, first.until, GAP_BARS, cell_ms, round(2_000 * every_s)))
