"""Recent performance of the targets in the store: of probes, and of traffic of this relay and others. For choosing
among endpoints before enough has passed through this process.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from routing.selection import EndpointPerformance
from settings.targets import ProbeTarget
from stats.overload import is_believed
from stats.traffic_uptime import uptime
from store import Selection, Store
from store.clock import HOUR_MS, MINUTE_MS
from store.horizon import horizon
from store.outcomes import DOWN, UP
from store.rollups import OUTCOMES
from store.schema import PROBES, REQUESTS, Probe
from store.sketch import interpolate, quantiles, unpack_sketch
from store.traffic import TrafficMinute, traffic_of

OUTAGE_MS = 30_000
"""A newest probe that failed is an outage for as long as the next one is due, and no shorter than this."""
LONGEST_OUTAGE_MS = 600_000
"""A probe that failed longer ago says nothing about now."""
RECENT_MS = HOUR_MS
"""Success and TTFT are of the hours that this reaches back into."""
SPEED_MS = 24 * HOUR_MS
"""The same for tokens per second: speed is probed once an hour."""
REPORT_MS, SHORT_REPORT_MS = HOUR_MS // 2, 5 * MINUTE_MS
"""The last 30 minutes and the last 5, as the reference reports them."""
MOST_SAMPLES = 500
_PROBED = ("started_at", "outcome", "lag_ms", "ttft_ms", "tokens_per_second")
_PASSED = ("outcome", "ttft_ms", "tokens_per_second")
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


@dataclass(frozen=True)
class RecentReport:
    """What `/endpoints` reports of a target, in the reference's units: uptimes in percent, TTFT in milliseconds and
    output speed in tokens per second by percentile; null where nothing is known.
    """

    uptime_5m: float | None
    uptime_30m: float | None
    uptime_1d: float | None
    latency: dict[str, float] | None
    throughput: dict[str, float] | None


def recent_reports(store: Store, targets: Sequence[ProbeTarget], now: int) -> dict[str, RecentReport]:
    """By the target's name. The uptime of minutes is that of traffic where enough passed, else that of probes; that of
    a day is of the attempts and probes of its hours. Times and speeds are of the newest `MOST_SAMPLES` of each.
    Raises StoreError.
    """
    names = tuple(target.name for target in targets)
    if not names:
        return {}
    minutes: dict[str, list[TrafficMinute]] = defaultdict(list)
    for minute in traffic_of(store).traffic_by_minute(Selection(now - REPORT_MS, horizon(now), names)):
        minutes[minute.target].append(minute)
    day = _by_target(_hours(store, names, now - SPEED_MS))
    return {name: _recent_report(store, name, minutes[name], day.get(name, []), now) for name in names}


def _recent_report(
    store: Store, name: str, minutes: list[TrafficMinute], day: list[dict[str, Any]], now: int
) -> RecentReport:
    selection = Selection(now - REPORT_MS, horizon(now), (name,))
    rows = list(store.read(PROBES, selection, columns=_PROBED, newest_first=True, limit=MOST_SAMPLES))
    passed = list(store.read(REQUESTS, selection, columns=_PASSED, newest_first=True, limit=MOST_SAMPLES))
    believed = [measured for _, outcome, lag_ms, *measured in rows if is_believed(outcome, lag_ms)]
    believed += [measured for outcome, *measured in passed if outcome in UP]
    times, speeds = ([one[place] for one in believed if one[place] is not None] for place in (0, 1))
    counted = [(at, outcome) for at, outcome, *_ in rows]
    recently = [minute for minute in minutes if minute.minute >= now - SHORT_REPORT_MS]
    of_day = Counter({outcome: sum(row[outcome] for row in day) for outcome in OUTCOMES})
    return RecentReport(
        _percent(uptime(recently).share, Counter(outcome for at, outcome in counted if at >= now - SHORT_REPORT_MS)),
        _percent(uptime(minutes).share, Counter(outcome for _, outcome in counted)),
        _percent(None, of_day),
        _percentiles(times),
        _percentiles(speeds),
    )


def _percent(share: float | None, outcomes: Mapping[str, int]) -> float | None:
    """A share in percent; without one, the share of the outcomes that were up."""
    if share is None:
        up, down = (sum(outcomes.get(outcome, 0) for outcome in kind) for kind in (UP, DOWN))
        share = up / (up + down) if up + down else None
    return None if share is None else round(100 * share, 4)


def _percentiles(values: list[float]) -> dict[str, float] | None:
    ordered = sorted(values)
    shares = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p99": 0.99}
    return (
        {name: interpolate(ordered.__getitem__, len(ordered), at) for name, at in shares.items()} if ordered else None
    )


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
        for bucket, count in unpack_sketch(row[column]).items():
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
