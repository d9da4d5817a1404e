"""The timelines and sketches of roll-ups as numpy arrays. The collector does without: numpy takes 0.1 s to import."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from store.rollups import SKETCHED, Rollup
from store.sketch import BUCKETS, GAMMA, LARGEST, SMALLEST, bucket_of

Counts = npt.NDArray[np.int64]


def timeline(rollups: Sequence[Rollup]) -> Counts:
    """The cells of roll-ups that have equally many: (roll-ups, cells, 3), milliseconds up, down and not counted."""
    count = rollups[0].length_ms // rollups[0].cell_ms
    empty = bytes(count * 12)
    cells = np.frombuffer(b"".join(rollup.cells or empty for rollup in rollups), dtype="<u4")
    return cells.reshape(len(rollups), count, 3).astype(np.int64)


def bucket_counts(rollups: Iterable[Rollup], column: str) -> Counts:
    """The sketches of a column put together: (buckets,)."""
    pairs = _pairs(_sketches(rollups, column))
    return np.bincount(pairs[:, 0], weights=pairs[:, 1], minlength=BUCKETS).astype(np.int64)


def bucket_counts_by_place(rollups: Sequence[Rollup], places: npt.ArrayLike, count: int, column: str) -> Counts:
    """The same for each of `count` places: (places, buckets); a roll-up that lies elsewhere is skipped."""
    sketches = _sketches(rollups, column)
    pairs = _pairs(sketches)
    place = np.repeat(np.asarray(places, dtype=np.int64), [len(sketch) // 4 for sketch in sketches])
    inside = (place >= 0) & (place < count)
    flat = place[inside] * BUCKETS + pairs[inside, 0]
    summed = np.bincount(flat, weights=pairs[inside, 1], minlength=count * BUCKETS)
    return summed.astype(np.int64).reshape(count, BUCKETS)


def sketches_by_row(rollups: Sequence[Rollup], column: str) -> tuple[npt.NDArray[np.uint16], Counts]:
    """The sketches of a column one after the other: pairs of a bucket and its count, (pairs, 2), those of a roll-up in
    the order of their buckets; and how many pairs each roll-up has.
    """
    sketches = _sketches(rollups, column)
    return _pairs(sketches), np.array([len(sketch) // 4 for sketch in sketches], dtype=np.int64)


def sample_count(rollups: Iterable[Rollup], column: str) -> int:
    """How many values of a column there are."""
    return int(_pairs(_sketches(rollups, column))[:, 1].sum(dtype=np.int64))


def _sketches(rollups: Iterable[Rollup], column: str) -> list[bytes]:
    place = SKETCHED.index(column)
    return [rollup.sketches[place] or b"" for rollup in rollups]


def _pairs(sketches: Sequence[bytes]) -> npt.NDArray[np.uint16]:
    return np.frombuffer(b"".join(sketches), dtype="<u2").reshape(-1, 2)


def buckets_of(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """`bucket_of` of each value; numpy's logarithm may end in another digit, so what lies at an edge is left to it."""
    places = np.log(np.clip(values, SMALLEST, LARGEST) / SMALLEST) / math.log(GAMMA)
    found = np.minimum(np.ceil(places), BUCKETS - 1).astype(np.int64)
    for edge in np.flatnonzero(np.abs(places - np.rint(places)) < 1e-9):
        found[edge] = bucket_of(float(values[edge]))
    return found
