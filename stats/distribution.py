"""How measured values are spread: over their size, and over the hours of the week."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from stats.rollups import FIRST_VALUE, Counts, Row, quantiles
from store.rollups import COUNTED, SKETCHED
from store.sketch import BUCKETS, GAMMA, SMALLEST

MOST_BARS = 48
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def histogram(counts: Counts, most: int = MOST_BARS) -> pd.DataFrame:
    """Bars of equal width on a logarithmic scale, between the 0.1% and the 99.9% quantile: `low`, `high`, `share` of
    all samples. What is beyond is in the outermost bars.
    """
    total = int(counts.sum())
    columns = ["low", "high", "share"]
    if not total:
        return pd.DataFrame(columns=columns, dtype=float)
    ends = np.cumsum(counts)
    first = int(np.searchsorted(ends, 0.001 * total, side="right"))
    last = int(np.searchsorted(ends, 0.999 * total))
    step = max(1, -(-(last - first + 1) // most))
    edges = np.arange(first, last + step + 1, step)
    places = np.clip((np.arange(BUCKETS) - first) // step, 0, len(edges) - 2)
    summed = np.bincount(places, weights=counts, minlength=len(edges) - 1)
    bounds = SMALLEST * GAMMA ** (edges.astype(float) - 1)
    table = pd.DataFrame({"low": bounds[:-1], "high": bounds[1:], "share": summed / total})
    return table[: int(np.flatnonzero(summed)[-1]) + 1]


def by_hour_of_week(rows: Iterable[Row], column: str, zone: str = "UTC") -> pd.DataFrame:
    """The medians by weekday (`DAYS`, the index) and hour of the day in `zone` (the columns, 0 to 23), from roll-ups by
    the hour; missing where there is no sample.
    """
    place = FIRST_VALUE + len(COUNTED) + SKETCHED.index(column)
    sums: dict[tuple[int, int], Counts] = {}
    for row in rows:
        if not row[place]:
            continue
        local = pd.Timestamp(row[3], unit="ms", tz="UTC").tz_convert(zone)
        pairs = np.frombuffer(row[place], dtype="<u2").reshape(-1, 2)
        counts = sums.setdefault((local.weekday(), local.hour), np.zeros(BUCKETS, dtype=np.int64))
        np.add.at(counts, pairs[:, 0], pairs[:, 1])
    table = pd.DataFrame(np.nan, index=list(DAYS), columns=range(24))
    for (day, hour), counts in sums.items():
        table.iloc[day, hour] = quantiles(counts, [0.5])[0]
    return table
