"""A quantile sketch: how many values fell into each of many narrow buckets on a logarithmic scale.

A bucket is 2% wide, so a quantile is off by at most 1% of itself, and sketches of any periods merge by adding
their counts: the mapping is that of DDSketch (Masson, Rim, Lee 2019), https://arxiv.org/abs/1908.10693. Stored as pairs
of unsigned 16-bit numbers, bucket and count, little-endian and in the buckets' order; a count that is too large for
one pair goes on in the next.
"""

from __future__ import annotations

import math
import sys
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping

RELATIVE_ERROR = 0.01
GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
SMALLEST = 1e-3
"""What is smaller (a microsecond, in milliseconds) falls into the first bucket."""
BUCKETS = 1_536
"""Enough for values up to 1.3e10."""
_LOG_GAMMA = math.log(GAMMA)
MOST_IN_PAIR = 0xFFFF
LARGEST = 1e300


def bucket_of(value: float) -> int:
    """The bucket of a positive value."""
    if value <= SMALLEST:
        return 0
    return min(BUCKETS - 1, math.ceil(math.log(min(value, LARGEST) / SMALLEST) / _LOG_GAMMA))


def value_of(bucket: int) -> float:
    """The value that stands for a bucket: none in it is further away than 1%."""
    return SMALLEST * 2 * GAMMA**bucket / (GAMMA + 1)


def unpack_sketch(packed: bytes | None) -> dict[int, int]:
    """The counts by bucket."""
    pairs = array("H", packed or b"")
    if sys.byteorder == "big":
        pairs.byteswap()
    counts: dict[int, int] = {}
    for place in range(0, len(pairs), 2):
        counts[pairs[place]] = counts.get(pairs[place], 0) + pairs[place + 1]
    return counts


def pack_sketch(counts: Mapping[int, int]) -> bytes | None:
    """Counts as they are stored; null for none."""
    if not counts:
        return None
    pairs = array("H")
    for bucket in sorted(counts):
        left = counts[bucket]
        while left > 0:
            pairs.append(bucket)
            pairs.append(min(left, MOST_IN_PAIR))
            left -= MOST_IN_PAIR
    if sys.byteorder == "big":
        pairs.byteswap()
    return pairs.tobytes()


def merge_sketch(stored: bytes | None, more: Mapping[int, int]) -> bytes | None:
    """A stored sketch with more counts in it."""
    if not more:
        return stored
    if stored is None:
        return pack_sketch(more)
    if len(more) <= FEW and (quick := _add_few(stored, more)) is not None:
        return quick
    counts = unpack_sketch(stored)
    for bucket, count in more.items():
        counts[bucket] = counts.get(bucket, 0) + count
    return pack_sketch(counts)


FEW = 4


def _add_few(stored: bytes, more: Mapping[int, int]) -> bytes | None:
    """The same for the one or two values that a tick adds, without unpacking; null where a pair would overflow."""
    pairs = array("H", stored)
    if sys.byteorder == "big":
        pairs.byteswap()
    for bucket, count in more.items():
        place = 2 * bisect_left(pairs[::2], bucket)
        if place == len(pairs) or pairs[place] != bucket:
            if count > MOST_IN_PAIR:
                return None
            pairs[place:place] = array("H", (bucket, count))
        elif pairs[place + 1] + count > MOST_IN_PAIR:
            return None
        else:
            pairs[place + 1] += count
    if sys.byteorder == "big":
        pairs.byteswap()
    return pairs.tobytes()


def quantiles(counts: Mapping[int, int], shares: Iterable[float]) -> list[float | None]:
    """The values that these shares (0 to 1) of all do not exceed, between two neighbours by linear interpolation as
    numpy has it; null when there is none.
    """
    total = sum(counts.values())
    if not total:
        return [None for _ in shares]
    ordered = sorted(counts)
    ends: list[int] = []
    so_far = 0
    for bucket in ordered:
        so_far += counts[bucket]
        ends.append(so_far)

    def at_rank(rank: int) -> float:
        return value_of(next(bucket for bucket, end in zip(ordered, ends, strict=True) if rank < end))

    return [interpolate(at_rank, total, share) for share in shares]


def interpolate(at_rank: Callable[[int], float], total: int, share: float) -> float:
    """The value that a share (0 to 1) of `total` values does not exceed, where `at_rank` gives the one at a rank."""
    place = share * (total - 1)
    low = math.floor(place)
    lower = at_rank(low)
    upper = at_rank(min(low + 1, total - 1))
    return lower + (upper - lower) * (place - low)
