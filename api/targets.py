"""`/api/v1/targets`: what is probed, its state now, and each target's summary and series.

A name is percent-encoded in a path, its slashes included. A slash that is not encoded (some proxies decode them)
belongs to the name, too, unless what follows it is a word of the API.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from api.endpoint import Answer
from api.errors import ApiError
from api.parameters import one, path_parts
from api.rows import at_or_null, words
from pages.queries import cache
from pages.queries.source import store_url
from pages.queries.target_history import target_states
from stats.incidents import TargetState, majority
from store.clock import now_ms
from store.schema import Target

PREFIX = "/api/v1/targets/"


def target_list(_request: Request) -> Answer:
    """Every target that is configured."""
    url = store_url()
    by_name: dict[str, list[Target]] = {}
    for target in known(url):
        by_name.setdefault(target.name, []).append(target)
    states = _states(url)
    return Answer({"targets": [describe(url, mine, states) for _, mine in sorted(by_name.items())]})


def one_target(request: Request, name: str) -> Answer:
    """One target, with each location that probes it."""
    url = store_url()
    return Answer(describe(url, named(url, name), _states(url)))


def known(url: str) -> list[Target]:
    """The targets that the pages show: those that were removed from the configuration are not among them."""
    return [target for target in cache.targets(url) if target.state != "removed"]


def named(url: str, name: str, location: str | None = None) -> list[Target]:
    """A target at each location that probes it, or at one of them. Raises ApiError."""
    mine = [target for target in known(url) if target.name == name]
    if not mine:
        raise ApiError(f"there is no target {name[:100]!r}: /api/v1/targets lists them", 404)
    chosen = [target for target in mine if location in (None, target.location)]
    if not chosen:
        places = ", ".join(sorted(target.location for target in mine))
        raise ApiError(f"{name!r} is not probed from {(location or '')[:100]!r}: its locations are {places}", 404)
    return sorted(chosen, key=lambda target: target.location)


def asked(request: Request, url: str, name: str) -> list[Target]:
    """The same with the location that the query names."""
    return named(url, name, one(request, "location"))


def split_path(request: Request, words_after: tuple[str, ...]) -> tuple[str, str]:
    """The target's name in the path, and the word after it; empty without one."""
    parts = path_parts(request, PREFIX)
    if len(parts) > 1 and parts[-1] in words_after:
        return "/".join(parts[:-1]), parts[-1]
    return "/".join(parts), ""


def _states(url: str) -> dict[tuple[str, str], TargetState]:
    targets = known(url)
    states = target_states(url, targets, now_ms())
    return {(target.name, target.location): state for target, state in zip(targets, states, strict=True)}


def describe(url: str, mine: list[Target], states: dict[tuple[str, str], TargetState]) -> dict[str, Any]:
    """A target as JSON. Its state is down only where most of its locations see it down."""
    first = mine[0]
    first_at = cache.first_at(url)
    return {
        "name": first.name,
        "model": first.model,
        "provider": first.provider,
        "base_url": first.base_url,
        "api": first.api,
        "tags": words(first.tags),
        "every_s": first.every_s,
        "throughput_every_s": first.throughput_every_s,
        "first_probe_at": at_or_null(first_at.get(first.name)),
        "state": _state(majority([states[target.name, target.location] for target in mine])),
        "locations": [_location(url, target, states[target.name, target.location]) for target in mine],
    }


def _location(url: str, target: Target, state: TargetState) -> dict[str, Any]:
    newest, rest = cache.newest_of(url, target), cache.resting(url, target, now_ms())
    return {
        "location": target.location,
        "state": _state(state),
        "rests_until": at_or_null(rest[0] if rest is not None else None),
        "last_probe_at": at_or_null(newest.started_at if newest is not None else None),
        "last_outcome": newest.outcome if newest is not None else None,
        "last_ttft_ms": newest.ttft_ms if newest is not None else None,
    }


def _state(state: TargetState) -> dict[str, Any]:
    return {"status": state.status, "since": at_or_null(state.since), "outcome": state.outcome}
