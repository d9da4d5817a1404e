"""The uptime of an endpoint as the router reports it, as status bars."""

from __future__ import annotations

import math
from collections.abc import Iterable

from stats.status_bars import MOST_BARS, Bar
from store.schema import EndpointStats

SHORTEST_MS = 600_000


def reported_bars(reports: Iterable[EndpointStats], since: int, until: int, most: int = MOST_BARS) -> list[Bar]:
    """The bars of a window that ends at `until`: each as up as the mean of the five-minute uptimes that were reported
    in it. A bar without a report has no data; `probes` counts the reports.
    """
    width = max(math.ceil((until - since) / most), SHORTEST_MS)
    count = max(1, math.ceil((until - since) / width))
    began = until - count * width
    inside: list[list[float]] = [[] for _ in range(count)]
    for report in reports:
        place = (report.seen_at - began) // width
        if report.uptime_5m is not None and 0 <= place < count:
            inside[place].append(report.uptime_5m)
    seconds = width / 1_000
    return [
        Bar(
            began + n * width,
            began + (n + 1) * width,
            seconds * sum(values) / len(values) if values else 0.0,
            seconds * (1 - sum(values) / len(values)) if values else 0.0,
            0.0,
            len(values),
        )
        for n, values in enumerate(inside)
    ]
