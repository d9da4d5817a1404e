"""How the targets did in the store's last probes, for the ranking."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from routing.selection import EndpointPerformance
from settings.targets import ProbeTarget
from store import Selection, Store
from store.schema import DOWN, PROBES, UP

RECENT_MS = 30 * 60_000
COLUMNS = ("target", "outcome", "ttft_ms", "tokens_per_second", "started_at")


def recent_performance(store: Store, targets: Iterable[ProbeTarget], now: int) -> dict[str, EndpointPerformance]:
    """By the targets' names, of those that were probed in the last half hour. Raises StoreError."""
    names = tuple(target.name for target in targets)
    seen: dict[str, list[tuple[str, float | None, float | None]]] = {}
    recent = Selection(since=now - RECENT_MS, until=now + 1, targets=names)
    for name, outcome, ttft_ms, rate, _ in sorted(store.read(PROBES, recent, columns=COLUMNS), key=lambda row: row[-1]):
        if outcome in UP | DOWN:
            seen.setdefault(name, []).append((outcome, ttft_ms, rate))
    return {name: _performance(probes) for name, probes in seen.items()}


def _performance(probes: list[tuple[str, float | None, float | None]]) -> EndpointPerformance:
    firsts = [ttft for outcome, ttft, _ in probes if outcome in UP and ttft is not None]
    rates = [rate for outcome, _, rate in probes if outcome in UP and rate is not None]
    return EndpointPerformance(
        sum(outcome in UP for outcome, _, _ in probes) / len(probes),
        median(firsts) if firsts else None,
        median(rates) if rates else None,
        probes[-1][0] in DOWN,
    )
