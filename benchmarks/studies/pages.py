"""What the pages ask of SQLite, over a year of 100 targets at one probe a minute, and over a tenth of it.

    python -m benchmarks.studies.year sqlite:///data/year.db
    python -m benchmarks.studies.year sqlite:///data/tenth.db --days 36.5
    python -m benchmarks.studies.pages sqlite:///data/year.db sqlite:///data/tenth.db

Not part of `make bench`: making the year takes half an hour and 10 GB.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

from benchmarks.tools import by_series, machine, percentile, table
from stats.costs import COST_COUNTS, costs_begin_at
from stats.latency import median_line
from stats.samples import percentiles
from stats.status_bars import Failure, status_bars
from stats.summary import summary
from store import Selection, Store, open_store
from store.rollup_plan import Range, raw_rollups, rollups_of
from store.rollup_plan import days as days_of
from store.rollups import DAY_MS, HOUR_MS, Grid, Rollup
from store.schema import INCIDENTS, PROBES, Incident

RUNS = 25
MOST_MS, MOST_RATIO = 100.0, 1.5
ProbeRequest = Callable[[Store, str, int], Any]


def _window(store: Store, names: tuple[str, ...], days: float, now: int) -> list[Rollup]:
    return rollups_of(store, names, Range(now - int(days * DAY_MS), _ended(now)))


def _overview(store: Store, days: float, now: int, targets: tuple[str, ...] = ()) -> list[Rollup]:
    return rollups_of(store, targets, Range(now - int(days * DAY_MS), _ended(now)), coarse=True)


def _ended(now: int) -> int:
    """As the pages ask for a live range."""
    return now + -now % HOUR_MS


def _hours(store: Store, name: str, days: float, now: int) -> list[Rollup]:
    return rollups_of(store, (name,), Range(now - int(days * DAY_MS), _ended(now)), finest="hour")


def _raw_day(store: Store, name: str, now: int) -> list[Rollup]:
    return raw_rollups(store, (name,), Range(now - DAY_MS, now), lambda _: Grid(now, DAY_MS // 1_120, DAY_MS // 1_120))


def _failures(store: Store, name: str, days: int, now: int) -> list[Any]:
    selection = Selection(now - days * DAY_MS, now, (name,), failed=True)
    return list(store.read(PROBES, selection, columns=Failure._fields, newest_first=True, limit=1_000))


CALLS: dict[str, ProbeRequest] = {
    "every page: the series and their newest probes": lambda s, _n, _now: s.series(),
    "overview, 24 h: roll-ups of all targets": lambda s, _n, now: _overview(s, 1, now),
    "overview, 30 d: roll-ups of all targets": lambda s, _n, now: _overview(s, 30, now),
    "overview: costs of the month": lambda s, _n, now: days_of(s, COST_COUNTS, costs_begin_at(now)),
    "overview: incidents of 31 days": lambda s, _n, now: list(s.read(INCIDENTS, Selection(now - 31 * DAY_MS, now))),
    "model, 24 h: raw probes": _raw_day,
    "model, 30 d: roll-ups": lambda s, n, now: _window(s, (n,), 30, now),
    "model, 30 d: hours, for bands and change points": lambda s, n, now: _hours(s, n, 30, now),
    "model: the newest 200 probes": lambda s, n, _now: list(
        s.read(PROBES, Selection(targets=(n,)), newest_first=True, limit=200)
    ),
    "model, 30 d: failures": lambda s, n, now: _failures(s, n, 30, now),
}
OF_THE_YEAR: dict[str, ProbeRequest] = {
    "overview, 1 y: roll-ups of all targets": lambda s, _n, now: _overview(s, 365, now),
    "model, 1 y: roll-ups": lambda s, n, now: _window(s, (n,), 365, now),
    "model, 1 y: failures": lambda s, n, now: _failures(s, n, 365, now),
    "model, 1 y: incidents": lambda s, n, now: [
        Incident(*row) for row in s.read(INCIDENTS, Selection(now - 365 * DAY_MS, now, (n,)))
    ],
}


def timed(store: Store, ask: ProbeRequest, names: list[str], now: int) -> float:
    """The 95th percentile of some runs, in milliseconds, each of another target; the first two warm it."""
    chance = random.Random(4)
    times = []
    for _ in range(RUNS + 2):
        name = chance.choice(names)
        began = time.perf_counter()
        ask(store, name, now)
        times.append((time.perf_counter() - began) * 1_000)
    return percentile(times[2:], 0.95)


def overview_s(store: Store, targets: int) -> float:
    """Seconds that the overview's rows of the first `targets` take, over 24 hours: the store and the statistics."""
    found = store.series()
    now = max(series.newest.started_at for series in found)
    names = tuple(sorted({series.newest.target for series in found})[:targets])
    began = time.perf_counter()
    for rollups in by_series(_overview(store, 1, now, names if targets < len(found) else ())).values():
        whole = summary(rollups)
        whole.uptime(now - DAY_MS, now)
        for column in ("ttft_ms", "tokens_per_second"):
            percentiles(rollups, column)
            median_line(rollups, column, now - DAY_MS, now)
        status_bars(rollups, now - DAY_MS, now, 60.0)
    return time.perf_counter() - began


def main(
    year: Annotated[str, typer.Argument(help="A store that benchmarks.studies.year filled.")],
    tenth: Annotated[str, typer.Argument(help="Another one, with a tenth of the days.")],
    wide: Annotated[str | None, typer.Option(help="One with 1,000 targets, for the overview alone.")] = None,
) -> None:
    """Print the tables, as Markdown."""
    if wide is not None:
        store = open_store(wide, read_only=True)
        overview_s(store, 1_000)
        lines = [[f"{n:,}", f"{sorted(overview_s(store, n) for _ in range(5))[2]:.2f} s"] for n in (100, 500, 1_000)]
        print(table(("targets", "overview, 24 h: store and statistics"), lines) + "\n")
    stores = [open_store(url, read_only=True) for url in (year, tenth)]
    nows = [max(series.newest.started_at for series in store.series()) for store in stores]
    names = sorted({series.newest.target for series in stores[0].series()})
    count = stores[0].count(PROBES)
    rows = []
    for what, ask in CALLS.items():
        long, short = (timed(store, ask, names, now) for store, now in zip(stores, nows, strict=True))
        kept_it = long <= MOST_MS and (long <= MOST_RATIO * short or long - short < 2)
        rows.append([what, f"{long:.1f} ms", f"{short:.1f} ms", f"{long / short:.2f}", "" if kept_it else "NOT KEPT"])
    for what, ask in OF_THE_YEAR.items():
        long = timed(stores[0], ask, names, nows[0])
        rows.append([what, f"{long:.1f} ms", "", "", "" if long <= MOST_MS else "NOT KEPT"])
    found = _overview(stores[0], 1, nows[0])
    began = time.perf_counter()
    for rollups in by_series(found).values():
        percentiles(rollups, "ttft_ms")
    rows.append(["statistics of that overview, 24 h", f"{(time.perf_counter() - began) * 1_000:.1f} ms", "", "", ""])
    print(f"Measured on {machine()}, over {count:,} probes.\n")
    print(table(("p95", "a year", "a tenth of it", "ratio", ""), rows))


if __name__ == "__main__":
    typer.run(main)
