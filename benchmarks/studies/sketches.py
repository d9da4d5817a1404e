"""Percentiles from roll-ups beside the exact ones, of every target over a year, a month and a day.

    python -m benchmarks.studies.year sqlite:///data/year.db
    python -m benchmarks.studies.sketches sqlite:///data/year.db

Not part of `make bench`: making the year takes half an hour.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer

from benchmarks.tools import by_series, table
from stats.samples import samples
from store import Selection, Store, open_store
from store.outcomes import UP
from store.rollup_plan import Range, rollups_of
from store.rollups import DAY_MS, SKETCHED
from store.schema import LAG_LIMIT_MS, PROBES

MOST_ERROR = 0.01
SHARES = (0.5, 0.75, 0.9, 0.95, 0.99)
WINDOWS = {"a year": 365, "30 days": 30, "a day": 1}
Values = dict[tuple[str, str], tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]


def measured(store: Store, name: str) -> Values:
    """A target's believed samples by profile and column: when, and how much."""
    columns = ("started_at", "profile", "outcome", "lag_ms", *SKETCHED)
    found: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for at, profile, outcome, lag_ms, *values in store.read(PROBES, Selection(targets=(name,)), columns=columns):
        if outcome in UP and not (lag_ms or 0) > LAG_LIMIT_MS:
            for column, value in zip(SKETCHED, values, strict=True):
                if value is not None:
                    found.setdefault((profile, column), []).append((at, value))
    return {
        key: (np.array([at for at, _ in pairs], np.int64), np.array([value for _, value in pairs], np.float64))
        for key, pairs in found.items()
    }


def errors(store: Store, name: str, now: int) -> Iterator[tuple[str, int, list[float]]]:
    """Of each window and column: its length, how many samples, and the relative errors of `SHARES`."""
    values = measured(store, name)
    for length, days in WINDOWS.items():
        until = now // DAY_MS * DAY_MS
        since = until - days * DAY_MS
        told = rollups_of(store, (name,), Range(since, until), coarse=True)
        for series, rollups in by_series(told).items():
            for column in SKETCHED:
                at, all_values = values.get((series[2], column), (np.zeros(0, np.int64), np.zeros(0)))
                exact = all_values[(at >= since) & (at < until)]
                if len(exact):
                    sketch = samples(rollups, column)
                    found = np.array(sketch.quantiles(SHARES), float)
                    truth = np.quantile(exact, SHARES)
                    assert sketch.count == len(exact)
                    yield length, len(exact), list(np.abs(found - truth) / truth)


def main(url: Annotated[str, typer.Argument(help="A store that benchmarks.studies.year filled.")]) -> None:
    """Print the table, as Markdown."""
    store = open_store(url, read_only=True)
    found = store.series()
    now = max(series.newest.started_at for series in found)
    worst: dict[str, list[float]] = {length: [] for length in WINDOWS}
    samples = dict.fromkeys(WINDOWS, 0)
    for number, name in enumerate(sorted({series.newest.target for series in found})):
        for length, count, all_errors in errors(store, name, now):
            worst[length] += all_errors
            samples[length] += count
        if number % 10 == 9:
            print(f"{number + 1} targets", file=sys.stderr, flush=True)
    lines = [
        [
            length,
            f"{samples[length]:,}",
            f"{len(all_errors):,}",
            f"{np.median(all_errors):.2%}",
            f"{max(all_errors):.2%}",
            "" if max(all_errors) <= MOST_ERROR else "NOT KEPT",
        ]
        for length, all_errors in worst.items()
    ]
    print(table(("window", "samples", "percentiles", "error, median", "error, largest (promised: 1%)", ""), lines))


if __name__ == "__main__":
    typer.run(main)
