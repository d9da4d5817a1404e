"""One probe of a target that is not recorded, and what a day of it costs: for `check` and `add`."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collectors.contract import DayOfChecks
    from collectors.scheduler.state import SchedulerState
    from routing.prices import Price
    from settings.targets import Config, ProbeTarget
    from store.schema import Probe

DAY_S = 86_400


@dataclass(frozen=True)
class Trial:
    """How one probe ended. `outcome` is null when none was sent, or when Uptoken itself failed."""

    words: str
    outcome: str | None = None
    error: str | None = None
    ttft_ms: float | None = None
    total_ms: float | None = None
    is_bug: bool = False
    waits_for_key: bool = False

    @property
    def reason(self) -> str:
        """The outcome and error, as the pages write them; the words where there is no error."""
        return f"{self.outcome.replace('_', ' ')}: {self.error}" if self.outcome and self.error else self.words

    @property
    def is_reached(self) -> bool:
        """Whether the model is there: a rate limit shows that, too."""
        return self.outcome in ("ok", "rate_limited")


class MaxCost(Protocol):
    """The most that one request of a profile can cost, or one with a longer prompt."""

    def __call__(self, profile: str, *, prompt_tokens: int | None = None) -> Decimal:
        """In USD."""


@dataclass(frozen=True)
class DayCost:
    """Probes a day, the most that they cost in USD, and that in words."""

    probes: float
    usd: Decimal
    words: str


def try_target(state: SchedulerState, target: ProbeTarget) -> Trial:
    """Probe a target once, in the same way as a collector does."""
    from collectors.http.own_limits import own_limit
    from collectors.http.redaction import root_cause, safe_error
    from collectors.probe import probe_once
    from collectors.scheduler.console import WORD, report_bug, verdict
    from collectors.scheduler.probing import ProbeSeries, make_probe
    from store.schema import Probe

    if target.waits_for_key:
        return Trial(f"waiting for a key: {target.where_key_belongs}", waits_for_key=True)
    try:
        with state.concurrency.hold(target, threading.Event()):
            results = make_probe(state, probe_once, ProbeSeries(target, target.profile, target.every_s))
    except Exception as problem:  # noqa: BLE001  a bug with one target must not stop the others
        if limit := own_limit(problem):
            return Trial(f"{WORD[None]}, offline: {limit}", "offline")
        report_bug(target.name, problem)
        return Trial(f"error in Uptoken: {safe_error(root_cause(problem))}", is_bug=True)
    probe = next(result.row for result in results if isinstance(result.row, Probe))
    if probe.error is not None:
        words = f"{WORD[verdict(probe.outcome)]}, {probe.outcome}: {probe.error}"
    else:
        words = _describe_success(target, probe)
    return Trial(words, probe.outcome, probe.error, probe.ttft_ms, probe.total_ms)


def _describe_success(target: ProbeTarget, probe: Probe) -> str:
    if target.api == "embeddings":
        return f"up, a vector after {probe.total_ms or 0:.0f} ms"
    if probe.ttft_ms is None and probe.total_ms is None:
        return "up (no visible output: the tokens were hidden reasoning, or a filter removed the text)"
    if probe.ttft_ms is None:
        return "up (not streamed, so there is no time to first token)"
    return f"up, first token after {probe.ttft_ms:.0f} ms"


def cost_of_day(
    config: Config,
    target: ProbeTarget,
    price: Price | None,
    max_probe_cost: MaxCost,
    context_tokens: int | None = None,
) -> DayCost:
    """What a day of a target's probes and checks costs at most, at its price (null: unknown), also while its identity
    is learned, or on the one day of the week with its tests. `context_tokens`: as its catalog states them.
    """
    if target.waits_for_key:
        return DayCost(0, Decimal(0), "nothing until it has a key")
    counts = probes_per_day(config, target)
    usd = sum((max_probe_cost(profile) * Decimal(n) for profile, n in counts.items()), Decimal(0))
    for days in days_of_checks(target, context_tokens).values():
        usd += sum((_cost(day, day.most_requests, max_probe_cost) for day in days), Decimal(0))
    if price is None:
        words = "price unknown; on this machine" if target.is_loopback else f"${usd:.4f}, price unknown, assumed high"
    else:
        words = f"${usd:.4f}" if usd else "free"
    return DayCost(sum(counts.values()), usd, words)


def cost_of_checks(days: list[DayOfChecks], max_probe_cost: MaxCost) -> Decimal:
    """The most that they can cost in a usual day, in USD."""
    return sum((_cost(day, day.requests, max_probe_cost) for day in days), Decimal(0))


def _cost(day: DayOfChecks, requests: float, max_probe_cost: MaxCost) -> Decimal:
    return max_probe_cost(day.profile, prompt_tokens=day.prompt_tokens) * Decimal(requests)


def days_of_checks(target: ProbeTarget, context_tokens: int | None = None) -> dict[str, list[DayOfChecks]]:
    """The days of a target's checks, by the collector's name."""
    from collectors.contract import CheckCollector
    from collectors.registry import COLLECTORS

    checking = {name: one for name, one in COLLECTORS.items() if isinstance(one, CheckCollector)}
    return {name: days for name, one in checking.items() if (days := one.day(target, context_tokens))}


def probes_per_day(config: Config, target: ProbeTarget) -> dict[str, float]:
    """Probes a day by profile, within the target's own limit and that of free models."""
    counts = {profile: DAY_S / every_s for profile, every_s in target.schedules}
    if target.requests_per_day is not None:
        counts = {profile: min(count, target.requests_per_day) for profile, count in counts.items()}
    if target.is_free_variant:
        quota = config.collector.free_requests_per_day
        counts = {profile: min(count, quota) for profile, count in counts.items()}
    return counts
