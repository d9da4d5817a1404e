"""How the targets did lately, as the store knows it: from probes and from what passed through a relay, this one or
another. For choosing among endpoints before enough has passed through this process.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from routing.selection import EndpointPerformance
from settings.targets import ProbeTarget
from store import Selection, Store
from store.clock import HOUR_MS
from store.horizon import horizon
from store.rollups import OUTCOMES
from store.schema import DOWN, UP, Probe
from store.sketch import counts_of, quantiles
from store.traffic import traffic_of

OUTAGE_MS = 30_000
"""A newest probe that failed is an outage for as long as the next one is due, and no shorter than this."""
LONGEST_OUTAGE_MS = 600_000
"""A probe that failed longer ago says nothing about now."""
RECENT_MS = HOUR_MS
"""Success and TTFT are of the hours that this reaches back into."""
SPEED_MS = 24 * HOUR_MS
"""The same for tokens per second: speed is probed once an hour."""
LIMITED = "rate_limited"
_COLUMNS = (*OUTCOMES, "ttft_ms", "tokens_per_second")
_NAMES = ("target", "location", "profile", "began", *_COLUMNS)


def recent_performance(store: Store, targets: Sequence[ProbeTarget], now: int) -> dict[str, EndpointPerformance]:
    """By the target's name; those of which nothing is known are left out. Raises StoreError.

    `success`: of attempts that say something about the target, rate limits held against it. Medians are within 1%.
    """
    names = tuple(target.name for target in targets)
    if not names:
        return {}
    rows = list(_hours(store, names, now - SPEED_MS))
    recent_since = now - RECENT_MS - (now - RECENT_MS) % HOUR_MS
    recent = _by_target(row for row in rows if row["began"] >= recent_since)
    day = _by_target(rows)
    down = _down_now(store, targets, now)
    return {
        name: EndpointPerformance(
            _success(recent.get(name, [])),
            _median(recent.get(name) or day.get(name, []), "ttft_ms"),
            _median(day.get(name, []), "tokens_per_second"),
            name in down,
        )
        for name in names
        if name in day or name in down
    }


def recent_cached_shares(store: Store, targets: Sequence[ProbeTarget], now: int) -> dict[str, float]:
    """Of the prompt tokens of the last hour's traffic, the share that came from a cache, by the target's name; those
    that had no traffic are left out. Raises StoreError.
    """
    names = tuple(target.name for target in targets)
    prompt: dict[str, int] = defaultdict(int)
    cached: dict[str, int] = defaultdict(int)
    for part in traffic_of(store).traffic_by_day(Selection(now - RECENT_MS, now, names)) if names else ():
        prompt[part.target] += part.prompt_tokens or 0
        cached[part.target] += part.cached_tokens or 0
    return {name: min(1.0, cached[name] / tokens) for name, tokens in prompt.items() if tokens}


def _hours(store: Store, names: tuple[str, ...], since: int) -> Iterator[dict[str, Any]]:
    selection = Selection(since=since - since % HOUR_MS, targets=names)
    for row in store.rollups("hour", selection, _COLUMNS):
        yield dict(zip(_NAMES, row, strict=True))


def _by_target(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["target"]].append(row)
    return dict(found)


def _success(rows: Iterable[dict[str, Any]]) -> float | None:
    ok = failed = 0
    for row in rows:
        ok += sum(row[outcome] for outcome in UP)
        failed += sum(row[outcome] for outcome in DOWN) + row[LIMITED]
    return ok / (ok + failed) if ok + failed else None


def _median(rows: Iterable[dict[str, Any]], column: str) -> float | None:
    together: dict[int, int] = defaultdict(int)
    for row in rows:
        for bucket, count in counts_of(row[column]).items():
            together[bucket] += count
    [median] = quantiles(together, (0.5,))
    return median


def _down_now(store: Store, targets: Sequence[ProbeTarget], now: int) -> set[str]:
    """Those whose newest probe that decides uptime failed."""
    wanted = {(target.name, target.profile): target for target in targets}
    newest: dict[tuple[str, str], Probe] = {}
    for series in store.series(horizon(now)):
        probe = series.newest
        before = newest.get((probe.target, probe.profile))
        if (probe.target, probe.profile) in wanted and (before is None or before.started_at < probe.started_at):
            newest[probe.target, probe.profile] = probe
    return {
        probe.target
        for key, probe in newest.items()
        if probe.outcome in DOWN and now - probe.started_at <= _outage_ms(wanted[key])
    }


def _outage_ms(target: ProbeTarget) -> float:
    return min(max(OUTAGE_MS, 2 * target.every_s * 1_000), LONGEST_OUTAGE_MS)
