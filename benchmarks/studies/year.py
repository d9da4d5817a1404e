"""A year of 100 targets at one probe a minute: 52,560,000 probes with gaps, outages, rate limits and heavy tails.

    python -m benchmarks.studies.year sqlite:///data/year.db                 makes it (half an hour, 8 GB)
    python -m benchmarks.studies.year sqlite:///data/year.db --days 36       a tenth of the history

Nothing in it was measured. It ends now, so that live windows have something to show.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from typing import Annotated

import typer

from store import Store, open_store
from store.schema import Model, Probe, Target

MINUTE_MS, DAY_MS = 60_000, 86_400_000
BATCH = 20_000
POOL = 4_096
"""Random values are drawn once and used again in another order: drawing them would take longer than keeping them."""


def names(targets: int) -> list[str]:
    """What the targets are called."""
    return [f"target {number:03d}" for number in range(targets)]


def probes(number: int, name: str, since: int, until: int) -> Iterator[Probe]:
    """One target's probes from `since` to `until` (milliseconds UTC), at a moment of the minute of its own."""
    chance = random.Random(number)
    ttft, speed = chance.uniform(90, 900), chance.uniform(20, 160)
    firsts = [round(ttft * chance.lognormvariate(0, 0.3) * (1 + 3 * (chance.random() < 0.04)), 3) for _ in range(POOL)]
    totals = [round(first + 16 / speed * 1_000 * chance.lognormvariate(0, 0.1), 3) for first in firsts]
    rates = [round(speed * chance.lognormvariate(0, 0.08), 2) for _ in range(POOL)]
    gaps = _holes(chance, since, until, 6, 0.5, 30)
    outages = _holes(chance, since, until, 25, 0.05, 3)
    limits = _holes(chance, since, until, 12, 0.2, 4)
    at, place = since + chance.randrange(MINUTE_MS), 0
    while at < until:
        place = (place + chance.randrange(1, 9)) % POOL
        if not _inside(gaps, at):
            if _inside(outages, at):
                yield Probe(name, at, "bench", "ping", 60.0, "server_error", 503, 0.3, error="HTTP 503, overloaded")
            elif _inside(limits, at):
                yield Probe(name, at, "bench", "ping", 60.0, "rate_limited", 429, 0.3, error="HTTP 429, slow down")
            else:
                yield Probe(
                    name, at, "bench", "ping", 60.0, "ok", 200, 25.0 if place == 7 else 0.3, None, firsts[place],
                    totals[place], None, 21, 3, None, 0, "usage", 2.7e-07, place % 40 != 0, None, "m", "stop",
                )  # fmt: skip
        at += MINUTE_MS
        if place % 60 == 0:
            yield Probe(
                name, at - 30_000, "bench", "throughput", 3_600.0, "ok", 200, 0.3, None, firsts[place],
                firsts[place] + 128_000 / rates[place], rates[place], 30, 128, None, 0, "usage", 5e-06,
            )  # fmt: skip


def _holes(
    chance: random.Random, since: int, until: int, a_year: int, least_h: float, most_h: float
) -> list[tuple[int, int]]:
    count = max(1, round(a_year * (until - since) / (365 * DAY_MS)))
    began = sorted(chance.randrange(since, until) for _ in range(count))
    return [(at, at + int(chance.uniform(least_h, most_h) * 3_600_000)) for at in began]


def _inside(holes: list[tuple[int, int]], at: int) -> bool:
    """Whether a moment lies in one of the holes; those that are over are dropped, since time only goes on."""
    while holes and holes[0][1] <= at:
        holes.pop(0)
    return bool(holes) and holes[0][0] <= at


def fill(store: Store, targets: int, days: float, now: int) -> int:
    """Write it all; returns how many probes."""
    since, count = now - int(days * DAY_MS), 0
    for number, name in enumerate(names(targets)):
        store.write(
            [
                Target(name, "bench", "active", f"m/{number}", "https://llm.example/v1", 60.0, "ping", now, 3_600.0),
                Model(name, f"m/{number}", since, None, name, context_tokens=32_768, usd_per_million_input="0.01"),
            ]
        )
        batch: list[Probe] = []
        for probe in probes(number, name, since, now):
            batch.append(probe)
            if len(batch) == BATCH:
                count += store.write(batch)
                batch.clear()
        count += store.write(batch)
        if sys.stderr.isatty() or number % 10 == 9:
            print(f"{number + 1} of {targets} targets, {count:,} probes", file=sys.stderr, flush=True)
    return count


def main(
    url: Annotated[str, typer.Argument(metavar="URL", help="The store to fill.")],
    targets: Annotated[int, typer.Option(help="How many targets.")] = 100,
    days: Annotated[float, typer.Option(help="How many days the history is long.")] = 365,
) -> None:
    """Fill a store with a generated year."""
    store = open_store(url)
    began = time.perf_counter()
    count = fill(store, targets, days, time.time_ns() // 1_000_000)
    seconds = time.perf_counter() - began
    store.close()
    print(f"{count:,} probes in {seconds:.0f} s ({count / seconds:,.0f} a second)")


if __name__ == "__main__":
    typer.run(main)
