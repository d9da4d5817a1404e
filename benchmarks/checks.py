"""Generated checks: of identity as a collector makes them, of capabilities, and workloads; nothing was measured."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from stats.capabilities import CAPABILITIES
from stats.identity import LONG, Prediction
from stats.identity_epochs import Known, evaluate_check, write_observed
from store.capability_tables import CapabilityTest
from store.clock import DAY_MS, HOUR_MS
from store.identity_tables import IdentityCheck, IdentityEpoch
from store.schema import Row
from store.workload_tables import WorkloadRequest

STEP_MS = HOUR_MS // 4


def check(at: int, level: float, chance: random.Random, **more: Any) -> IdentityCheck:
    """One check of a model whose first token is `yes` at `level`, give or take what load does."""
    noise = chance.uniform(-0.02, 0.02)
    observed = write_observed((Prediction({"yes": level + noise, "no": -3.0 - noise}, 0),))
    return replace(IdentityCheck("t", at, "here", "logprobs", "ok", 1, 20, observed), **more)


class CheckedTarget:
    """The rows of one target, as a collector reads and writes them."""

    def __init__(self, began_at: int, name: str = "t") -> None:
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


# -- for the demonstration

CHECKED, CHANGED_DAYS_AGO = "Gemma 3 27B", 4
TOKENS = {" blue": -0.4, " clear": -1.9, " grey": -2.6, " dark": -3.2, " not": -3.9, " full": -4.5}
REQUANTIZED = {" blue": 0.0, " clear": 0.5, " grey": 0.6, " dark": -0.4, " not": -0.7, " full": 0.6}
LOST = {
    ("Gemma 3 4B, Provider B", "tools"): (3, "no tool call was made"),
    (CHECKED, "seed"): (30, "the two texts differ"),
}
"""Since how many days a target does not do what it did, and why."""
CLAIMED = {"tools", "structured_outputs", "temperature"}
LADDER = {"Gemma 3 4B, Provider A": (350, 0.031, 90, 0.02, 0.04), CHECKED: (610, 0.058, 41, 0.08, 0.16)}
"""TTFT of an empty prompt and for each of its tokens (ms), output tokens per second, USD per million tokens in, out."""


def checks(now: int, days: int) -> Iterator[Row]:
    """Rows of checks that end at `now` (milliseconds UTC): one target that was requantized, one that calls no tools."""
    yield from _identity(now, days)
    chance = random.Random(3)
    for name in (*LADDER, "Gemma 3 4B, Provider B"):
        for day in range(days):
            for what in CAPABILITIES:
                lost, why = LOST.get((name, what), (0, None))
                verdict, reason = ("fails", why) if day < lost else ("holds", None)
                at, is_claimed = now - day * DAY_MS - 2 * HOUR_MS, what in CLAIMED or None
                yield CapabilityTest(name, at, "demo", what, verdict, "ok", 1, is_claimed, reason, cost_usd=9e-6)
    for name in LADDER:
        for run in range(4 * days):
            yield from _ladder(name, now - run * 6 * HOUR_MS - HOUR_MS, chance)


def _identity(now: int, days: int) -> Iterator[Row]:
    changed_at = now - CHANGED_DAYS_AGO * DAY_MS
    target = CheckedTarget(now - days * DAY_MS, CHECKED)
    while target.at < now:
        shift = REQUANTIZED if target.at >= changed_at else {}
        noise = target.chance.uniform(-0.02, 0.02)
        prompts = [Prediction({token: lp + shift.get(token, 0) + noise for token, lp in TOKENS.items()}, 0)] * 2
        observed = write_observed(tuple(prompts))
        one = IdentityCheck(CHECKED, target.at, "demo", "logprobs", "ok", 2, 6, observed, cost_usd=4.4e-6)
        target.take(one)
        target.at += STEP_MS if target.current.frozen_at is None else HOUR_MS
    yield from target.checks
    yield from target.epochs.values()


def _ladder(name: str, at: int, chance: random.Random) -> Iterator[Row]:
    base, slope, speed, usd_in, usd_out = LADDER[name]
    for kind, size, cached in (
        *(("size", size, 0) for size in (100, 1_000, 10_000)),
        ("first", 5_000, 0),
        ("again", 5_000, 4_864),
    ):
        ttft = (base + slope * (size - cached)) * chance.lognormvariate(0, 0.1)
        rate = speed * chance.lognormvariate(0, 0.05)
        usd = ((size - cached) * usd_in + cached * usd_in / 4 + 128 * usd_out) / 1e6
        yield WorkloadRequest(
            name, at, "demo", "ladder", kind, size, "ok", size - 35, size, cached, 128, 200,
            round(ttft, 1), round(ttft + 128_000 / rate, 1), round(rate, 2), usd_in, usd_out, usd,
        )  # fmt: skip
