"""How measured values are spread: over their size, and over the hours of the week."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from stats.rollups import FIRST_VALUE, Counts, Row, counts_by_place, quantiles_by_row
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
    known = [row for row in rows if row[place]]
    local = pd.to_datetime([row[3] for row in known], unit="ms", utc=True).tz_convert(zone)
    counts = counts_by_place(local.day_of_week * 24 + local.hour, [row[place] for row in known], len(DAYS) * 24)
    medians = quantiles_by_row(counts, [0.5]).reshape(len(DAYS), 24)
    return pd.DataFrame(medians, index=list(DAYS), columns=range(24))
