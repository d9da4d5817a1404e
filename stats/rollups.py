"""Statistics from roll-ups: the same numbers as from raw probes, at any window and age for the same cost.

A row of roll-ups is `target, location, profile, at` and `store.rollups.COLUMNS`, as `Store.rollups` gives it; rows of
hours and days may be mixed where they do not overlap. Percentiles come from merged sketches, within 1%; all else is
exact.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from stats.answers import Answers
from stats.latency import BAND_PERCENTILES, Percentiles, bucket_count
from stats.strip import MOST_BARS, Bar
from stats.uptime import SuccessRate, Uptime
from store.rollups import CELL_MS, COUNTED, OUTCOMES, PICO, SKETCHED, STEP_MS, sums_of
from store.rows import DOWN, UP, Probe
from store.sketch import BUCKETS, GAMMA, SMALLEST

Row = tuple[Any, ...]
Series = tuple[str, str, str]
Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

FIRST_VALUE = 4
_PLACE = {name: place for place, name in enumerate(COUNTED)}
_SKETCH = {name: FIRST_VALUE + len(COUNTED) + place for place, name in enumerate(SKETCHED)}
_CELLS = FIRST_VALUE + len(COUNTED) + len(SKETCHED)
_CELL_BYTES = 12
_CELL_MS = {STEP_MS[step] // CELL_MS[step]: CELL_MS[step] for step in STEP_MS}
"""How long a cell is, by how many a row has."""
_ROW_MS = {count: count * ms for count, ms in _CELL_MS.items()}
_VALUES = SMALLEST * 2 * GAMMA ** np.arange(BUCKETS, dtype=float) / (GAMMA + 1)
_UP = [_PLACE[outcome] for outcome in OUTCOMES if outcome in UP]
_DOWN = [_PLACE[outcome] for outcome in OUTCOMES if outcome in DOWN]
_FAILED = [outcome for outcome in OUTCOMES if outcome in DOWN]
_NOT_UP = {outcome: FIRST_VALUE + _PLACE[outcome] for outcome in OUTCOMES if outcome not in UP}
_ALL = [_PLACE[outcome] for outcome in OUTCOMES]
_NOTHING: Counts = np.zeros(BUCKETS, dtype=np.int64)


@dataclass(frozen=True)
class Summary:
    """One series, or several together, over a stretch of time."""

    counted: Counts = field(default_factory=lambda: np.zeros(len(COUNTED), dtype=np.int64))
    sketches: dict[str, Counts] = field(default_factory=dict)

    def __getitem__(self, name: str) -> int:
        return int(self.counted[_PLACE[name]])

    @property
    def requests(self) -> int:
        """All probes."""
        return int(self.counted[_ALL].sum())

    @property
    def cost_usd(self) -> float | None:
        """The known costs; null when none is known."""
        return self["cost_pusd"] / PICO if self["priced"] else None

    def uptime(self, since: int, until: int) -> Uptime:
        """As `stats.uptime.uptime`, of a window (milliseconds UTC)."""
        up_s, down_s = self["up_ms"] / 1_000, self["down_ms"] / 1_000
        squares = float(self["squares"])
        return Uptime(
            window_s=max(0.0, (until - since) / 1_000),
            up_s=up_s,
            down_s=down_s,
            not_counted_s=self["not_counted_ms"] / 1_000,
            probes=self["deciding"],
            weight=(up_s + down_s) ** 2 / squares if squares else 0.0,
        )

    def success_rate(self) -> SuccessRate:
        """As `stats.uptime.success_rate`."""
        ok, failed = int(self.counted[_UP].sum()), int(self.counted[_DOWN].sum())
        return SuccessRate(ok, failed, self.requests - ok - failed)

    def answers(self) -> Answers:
        """As `stats.answers.answers`."""
        return Answers(self["answers_right"], self["answers_checked"])

    def percentiles(self, column: str) -> Percentiles:
        """As `stats.latency.percentiles`, within 1%. What was left out is told for all columns together."""
        counts = self.sketches.get(column, _NOTHING)
        return Percentiles(int(counts.sum()), self["lagged"], *quantiles(counts, (0.5, 0.75, 0.9, 0.95, 0.99)))

    def counts(self, column: str) -> Counts:
        """The values of a column, by bucket."""
        return self.sketches.get(column, _NOTHING)

    def plus(self, other: Summary) -> Summary:
        """Both together."""
        names = {*self.sketches, *other.sketches}
        return Summary(
            self.counted + other.counted,
            {name: self.sketches.get(name, _NOTHING) + other.sketches.get(name, _NOTHING) for name in names},
        )


def quantiles(counts: Counts, shares: Sequence[float]) -> list[float | None]:
    """The quantiles of counts by bucket, between neighbours by linear interpolation; null when there is none."""
    return [None if math.isnan(value) else float(value) for value in quantiles_by_row(counts[None], shares)[0]]


def quantiles_by_row(counts: Counts, shares: Sequence[float]) -> Floats:
    """The same for each row of a table of counts (rows, buckets): (rows, shares), not a number where there is none."""
    total = counts.sum(axis=1)[:, None]
    ends = np.cumsum(counts, axis=1)
    places = np.asarray(shares) * (total - 1)
    low = np.floor(places)
    lower = _VALUES[_first_beyond(ends, low)]
    upper = _VALUES[_first_beyond(ends, np.minimum(low + 1, total - 1))]
    return np.where(total > 0, lower + (upper - lower) * (places - low), np.nan)


def _first_beyond(ends: Counts, places: Floats) -> Counts:
    """In each row of (rows, buckets) the first bucket that ends beyond each place of (rows, places), or the last."""
    before = np.count_nonzero(ends[:, None, :] <= places[:, :, None], axis=2)
    return np.asarray(np.minimum(before, ends.shape[1] - 1))


def counts_by_place(places: npt.ArrayLike, blobs: Sequence[bytes], count: int) -> Counts:
    """The sketches of each of `count` places put together: (places, buckets). What lies elsewhere is left out."""
    pairs = np.frombuffer(b"".join(blobs), dtype="<u2").reshape(-1, 2)
    place = np.repeat(np.asarray(places, dtype=np.int64), [len(blob) // 4 for blob in blobs])
    inside = (place >= 0) & (place < count)
    flat = place[inside] * BUCKETS + pairs[inside, 0]
    summed = np.bincount(flat, weights=pairs[inside, 1], minlength=count * BUCKETS)
    return summed.astype(np.int64).reshape(count, BUCKETS)


def summaries(rows: Iterable[Row], sketched: Sequence[str] = SKETCHED) -> dict[Series, Summary]:
    """Each series over all its rows, with the sketches of these columns."""
    found: dict[Series, Summary] = {}
    for series, mine in groupby(sorted(rows, key=_series), key=_series):
        listed = list(mine)
        counted = np.array([row[FIRST_VALUE:_SKETCH_BEGIN] for row in listed], dtype=np.int64).sum(axis=0)
        found[series] = Summary(counted, {name: _merged(row[_SKETCH[name]] for row in listed) for name in sketched})
    return found


_SKETCH_BEGIN = FIRST_VALUE + len(COUNTED)


def _series(row: Row) -> Series:
    return row[0], row[1], row[2]


def _merged(packed: Iterable[bytes | None]) -> Counts:
    pairs = np.frombuffer(b"".join(blob for blob in packed if blob), dtype="<u2").reshape(-1, 2)
    return np.bincount(pairs[:, 0], weights=pairs[:, 1], minlength=BUCKETS).astype(np.int64)


def rows_of(probes: Iterable[Probe]) -> list[Row]:
    """Raw probes as rows of hours, to be put beside others: the edges of a window that lie within an hour."""
    return [(*series, at, *hour.onto(None)) for (series, at), hour in sums_of(probes)["hour"].items()]


# -- over time


def strip(
    rows: Iterable[Row],
    since: int,
    until: int,
    every_s: float,
    most: int = MOST_BARS,
    finer: Sequence[Row] | None = None,
) -> list[Bar]:
    """The bars of a window, as `stats.strip.strip` has them, from the cells of roll-ups of one series. A bar is as long
    as some whole cells of the coarsest row; `probes` is not told, and `seen` (of the `finer` rows, if any) only where
    all failures lie in rows within the bar: which part of an hour they were in, nobody knows any more.
    """
    rows = list(rows)
    alike: dict[int, list[Row]] = {}
    for row in rows:
        if row[_CELLS]:
            alike.setdefault(len(row[_CELLS]) // _CELL_BYTES, []).append(row)
    finest = max((_CELL_MS[count] for count in alike), default=min(_CELL_MS.values()))
    width = max(math.ceil((until - since) / most), round(every_s * 1_000))
    width = math.ceil(width / finest) * finest
    ended = math.ceil(until / finest) * finest
    count = max(1, math.ceil((ended - since) / width))
    began = ended - count * width
    seconds = np.zeros((count, 3))
    for in_row, listed in alike.items():
        cells = np.frombuffer(b"".join(row[_CELLS] for row in listed), dtype="<u4").reshape(-1, 3)
        at = np.array([row[3] for row in listed])[:, None] + np.arange(in_row) * _CELL_MS[in_row]
        places = (at.ravel() - began) // width
        inside = (places >= 0) & (places < count)
        for kind in range(3):
            weights = cells[inside, kind] / 1_000
            seconds[:, kind] += np.bincount(places[inside], weights=weights, minlength=count)
    seen = _outcomes_by_bar(rows if finer is None else finer, began, width)
    return [
        Bar(began + n * width, began + (n + 1) * width, float(up), float(down), float(other), 0, seen.get(n, ()))
        for n, (up, down, other) in enumerate(seconds)
    ]


def _outcomes_by_bar(rows: Iterable[Row], began: int, width: int) -> dict[int, tuple[tuple[str, int], ...]]:
    """By bar, how many of which outcome other than `ok`."""
    seen: dict[int, Counter[str]] = {}
    unclear: set[int] = set()
    for row in rows:
        counted = Counter({name: row[column] for name, column in _NOT_UP.items() if row[column]})
        if not counted:
            continue
        length = _ROW_MS.get(len(row[_CELLS]) // _CELL_BYTES if row[_CELLS] else 0, 1)
        first, last = (row[3] - began) // width, (row[3] + length - 1 - began) // width
        seen.setdefault(first, Counter()).update(counted)
        unclear.update(range(first, last + 1) if last != first else ())
    return {place: tuple(counts.most_common()) for place, counts in seen.items() if place not in unclear}


def bands(rows: Iterable[Row], column: str, since: int, until: int, step_ms: int) -> pd.DataFrame:
    """As `stats.latency.bands`, from roll-ups of a step: each stretch is as long as some whole steps."""
    chosen = [(row[3], row[_SKETCH[column]]) for row in rows if row[_SKETCH[column]] and row[3] < until]
    samples = int(np.frombuffer(b"".join(blob for _, blob in chosen), dtype="<u2")[1::2].sum(dtype=np.int64))
    width = math.ceil((until - since) / bucket_count(samples) / step_ms) * step_ms
    count = max(1, math.ceil((until - since) / width))
    began = until - count * width
    counts = counts_by_place([(at - began) // width for at, _ in chosen], [blob for _, blob in chosen], count)
    values = quantiles_by_row(counts, [*(p / 100 for p in BAND_PERCENTILES), 0.0, 1.0])
    data = pd.DataFrame(values, columns=[*(f"p{p}" for p in BAND_PERCENTILES), "min", "max"])
    data.insert(0, "at", [round(began + (place + 0.5) * width) for place in range(count)])
    data["count"] = counts.sum(axis=1)
    return data


def failures(rows: Iterable[Row]) -> list[tuple[int, str, int]]:
    """When (the middle of its row, milliseconds UTC), with which outcome and how often it failed."""
    found = []
    for row in rows:
        middle = row[3] + _ROW_MS.get(len(row[_CELLS]) // _CELL_BYTES if row[_CELLS] else 0, 0) // 2
        found += [
            (middle, name, row[FIRST_VALUE + _PLACE[name]]) for name in _FAILED if row[FIRST_VALUE + _PLACE[name]]
        ]
    return found


def median_line(rows: Iterable[Row], column: str, most: int = 48) -> list[float | None]:
    """The medians of one series' rows, for a sparkline of at most `most` points at equal steps of time: each is the
    middle one of the rows that began in its step, which is as long as the longest row, or some of them.
    """
    listed = [row for row in rows if row[_CELLS]]
    if not listed:
        return []
    longest = max(_ROW_MS[len(row[_CELLS]) // _CELL_BYTES] for row in listed)
    first, last = min(row[3] for row in listed) // longest, max(row[3] for row in listed) // longest
    size = math.ceil((last - first + 1) / most)
    groups: list[list[float]] = [[] for _ in range((last - first) // size + 1)]
    for row, median in zip(listed, _medians([row[_SKETCH[column]] for row in listed]), strict=True):
        if median is not None:
            groups[(row[3] // longest - first) // size].append(median)
    return [_middle(group) for group in groups]


def medians_over_time(rows: Iterable[Row], column: str) -> tuple[Counts, npt.NDArray[np.float64]]:
    """When each row with a sample began (milliseconds UTC), and its median, in the order of time."""
    ordered = sorted((row for row in rows if row[_SKETCH[column]]), key=lambda row: int(row[3]))
    at = np.array([row[3] for row in ordered], dtype=np.int64)
    return at, np.array(_medians([row[_SKETCH[column]] for row in ordered]), dtype=float)


def _medians(blobs: Sequence[bytes | None]) -> list[float | None]:
    """The median of each sketch, all in one go: null for one without a sample."""
    found: list[float | None] = [None] * len(blobs)
    known = [place for place, blob in enumerate(blobs) if blob]
    if not known:
        return found
    pairs = np.frombuffer(b"".join(blobs[place] or b"" for place in known), dtype="<u2").reshape(-1, 2)
    ends = np.cumsum([len(blobs[place] or b"") // 4 for place in known])
    so_far = np.cumsum(pairs[:, 1], dtype=np.int64)
    last = so_far[ends - 1]
    half = (np.concatenate(([0], last[:-1])) + last) / 2
    at = np.searchsorted(so_far, half)
    # how far into the bucket: without it a line would go in steps of 2%
    into = 1 - (so_far[at] - half) / pairs[at, 1]
    values = SMALLEST * GAMMA ** (pairs[at, 0] - 1 + into)
    for place, value in zip(known, values, strict=True):
        found[place] = float(value)
    return found


def _middle(values: list[float]) -> float | None:
    return sorted(values)[len(values) // 2] if values else None


def tokens_per_day(rows: Iterable[Row]) -> pd.DataFrame:
    """As `stats.tokens.tokens_per_day`, by UTC day, from rows of days or hours."""
    days: dict[int, list[int]] = {}
    for row in rows:
        sums = days.setdefault(row[3] // 86_400_000, [0, 0, 0, 0, 0])
        counted = row[FIRST_VALUE:_SKETCH_BEGIN]
        for place, name in enumerate(("prompt_tokens", "completion_tokens", "cost_pusd", "priced")):
            sums[place] += counted[_PLACE[name]]
        sums[4] += sum(counted[place] for place in _ALL)
    table = [
        (
            pd.Timestamp(day * 86_400_000, unit="ms").date(),
            prompt,
            completion,
            requests,
            cost / PICO if priced else None,
        )
        for day, (prompt, completion, cost, priced, requests) in sorted(days.items())
    ]
    columns = ["day", "prompt_tokens", "completion_tokens", "requests", "cost_usd"]
    return pd.DataFrame(table, columns=columns)
