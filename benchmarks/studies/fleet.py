"""What the pages ask of ClickHouse's own engine, in this process, over 200,000,000 generated probes.

    pip install -r requirements-clickhouse.txt
    python -m benchmarks.studies.fleet chdb:////tmp/fleet            makes them (half an hour, 4 GB) and asks
    python -m benchmarks.studies.fleet chdb:////tmp/fleet --million 20

A year of the same 100 targets as `benchmarks.studies.year`, with a probe every 15 seconds. The probes are generated,
not measured; they end now.
"""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from benchmarks.studies.pages import CALLS, OF_THE_YEAR, timed
from benchmarks.tools import machine, table
from store import Store, open_store
from store.clickhouse import ClickHouseStore
from store.schema import PROBES, Model, Target

MOST_MS = 300.0
TARGETS, EVERY_MS, HOUR_MS = 100, 15_000, 3_600_000


def _of(number: int, name: str, since: int, hours: int) -> list[str]:
    """Statements that generate one target's past: outages, rate limits, gaps, heavy tails."""
    ttft, speed = 90 + number * 37 % 800, 20 + number * 29 % 140
    stretch = f"sipHash64({number}, intDiv(number, 360)) % 1000"
    outcome = "multiIf(stretch < 4, 'server_error', stretch < 6, 'rate_limited', 'ok')"
    first = f"{ttft} * exp(randNormal(0, 0.3)) * if(rand(1) % 25 = 0, 4, 1)"
    columns = (
        "target, started_at, location, profile, stands_for_s, outcome, http_status, lag_ms, ttft_ms, total_ms,"
        " tokens_per_second, prompt_tokens, completion_tokens, tokens_source, cost_usd, answer_ok, error"
    )
    ping = (
        f"SELECT '{name}', {since} + number * {EVERY_MS}, 'bench', 'ping', {EVERY_MS / 1_000}, {outcome} AS o,"
        " multiIf(o = 'ok', 200, o = 'rate_limited', 429, 503), 0.3, if(o = 'ok', first, NULL),"
        f" if(o = 'ok', first + {16_000 / speed} * exp(randNormal(0, 0.1)), NULL), NULL, if(o = 'ok', 21, NULL),"
        " if(o = 'ok', 3, NULL), 'usage', if(o = 'ok', 2.7e-7, NULL), if(o = 'ok', rand(2) % 40 > 0, NULL),"
        " if(o = 'ok', NULL, 'HTTP 503, overloaded')"
        f" FROM (SELECT number, {stretch} AS stretch, {first} AS first FROM numbers({hours * HOUR_MS // EVERY_MS}))"
        " WHERE stretch < 990"
    )
    throughput = (
        f"SELECT '{name}', {since} + number * 3600000 + 30000, 'bench', 'throughput', 3600, 'ok', 200, 0.3, {first},"
        f" {first} + {128_000 / speed}, {speed} * exp(randNormal(0, 0.08)), 30, 128, 'usage', 5e-6, NULL, NULL"
        f" FROM numbers({hours})"
    )
    return [f"INSERT INTO uptoken.probes ({columns}) {query}" for query in (ping, throughput)]


def fill(store: ClickHouseStore, hours: int, now: int) -> None:
    """The past hours of all targets."""
    since = now - now % EVERY_MS - hours * HOUR_MS
    for number in range(TARGETS):
        name = f"target {number:03d}"
        for statement in _of(number, name, since, hours):
            store._database.command(statement)
        store.write(
            [
                Target(name, "bench", "active", f"m/{number}", "https://llm.example/v1", 15.0, "ping", now, 3_600.0),
                Model(name, f"m/{number}", since, None, name, context_tokens=32_768, usd_per_million_input="0.01"),
            ]
        )
        if number % 10 == 9:
            print(f"{number + 1} of {TARGETS} targets", file=sys.stderr, flush=True)


def ask(store: Store) -> list[list[str]]:
    """Every call of every page: p95, and whether it was kept."""
    found = store.series()
    now = max(series.newest.started_at for series in found)
    names = sorted({series.newest.target for series in found})
    rows = []
    for what, call in {**CALLS, **OF_THE_YEAR}.items():
        took = timed(store, call, names, now)
        rows.append([what, f"{took:.0f} ms", "" if took <= MOST_MS else "NOT KEPT"])
        print(" ".join(rows[-1]), file=sys.stderr, flush=True)
    return rows


def main(
    url: Annotated[str, typer.Argument(help="chdb:///absolute/path of an empty folder, or of one that this filled.")],
    million: Annotated[int, typer.Option(help="How many million probes.")] = 200,
) -> None:
    """Fill the store, if it is empty, and print the table as Markdown."""
    store = open_store(url)
    assert isinstance(store, ClickHouseStore)
    if not store.count(PROBES):
        began = time.perf_counter()
        fill(store, -(-million * 1_015_000 // (TARGETS * (HOUR_MS // EVERY_MS + 1))), time.time_ns() // 1_000_000)
        print(f"made in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    print(f"Measured on {machine()}, over {store.count(PROBES):,} probes of {len(store.series()) // 2} targets.\n")
    print(table(("p95", "ClickHouse's engine", ""), ask(store)))
    store.close()


if __name__ == "__main__":
    typer.run(main)
