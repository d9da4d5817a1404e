"""The best of several, where the difference is significant."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stats.median_difference import Difference
from stats.samples import Samples

Interval = tuple[float, float]


def best_share(shares: Sequence[float | None], intervals: Sequence[Interval | None]) -> int | None:
    """The place of the highest share, if its interval lies above all others; null otherwise, and with fewer than two
    shares.
    """
    known = [(share, interval, place) for place, (share, interval) in enumerate(zip(shares, intervals, strict=True))
             if share is not None and interval is not None]  # fmt: skip
    if len(known) < 2:
        return None
    _, interval, place = max(known)
    return place if all(interval[0] > other[1] for _, other, at in known if at != place) else None


def best_median(
    listed: Sequence[Samples | None],
    differ: Callable[[Samples, Samples], Difference | None],
    *,
    is_lowest: bool,
) -> int | None:
    """The place of the best median, if `differ` shows a difference to each of the others; null otherwise."""
    medians = [
        (median, place) for place, one in enumerate(listed) if one is not None for median in one.quantiles((0.5,))
    ]
    known = sorted((m, place) for m, place in medians if m is not None)
    ordered = known if is_lowest else known[::-1]
    if len(ordered) < 2:
        return None
    best = listed[ordered[0][1]]
    for _, place in ordered[1:]:  # the nearest first: it decides most of the time
        other = listed[place]
        found = differ(best, other) if best is not None and other is not None else None
        if found is None or not found.is_shown:
            return None
    return ordered[0][1]


def best_fact(values: Sequence[float | None], *, is_lowest: bool) -> int | None:
    """The place of the best of exact numbers; null on a tie, and with fewer than two."""
    known = sorted((value, place) for place, value in enumerate(values) if value is not None)
    ordered = known if is_lowest else known[::-1]
    return ordered[0][1] if len(ordered) > 1 and ordered[0][0] != ordered[1][0] else None
