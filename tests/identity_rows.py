"""The identity checks and epochs of one target, made as a collector makes them, over chances that a test says."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from stats.identity import LONG, Prediction
from stats.identity_epochs import Known, evaluate_check, write_observed
from store.clock import HOUR_MS
from store.identity_tables import IdentityCheck, IdentityEpoch
from tests.factories import NOON

STEP_MS = HOUR_MS // 4


def check(at: int, level: float, chance: random.Random, **more: Any) -> IdentityCheck:
    """One check of a model whose first token is `yes` at `level`, give or take what load does."""
    noise = chance.uniform(-0.02, 0.02)
    observed = write_observed((Prediction({"yes": level + noise, "no": -3.0 - noise}, 0),))
    return replace(IdentityCheck("t", at, "here", "logprobs", "ok", 1, 20, observed), **more)


class CheckedTarget:
    """The rows of one target, as a collector reads and writes them."""

    def __init__(self, began_at: int = NOON, name: str = "t") -> None:
        self.at, self.name = began_at, name
        self.chance = random.Random(19)
        self.epochs: dict[int, IdentityEpoch] = {}
        self.checks: list[IdentityCheck] = []

    @property
    def current(self) -> IdentityEpoch:
        return max(self.epochs.values(), key=lambda epoch: epoch.began_at)

    def known(self) -> Known:
        epochs = tuple(self.epochs[at] for at in sorted(self.epochs))
        if not epochs:
            return Known()
        mine = [one for one in self.checks if one.started_at >= self.current.began_at]
        scored = [(c.started_at, c.score) for c in mine if c.epoch_at == self.current.began_at and c.score is not None]
        return Known(epochs, tuple(mine if self.current.frozen_at is None else self.checks[-LONG:]), tuple(scored))

    def take(self, one: IdentityCheck) -> IdentityCheck:
        step = evaluate_check(self.known(), replace(one, target=self.name))
        self.checks.append(step.check)
        self.epochs |= {epoch.began_at: epoch for epoch in step.epochs}
        return step.check

    def make(self, count: int, level: float, **more: Any) -> None:
        for _ in range(count):
            self.take(check(self.at, level, self.chance, **more))
            self.at += STEP_MS
