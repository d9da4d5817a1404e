"""Identity checks of a target: whether it still serves the same model."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from pages.queries import cache, events
from pages.queries.time_range import TimeRange
from stats.events import Event
from stats.identity import JUDGED_SCORES
from stats.identity_changes import IdentityChange, identity_changes
from stats.identity_history import (
    CurrentEpoch,
    ScoreBand,
    TokenChance,
    current_epoch,
    distance_between,
    first_tokens,
    own_noise,
    score_bands,
)
from store import Selection
from store.identity_tables import IDENTITY_CHECKS, IDENTITY_EPOCHS, IdentityCheck, IdentityEpoch
from store.schema import Target

LANES: dict[str, tuple[str, ...]] = {
    "TTFT": ("change_point", "TTFT"),
    "speed": ("change_point", "output speed"),
    "price": ("price", ""),
    "served model": ("served_model", ""),
    "declared": ("declared", ""),
}
"""Events that may explain why a model's answers changed: their kind, and how their text begins."""
_NEWEST = 32


@dataclass(frozen=True)
class IdentityView:
    """Results of the checks of one target at one location. `tokens`: by prompt, before and after the last change."""

    current: CurrentEpoch
    changes: list[IdentityChange]
    scores: list[tuple[int, float]]
    bands: list[ScoreBand]
    lanes: dict[str, list[tuple[int, str]]]
    tokens: list[list[TokenChance]]


def identity_view(url: str, target: Target, window: TimeRange) -> IdentityView | None:
    """The results in a range; null for a target without a check at this location."""
    return _identity_view(url, target, window.since, window.until, window.is_live)


@st.cache_resource(ttl=60, max_entries=32, show_spinner=False, hash_funcs={Target: hash})
def _identity_view(url: str, target: Target, since: int, until: int, is_live: bool) -> IdentityView | None:
    store, names = cache.store(url), (target.name,)
    rows = (IdentityEpoch(*row) for row in store.read(IDENTITY_EPOCHS, Selection(targets=names)))
    epochs = [epoch for epoch in rows if epoch.location == target.location]
    if not epochs:
        return None
    newest = epochs[-1]
    columns = ("started_at", "location", "outcome", "epoch_at", "score")
    selection = Selection(min(since, newest.began_at), targets=names)
    checks = [row for row in store.read(IDENTITY_CHECKS, selection, columns=columns) if row[1] == target.location]
    mine = [row for row in checks if row[0] >= newest.began_at and row[2] == "ok"]
    scores = [score for *_, epoch_at, score in mine if epoch_at == newest.began_at and score is not None]
    frozen_at = newest.frozen_at
    unscored = sum(score is None for at, *_, score in mine if frozen_at is not None and at > frozen_at)
    happened = events.target_events(url, target, TimeRange(since, until, is_live, ""))
    return IdentityView(
        current_epoch(newest, scores[-JUDGED_SCORES:], len(mine), unscored),
        identity_changes(epochs),
        [(at, score) for at, *_, score in checks if since <= at < until and score is not None],
        score_bands(epochs, since, until),
        {name: _steps(happened, *wanted) for name, wanted in LANES.items()},
        _tokens(url, target, epochs),
    )


@dataclass(frozen=True)
class Distances:
    """Distances between the current epochs of targets, in nats: one row and one column per target, in the same order.
    On the diagonal, the distance between a target's own checks. Null where two cannot be compared.
    """

    names: list[str]
    rows: list[list[float | None]]


@st.cache_data(ttl=300, max_entries=16, show_spinner=False, hash_funcs={Target: hash})
def distances(url: str, targets: tuple[Target, ...]) -> Distances | None:
    """The distances between the targets that have a reference; null unless there are two."""
    found: dict[str, IdentityEpoch] = {}
    for target in targets:
        rows = cache.store(url).read(IDENTITY_EPOCHS, Selection(targets=(target.name,)))
        mine = [epoch for row in rows if (epoch := IdentityEpoch(*row)).location == target.location]
        if mine and own_noise(mine[-1]) is not None:
            found[target.name] = mine[-1]
    if len(found) < 2:
        return None
    rows_of = [
        [own_noise(one) if one is other else distance_between(one, other) for other in found.values()]
        for one in found.values()
    ]
    return Distances(list(found), rows_of)


def _steps(happened: list[Event], kind: str, beginning: str) -> list[tuple[int, str]]:
    return [(event.at, event.text) for event in happened if event.kind == kind and event.text.startswith(beginning)]


def _tokens(url: str, target: Target, epochs: list[IdentityEpoch]) -> list[list[TokenChance]]:
    """First tokens in the last epoch that ended, and in the newest check."""
    ended = [epoch for epoch in epochs if epoch.ended_at is not None and epoch.reference is not None]
    if not ended:
        return []
    rows = cache.store(url).read(IDENTITY_CHECKS, Selection(targets=(target.name,)), newest_first=True, limit=_NEWEST)
    seen = (check for row in rows if (check := IdentityCheck(*row)).location == target.location and check.observed)
    after = next(seen, None)
    return first_tokens(ended[-1], after) if after is not None else []
