"""The data of the overview's sentence: states, and the last half hour of reports and traffic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from urllib.parse import SplitResult, urlsplit

import streamlit as st

from pages.queries import cache, traffic
from pages.queries.target_history import TargetHistory
from routing.prices import is_of_provider
from settings.addresses import ip_address_of, is_loopback
from stats.situation import Observation
from store import Selection
from store.clock import MINUTE_MS, now_ms
from store.horizon import horizon
from store.schema import ENDPOINT_STATS, Target
from store.traffic import traffic_of

RECENT_MS = 30 * MINUTE_MS
FRESH_MS = 20 * MINUTE_MS
"""An older report says nothing about the last 30 minutes; reports are read every 10 minutes."""
NEW_SLOTS = 5
MOST_CLAIMS = 12
"""Models whose reports are read, first those of targets that are not up: each takes a query."""
Share = tuple[float, float]


def observations(url: str, histories: Sequence[TargetHistory], now: int) -> list[Observation]:
    """Each target at each location as it is `now` (milliseconds UTC)."""
    worst_first = sorted(histories, key=lambda one: one.state.status == "up")
    listed = cache.endpoint_counts(url)
    models = [model for model in dict.fromkeys(one.target.model for one in worst_first) if model in listed]
    claims = _claims(url, tuple(sorted(models[:MOST_CLAIMS]))) if models else {}
    passed = _requests(url, cache.rounded(now, MINUTE_MS))
    return [_observation(one, claims, passed.get(one.target.name, (0, 0)), now) for one in histories]


def _observation(
    history: TargetHistory, claims: Mapping[str, Mapping[str, float]], passed: tuple[int, int], now: int
) -> Observation:
    target, state = history.target, history.state
    newest = cache.newest_of(history.url, target)
    return Observation(
        name=target.name,
        location=target.location,
        host=host_of(target),
        is_remote=_is_remote(target),
        model=target.model,
        provider=target.provider,
        status=state.status,
        is_offline=state.outcome == "offline",
        is_new=now - history.first_at < NEW_SLOTS * target.every_s * 1_000,
        since=state.since,
        probed_at=newest.started_at if newest is not None else None,
        has_response=newest is not None and newest.http_status is not None,
        claimed=_claimed(target, claims.get(target.model, {})),
        requests=passed[0],
        failed=passed[1],
    )


def _is_remote(target: Target) -> bool:
    """Whether a target is outside the collector's own network: a response from it shows that the network works."""
    host = _split(target.base_url).hostname or ""
    address = ip_address_of(host)
    return not is_loopback(host) and (not address.is_private if address is not None else "." in host)


def host_of(target: Target) -> str:
    """The host of a target's base URL, with its port where it names one."""
    return _split(target.base_url).netloc.rpartition("@")[2]


def _split(url: str) -> SplitResult:
    """The parts of a URL; an invalid one, of an imported row, is all path."""
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", url, "", "")


def _claimed(target: Target, by_tag: Mapping[str, float]) -> Share | None:
    """The lowest and highest reported uptime; for a target pinned to a provider, of that provider's endpoints."""
    provider = target.provider
    mine = [share for tag, share in by_tag.items() if provider is None or is_of_provider(tag, provider)]
    return (min(mine), max(mine)) if mine else None


# 10 ms a model with 90 days of reports: only the very first viewer waits for it
@st.cache_data(ttl=60, max_entries=4, show_spinner=False, refresh_mode="background")
def _claims(url: str, models: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """The newest reported uptime of each endpoint over the last 30 minutes, by model and tag."""
    now = now_ms()
    columns = ("model", "tag", "seen_at", "uptime_30m")
    selection = Selection(now - FRESH_MS, horizon(now), models)
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for model, tag, _, share in cache.store(url).read(ENDPOINT_STATS, selection, columns=columns):
        if share is not None:
            found[model][tag] = share  # rows are oldest first
    return dict(found)


@st.cache_resource(ttl=60, max_entries=4, show_spinner=False)
def _requests(url: str, now: int) -> dict[str, tuple[int, int]]:
    """The relay's attempts of the last 30 minutes that succeeded or failed, and how many failed, by target."""
    names = tuple(traffic.targets(url))
    if not names:
        return {}
    found: dict[str, tuple[int, int]] = {}
    for minute in traffic_of(cache.store(url)).traffic_by_minute(Selection(now - RECENT_MS, now + MINUTE_MS, names)):
        requests, failed = found.get(minute.target, (0, 0))
        found[minute.target] = requests + minute.ok + minute.failed, failed + minute.failed
    return found
