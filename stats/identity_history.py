"""A target's identity over a range: its epochs, the state of the current one, and first tokens side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from stats.identity import LEARNING_CHECKS, Prediction, Splits, judge, median_score, rolling_splits
from stats.identity_epochs import (
    DECLARED,
    LOGPROBS,
    is_learning,
    read_calibration,
    read_observed,
    read_reference,
    score_of,
)
from store.identity_tables import IdentityCheck, IdentityEpoch

SHOWN_TOKENS = 8
LEAST_SHOWN = 0.005

Status = Literal["learning", "same", "unstable", "declared"]


@dataclass(frozen=True)
class ScoreBand:
    """One epoch on a chart (milliseconds UTC), with the highest score of its calibration."""

    since: int
    until: int
    highest: float | None


@dataclass(frozen=True)
class CurrentEpoch:
    """The state of the current epoch. `unscored`: checks that could not be compared with the reference."""

    status: Status
    since: int
    checks: int
    unscored: int
    splits: Splits
    is_logprobs: bool
    highest: float | None

    @property
    def left_to_learn(self) -> int:
        """How many more checks it needs before any can be compared."""
        return max(0, LEARNING_CHECKS - self.checks) if self.status == "learning" else 0


@dataclass(frozen=True)
class TokenChance:
    """A token's chance, 0 to 1, before and after; null where it was not among the listed ones."""

    token: str
    before: float | None
    after: float | None


def score_bands(epochs: Sequence[IdentityEpoch], since: int, until: int) -> list[ScoreBand]:
    """The epochs within a range, clipped to it."""
    bands = []
    for epoch in epochs:
        began, ended = max(epoch.began_at, since), min(epoch.ended_at or until, until)
        if began < ended:
            bands.append(ScoreBand(began, ended, max(read_calibration(epoch), default=None)))
    return bands


def current_epoch(epoch: IdentityEpoch, scores: Sequence[float], checks: int, unscored: int) -> CurrentEpoch:
    """The state of an epoch that has not ended; `scores` are its newest ones, oldest first."""
    calibration = read_calibration(epoch)
    splits = rolling_splits(calibration, scores)
    status: Status = "learning" if is_learning(epoch) else "same"
    if status == "same" and (not splits.is_stable or judge(calibration, scores).status == "unstable"):
        status = "unstable"
    if epoch.method == DECLARED:
        status = "declared"
    highest = max(calibration, default=None)
    return CurrentEpoch(status, epoch.began_at, checks, unscored, splits, epoch.method == LOGPROBS, highest)


def first_tokens(before: IdentityEpoch, after: IdentityCheck) -> list[list[TokenChance]]:
    """By prompt, the likeliest first tokens of an epoch that ended and of a check since; none without both."""
    reference, mine = read_reference(before), read_observed(after)
    if reference is None or mine is None:
        return []
    return [
        pair_tokens(old, new)
        for old, new in zip(reference[-1], mine, strict=False)
        if isinstance(old, Prediction) and isinstance(new, Prediction)
    ]


def distance_between(one: IdentityEpoch, other: IdentityEpoch) -> float | None:
    """The median distance of the reference checks of one target's epoch from those of another's, in nats; null when
    they cannot be compared: without logprobs, while either learns, or when their prompts were cached differently.
    """
    mine, theirs = read_reference(one), read_reference(other)
    if mine is None or theirs is None or (one.method, other.method) != (LOGPROBS, LOGPROBS):
        return None
    return median_score([score for check in mine if (score := score_of(check, theirs)) is not None])


def own_noise(epoch: IdentityEpoch) -> float | None:
    """The median distance of equal checks of an epoch; null while it learns."""
    return median_score(read_calibration(epoch)) if epoch.method == LOGPROBS else None


def pair_tokens(before: Prediction, after: Prediction, most: int = SHOWN_TOKENS) -> list[TokenChance]:
    """The tokens that are likeliest in either, the likeliest first."""
    pairs = [
        TokenChance(token, _chance(before, token), _chance(after, token))
        for token in before.logprobs.keys() | after.logprobs.keys()
    ]
    listed = sorted(pairs, key=lambda pair: (-max(pair.before or 0.0, pair.after or 0.0), pair.token))
    return [pair for pair in listed[:most] if max(pair.before or 0.0, pair.after or 0.0) >= LEAST_SHOWN]


def _chance(prediction: Prediction, token: str) -> float | None:
    logprob = prediction.logprobs.get(token)
    return None if logprob is None else math.exp(logprob)
