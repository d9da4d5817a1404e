"""Roll-ups: totals of the probes of one series in an hour, a day or a block of 16 days (UTC), in integers that add up
exactly.

Times are milliseconds, money is picodollars, and quantiles are sketches, so that the order in which probes come, late
ones and imports too, changes nothing. `cells` is the timeline in finer steps (an hour in five minutes, a day in hours,
a block in days): the milliseconds up, down and not counted of each, as 32-bit numbers, little-endian.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

from store.clock import DAY_MS, HOUR_MS
from store.outcomes import DOWN, MAY_BE_BILLED, PAUSED, UP, Outcome
from store.schema import DAILY, HOURLY, LAG_LIMIT_MS, TRAFFIC, Probe, Request, Table
from store.sketch import bucket_of, merge_sketch, pack_sketch, quantiles, unpack_sketch

Step = Literal["hour", "day", "block"]
BLOCK_MS = 16 * DAY_MS
"""A year of many targets is 23 rows each, and some days at its ends: fewer than with blocks of 8 or 32 days."""
STEP_MS: dict[Step, int] = {"hour": HOUR_MS, "day": DAY_MS, "block": BLOCK_MS}
EXPORTED: dict[Table, Step] = {HOURLY: "hour", DAILY: "day"}
"""The tables that roll-ups are exported as."""
CELL_MS: dict[Step, int] = {"hour": 300_000, "day": HOUR_MS, "block": DAY_MS}
PICO = 10**12
LONGEST_S, MOST_TOKENS, MOST_USD = 7 * 86_400.0, 10**9, 1_000.0
"""More than one probe can stand for, use or cost."""
LAST_MS = (1 << 24) * HOUR_MS
"""The year 3883: hours are numbered with 24 bits."""
OUTCOMES: tuple[str, ...] = get_args(Outcome)
COUNTED = (
    *OUTCOMES,
    "up_ms",
    "down_ms",
    "not_counted_ms",
    "deciding",
    "squares",
    "prompt_tokens",
    "completion_tokens",
    "cost_pusd",
    "priced",
    "unpriced",
    "answers_right",
    "answers_checked",
    "lagged",
    "excluded",
)
"""Sums. `deciding`: probes that decided a slot up or down; `squares`: their milliseconds squared, over 1,000,000;
`priced`: probes whose cost is known; `unpriced`: those that may have been billed at an unknown price; `lagged`:
successful responses whose times are not believed, because the collector's machine was overloaded; `excluded`: probes
that were made and count as paused.
"""
SKETCHED = ("ttft_ms", "total_ms", "tokens_per_second")
COLUMNS = (*COUNTED, *SKETCHED, "cells")
SPENDING_COLUMNS = (*OUTCOMES, "cost_pusd", "unpriced", "excluded")
EXPORTED_SHARES = (0.5, 0.75, 0.9, 0.95, 0.99)
_PLACE = {name: place for place, name in enumerate(COUNTED)}


Series = tuple[str, str, str]
"""Target, location and profile."""


@dataclass(frozen=True, slots=True)
class Spending:
    """What the probes of one target and profile used in a stretch of time. `cost_usd` sums the known costs;
    `unpriced_requests` may have been billed at a price that their rows do not know.
    """

    target: str
    profile: str
    requests: int
    cost_usd: float
    unpriced_requests: int


class Observation(NamedTuple):
    """What is read of a raw probe, or of an attempt of the relay's, to add it up."""

    target: str
    started_at: int
    location: str
    profile: str
    stands_for_s: float
    outcome: str
    lag_ms: float | None
    ttft_ms: float | None
    total_ms: float | None
    tokens_per_second: float | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None
    answer_ok: bool | None
    measured_outcome: str | None


_NEVER_OF_TRAFFIC = {
    "profile": TRAFFIC,
    "stands_for_s": 0.0,
    "lag_ms": None,
    "answer_ok": None,
    "measured_outcome": None,
}
TRAFFIC_COLUMNS = tuple(name for name in Observation._fields if name not in _NEVER_OF_TRAFFIC)
"""The columns of `requests` that an observation is made of."""


def observation_of_attempt(values: tuple[Any, ...]) -> Observation:
    """Of `TRAFFIC_COLUMNS`, as `store.schema.Request` has it: an attempt decides no slot of a schedule."""
    return Observation(**dict(zip(TRAFFIC_COLUMNS, values, strict=True)), **_NEVER_OF_TRAFFIC)  # type: ignore[arg-type]


def attempts_as_observations(source: str) -> str:
    """A query that gives the attempts in a table as rows of what is read of a raw probe."""
    columns = {name: name for name in TRAFFIC_COLUMNS}
    columns |= {name: "NULL" if value is None else f"{value!r}" for name, value in _NEVER_OF_TRAFFIC.items()}
    return f"(SELECT {', '.join(f'{columns[name]} AS {name}' for name in Observation._fields)} FROM {source})"


def requests_of(counted: Sequence[int]) -> int:
    """How many requests were made, of `COUNTED`: none in a slot that was paused, and one for an excluded probe."""
    return int(sum(counted[: len(OUTCOMES)]) - counted[_PLACE[PAUSED]] + counted[_PLACE["excluded"]])


@dataclass(frozen=True, slots=True)
class Rollup:
    """Totals of the probes of one series in a period, which began at `began` and is `length_ms` long.

    `values` are the samples of each of `SKETCHED` themselves, where the roll-up was accumulated from raw probes for one
    range; the store keeps only sketches. `store.arrays` reads the bytes of the sketches and the cells.
    """

    target: str
    location: str
    profile: str
    began: int
    length_ms: int
    cell_ms: int
    counted: tuple[int, ...]
    sketches: tuple[bytes | None, ...]
    cells: bytes | None
    values: tuple[tuple[float, ...], ...] | None = None

    @property
    def series(self) -> Series:
        """Target, location and profile."""
        return self.target, self.location, self.profile

    @property
    def requests(self) -> int:
        """All probes that were made."""
        return requests_of(self.counted)

    def __getitem__(self, name: str) -> int:
        return self.counted[_PLACE[name]]

    @classmethod
    def from_row(cls, step: Step, row: tuple[Any, ...]) -> Rollup:
        """A row of `Store.rollups` with all `COLUMNS`."""
        target, location, profile, began = row[:4]
        length_ms, cell_ms = STEP_MS[step], CELL_MS[step]
        counted, sketches, cells = row[4:_SKETCHES], row[_SKETCHES:-1], row[-1]
        return cls(target, location, profile, began, length_ms, cell_ms, counted, sketches, cells)


@dataclass(slots=True)
class Accumulator:
    """Totals of one series and period while probes are added."""

    at: int
    length_ms: int
    cell_ms: int
    counted: list[int] = field(default_factory=lambda: [0] * len(COUNTED))
    sketches: list[dict[int, int]] = field(default_factory=lambda: [{} for _ in SKETCHED])
    cells: dict[int, int] = field(default_factory=dict)  # place in the array, three to a cell, to milliseconds
    values: tuple[list[float], ...] | None = None

    @classmethod
    def for_step(cls, step: Step, at: int) -> Accumulator:
        """For an hour, day or block that began at `at`."""
        return cls(at, STEP_MS[step], CELL_MS[step])

    def add(self, probe: Probe | Request | Observation) -> None:
        """Add a probe or an attempt. What cannot be (an import can bring anything) counts as nothing."""
        counted = self.counted
        outcome = probe.outcome
        if outcome not in _PLACE:
            return
        ms = round(min(max(probe.stands_for_s, 0.0), LONGEST_S) * 1_000)
        counted[_PLACE[outcome]] += 1
        kind = 0 if outcome in UP else 1 if outcome in DOWN else 2
        counted[_UP_MS + kind] += ms
        if kind < 2 and ms:
            counted[_DECIDING] += 1
            counted[_SQUARES] += ms * ms // 1_000_000
        counted[_PROMPT] += min(max(probe.prompt_tokens or 0, 0), MOST_TOKENS)
        counted[_COMPLETION] += min(max(probe.completion_tokens or 0, 0), MOST_TOKENS)
        if probe.cost_usd is not None:
            counted[_COST] += round(min(max(probe.cost_usd, 0.0), MOST_USD) * PICO)
            counted[_COST + 1] += 1
        elif (probe.measured_outcome or outcome) in MAY_BE_BILLED:
            counted[_COST + 2] += 1
        if outcome == PAUSED:
            counted[_EXCLUDED] += probe.measured_outcome is not None
        elif probe.answer_ok is not None:
            counted[_RIGHT] += bool(probe.answer_ok)
            counted[_RIGHT + 1] += 1
        if ms:
            cell = (probe.started_at - self.at) // self.cell_ms * 3 + kind
            self.cells[cell] = self.cells.get(cell, 0) + ms
        if kind == 0:
            self._measure(probe)

    def _measure(self, probe: Probe | Request | Observation) -> None:
        if probe.lag_ms is not None and probe.lag_ms > LAG_LIMIT_MS:
            self.counted[_LAGGED] += 1
            return
        for place, value in enumerate((probe.ttft_ms, probe.total_ms, probe.tokens_per_second)):
            if value is not None:
                bucket, sketch = bucket_of(value), self.sketches[place]
                sketch[bucket] = sketch.get(bucket, 0) + 1
                if self.values is not None:
                    self.values[place].append(value)

    def include(self, finer: Accumulator) -> None:
        """Add an hour to its day, or a day to its block."""
        self.counted = [a + b for a, b in zip(self.counted, finer.counted, strict=True)]
        for mine, other in zip(self.sketches, finer.sketches, strict=True):
            for bucket, count in other.items():
                mine[bucket] = mine.get(bucket, 0) + count
        first = (finer.at - self.at) // self.cell_ms * 3
        for place, ms in finer.cells.items():
            cell = first + place % 3
            self.cells[cell] = self.cells.get(cell, 0) + ms

    @classmethod
    def from_row(cls, step: Step, at: int, values: tuple[Any, ...]) -> Accumulator:
        """From a stored row's values (`COLUMNS`)."""
        sketches = [unpack_sketch(blob) for blob in values[len(COUNTED) : len(COUNTED) + len(SKETCHED)]]
        return cls(at, STEP_MS[step], CELL_MS[step], list(values[: len(COUNTED)]), sketches, unpack_cells(values[-1]))

    def added_to(self, stored: tuple[Any, ...] | None) -> tuple[Any, ...]:
        """The values (`COLUMNS`) of a stored row with this added; of a new one for null."""
        before: tuple[Any, ...] = stored or (*(0,) * len(COUNTED), *(None,) * len(SKETCHED), None)
        sums = (a + b for a, b in zip(before, self.counted, strict=False))
        sketches = (merge_sketch(old, new) for old, new in zip(before[len(COUNTED) :], self.sketches, strict=False))
        return (*sums, *sketches, pack_cells(before[-1], self.cells, self.length_ms // self.cell_ms))

    def rollup(self, series: Series) -> Rollup:
        """The totals."""
        values = None if self.values is None else tuple(map(tuple, self.values))
        sketches = tuple(pack_sketch(counts) if counts else None for counts in self.sketches)
        cells = pack_cells(None, self.cells, self.length_ms // self.cell_ms)
        return Rollup(*series, self.at, self.length_ms, self.cell_ms, tuple(self.counted), sketches, cells, values)


_SKETCHES = 4 + len(COUNTED)
_UP_MS, _DECIDING, _SQUARES = _PLACE["up_ms"], _PLACE["deciding"], _PLACE["squares"]
_PROMPT, _COMPLETION, _COST = _PLACE["prompt_tokens"], _PLACE["completion_tokens"], _PLACE["cost_pusd"]
_RIGHT, _LAGGED, _EXCLUDED = _PLACE["answers_right"], _PLACE["lagged"], _PLACE["excluded"]


def pack_cells(stored: bytes | None, more: dict[int, int], count: int) -> bytes:
    """Stored cells with more milliseconds in them, three numbers to each of `count` cells."""
    cells = array("I", stored or bytes(count * 3 * 4))
    if sys.byteorder == "big" and stored is not None:
        cells.byteswap()
    for place, ms in more.items():
        cells[place] = min(0xFFFFFFFF, cells[place] + ms)
    if sys.byteorder == "big":
        cells.byteswap()
    return cells.tobytes()


def unpack_cells(cells: bytes | None) -> dict[int, int]:
    """The milliseconds in cells that are not empty, by their place."""
    numbers = array("I", cells or b"")
    if sys.byteorder == "big":
        numbers.byteswap()
    return {place: ms for place, ms in enumerate(numbers) if ms}


Accumulators = dict[tuple[Series, int], Accumulator]


def accumulate_by_step(probes: Iterable[Probe | Request]) -> dict[Step, Accumulators]:
    """The hours, days and blocks that these probes add to, by series and the moment at which they began."""
    hours: Accumulators = {}
    for probe in probes:
        if not 0 <= probe.started_at < LAST_MS:
            continue
        at = probe.started_at - probe.started_at % HOUR_MS
        key = ((probe.target, probe.location, probe.profile), at)
        hour = hours.get(key)
        if hour is None:
            hour = hours[key] = Accumulator.for_step("hour", at)
        hour.add(probe)
    days = to_coarser_step("day", hours)
    return {"hour": hours, "day": days, "block": to_coarser_step("block", days)}


def accumulate(probes: Iterable[Observation], grid: Callable[[Series], Grid]) -> list[Rollup]:
    """Roll-ups of raw probes over the periods of each series' own `grid`, with their values."""
    totals: Accumulators = {}
    grids: dict[Series, Grid] = {}
    for probe in probes:
        series = (probe.target, probe.location, probe.profile)
        on = grids.get(series)
        if on is None:
            on = grids[series] = grid(series)
        at = probe.started_at - (probe.started_at - on.began) % on.length_ms
        total = totals.get((series, at))
        if total is None:
            total = totals[series, at] = Accumulator(at, on.length_ms, on.cell_ms, values=tuple([] for _ in SKETCHED))
        total.add(probe)
    return [total.rollup(series) for (series, _), total in sorted(totals.items())]


@dataclass(frozen=True, slots=True)
class Grid:
    """Periods of `length_ms`, one of which begins at `began`, each with cells of `cell_ms`."""

    began: int
    length_ms: int
    cell_ms: int


HOURS = Grid(0, HOUR_MS, CELL_MS["hour"])


def to_coarser_step(step: Step, finer: Accumulators) -> Accumulators:
    """The totals of a finer step, added up."""
    totals: Accumulators = {}
    for (series, at), part in finer.items():
        began = at - at % STEP_MS[step]
        total = totals.get((series, began))
        if total is None:
            total = totals[series, began] = Accumulator.for_step(step, began)
        total.include(part)
    return totals


def exported_row(step: Step, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row of roll-ups (`target, location, profile, at` and all `COLUMNS`) as exported: as `store.schema.Hour`."""
    series_and_at, values = row[:4], row[4:]
    counted = dict(zip(COUNTED, values, strict=False))
    failed = sum(counted[outcome] for outcome in OUTCOMES if outcome in DOWN)
    requests = requests_of(values)
    percentiles = [
        quantile
        for sketch in values[len(COUNTED) : len(COUNTED) + len(SKETCHED)]
        for quantile in quantiles(unpack_sketch(sketch), EXPORTED_SHARES)
    ]
    return (
        *series_and_at,
        counted["up_ms"] / 1_000,
        counted["down_ms"] / 1_000,
        counted["not_counted_ms"] / 1_000,
        counted["ok"],
        failed,
        requests - counted["ok"] - failed,
        *percentiles,
        counted["prompt_tokens"],
        counted["completion_tokens"],
        counted["cost_pusd"] / PICO if counted["priced"] else None,
    )


def spending_of(rows: Iterable[tuple[Any, ...]]) -> list[Spending]:
    """Requests and cost by target and profile, of rows of roll-ups with `SPENDING_COLUMNS`. What passed through the
    relay is none of the collector's spending.
    """
    totals: dict[tuple[str, str], list[int]] = {}
    for target, _location, profile, _at, *counts, cost, unpriced, excluded in rows:
        if profile == TRAFFIC:
            continue
        total = totals.setdefault((target, profile), [0, 0, 0])
        requests = sum(counts) - counts[_PLACE[PAUSED]] + excluded  # a paused slot had none
        for place, more in enumerate((requests, cost, unpriced)):
            total[place] += more
    return [
        Spending(target, profile, requests, cost / PICO, unpriced)
        for (target, profile), (requests, cost, unpriced) in sorted(totals.items())
    ]
