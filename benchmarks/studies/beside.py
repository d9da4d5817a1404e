"""The same questions asked of Uptoken's roll-ups, of raw SQLite rows, of pandas over a CSV, and of Prometheus.

    apt-get install prometheus                                 (2.42 or newer; it is left out where it is missing)
    python -m benchmarks.studies.beside --days 10

A generated history of 100 targets at one probe a minute, the same for all. Prometheus reads it as `up` and `ttft_ms`
from OpenMetrics by `promtool`, and listens on loopback while it is asked.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode
from urllib.request import urlopen

import apsw
import pandas as pd
import typer

from benchmarks.studies.pages import overview_s
from benchmarks.studies.year import fill, names
from benchmarks.tools import machine, median, table
from stats.latency import bands
from stats.samples import percentiles
from stats.summary import Summary, summary
from store import Store, open_store
from store.outcomes import DOWN, UP
from store.rollup_plan import Range, rollups_of
from store.rollups import DAY_MS, HOUR_MS, Rollup, Step
from store.schema import PROBES
from store.url import parse_store_url

TARGETS, RUNS, SERVER_WAIT_S = 100, 7, 60
COLUMNS = ("target", "started_at", "profile", "stands_for_s", "outcome", "lag_ms", "ttft_ms")
GOOD, BAD = ", ".join(f"'{o}'" for o in UP), ", ".join(f"'{o}'" for o in DOWN)
ProbeRequest = Callable[[], Any]


def timed(ask: ProbeRequest | None) -> str:
    """The median of some runs, the first of them not counted."""
    if ask is None:
        return "cannot say"
    times = []
    for _ in range(RUNS + 1):
        began = time.perf_counter()
        ask()
        times.append((time.perf_counter() - began) * 1_000)
    return f"{median(times[1:]):,.1f} ms"


def of_uptoken(store: Store, name: str, since: int, now: int) -> dict[str, ProbeRequest]:
    """From the roll-ups, as the pages ask."""

    def pings(began: int, finest: Step | None = None) -> list[Rollup]:
        told = rollups_of(store, (name,), Range(began, now), finest=finest)
        return [rollup for rollup in told if rollup.profile == "ping"]

    def over(began: int) -> Summary:
        return summary(pings(began))

    def by_hour() -> Any:
        return bands(pings(since, "hour"), "ttft_ms", since, now)

    day = now - DAY_MS
    return {
        "uptime, a day": lambda: over(day).uptime(day, now).share,
        "uptime, all": lambda: over(since).uptime(since, now).share,
        "p95 of TTFT, a day": lambda: percentiles(pings(day), "ttft_ms").p95,
        "p95 of TTFT, all": lambda: percentiles(pings(since), "ttft_ms").p95,
        "percentiles over time, all": by_hour,
        "overview of all targets, a day": lambda: overview_s(store, TARGETS),
    }


def of_sqlite(path: Path, name: str, since: int, now: int) -> dict[str, ProbeRequest]:
    """From the raw rows of the same file, by SQL."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    seconds = "sum(stands_for_s) FILTER (WHERE outcome IN ({}))"
    uptime = f"{seconds.format(GOOD)} / {seconds.format(f'{GOOD}, {BAD}')}"
    p95 = f"percentile(ttft_ms, 95) FILTER (WHERE outcome IN ({GOOD}) AND lag_ms <= 20)"
    one = "FROM probes WHERE target = ? AND profile = 'ping' AND started_at >= ?"

    def ask(sql: str, *bindings: Any) -> ProbeRequest:
        return lambda: list(connection.execute(sql, bindings))

    day = now - DAY_MS
    return {
        "uptime, a day": ask(f"SELECT {uptime} {one}", name, day),
        "uptime, all": ask(f"SELECT {uptime} {one}", name, since),
        "p95 of TTFT, a day": ask(f"SELECT {p95} {one}", name, day),
        "p95 of TTFT, all": ask(f"SELECT {p95} {one}", name, since),
        "percentiles over time, all": ask(
            "SELECT started_at / 10800000, " + ", ".join(f"percentile(ttft_ms, {p})" for p in (5, 25, 50, 75, 95))
            + f" {one} GROUP BY 1",
            name,
            since,
        ),
        "overview of all targets, a day": ask(
            f"SELECT target, {uptime}, percentile(ttft_ms, 50), {p95} FROM probes WHERE target IN"
            " (SELECT target FROM series) AND started_at >= ? AND profile = 'ping' GROUP BY target",
            day,
        ),
    }  # fmt: skip


def of_pandas(data: pd.DataFrame, name: str, since: int, now: int) -> dict[str, ProbeRequest]:
    """In memory, after the CSV was read."""
    day = now - DAY_MS

    def one(window: int) -> pd.DataFrame:
        return data[(data["target"] == name) & (data["profile"] == "ping") & (data["started_at"] >= window)]

    def uptime(rows: pd.DataFrame) -> Any:
        decided = rows[rows["outcome"].isin(UP | DOWN)]
        return decided.loc[decided["outcome"].isin(UP), "stands_for_s"].sum() / decided["stands_for_s"].sum()

    def p95(rows: pd.DataFrame) -> Any:
        return rows.loc[rows["outcome"].isin(UP) & (rows["lag_ms"] <= 20), "ttft_ms"].quantile(0.95)

    def over_time() -> Any:
        rows = one(since)
        return rows.groupby(rows["started_at"] // 10_800_000)["ttft_ms"].quantile([0.05, 0.25, 0.5, 0.75, 0.95])

    def overview() -> Any:
        rows = data[(data["started_at"] >= day) & (data["profile"] == "ping")]
        return [(uptime(mine), p95(mine), mine["ttft_ms"].median()) for _, mine in rows.groupby("target")]

    return {
        "uptime, a day": lambda: uptime(one(day)),
        "uptime, all": lambda: uptime(one(since)),
        "p95 of TTFT, a day": lambda: p95(one(day)),
        "p95 of TTFT, all": lambda: p95(one(since)),
        "percentiles over time, all": over_time,
        "overview of all targets, a day": overview,
    }


def of_prometheus(url: str, name: str, since: int, now: int) -> dict[str, ProbeRequest]:
    """By PromQL. Its uptime is the mean of the samples, whatever time each stands for, and a gap is not seen."""
    all_s = (now - since) // 1_000

    def ask(*queries: str, **more: Any) -> ProbeRequest:
        kind = "query_range" if more else "query"

        def run() -> Any:
            for query in queries:
                arguments = urlencode({"query": query} | (more or {"time": now / 1_000}))
                with urlopen(f"{url}/api/v1/{kind}?{arguments}") as answer:
                    found = json.load(answer)["data"]["result"]
                assert found
            return found

        return run

    one = f'{{target="{name}"}}'
    return {
        "uptime, a day": ask(f"avg_over_time(up{one}[1d])"),
        "uptime, all": ask(f"avg_over_time(up{one}[{all_s}s])"),
        "p95 of TTFT, a day": ask(f"quantile_over_time(0.95, ttft_ms{one}[1d])"),
        "p95 of TTFT, all": ask(f"quantile_over_time(0.95, ttft_ms{one}[{all_s}s])"),
        "percentiles over time, all": ask(
            *(f"quantile_over_time({p}, ttft_ms{one}[3h])" for p in (0.05, 0.25, 0.5, 0.75, 0.95)),
            start=since / 1_000, end=now / 1_000, step=10_800,
        ),
        "overview of all targets, a day": ask(
            "avg_over_time(up[1d])", "quantile_over_time(0.5, ttft_ms[1d])", "quantile_over_time(0.95, ttft_ms[1d])"
        ),
    }  # fmt: skip


def write_openmetrics(store: Store, path: Path) -> None:
    """All ping probes as two metrics."""
    columns = ("target", "started_at", "profile", "outcome", "lag_ms", "ttft_ms")
    with path.open("w") as file:
        for metric in ("up", "ttft_ms"):
            file.write(f"# TYPE {metric} gauge\n")
            for target, at, profile, outcome, lag_ms, ttft_ms in store.read(PROBES, columns=columns):
                if profile != "ping" or outcome not in UP | DOWN:
                    continue
                value = int(outcome in UP) if metric == "up" else ttft_ms
                if value is not None and not (metric == "ttft_ms" and (lag_ms or 0) > 20):
                    file.write(f'{metric}{{target="{target}"}} {value} {at / 1_000:.3f}\n')
        file.write("# EOF\n")


@contextmanager
def prometheus(store: Store, folder: Path) -> Iterator[tuple[str, float] | None]:
    """Its address, and how long it took to read the history; null where it is not installed."""
    if shutil.which("promtool") is None or shutil.which("prometheus") is None:
        yield None
        return
    text, data, settings = folder / "history.om", folder / "prometheus", folder / "prometheus.yml"
    write_openmetrics(store, text)
    began = time.perf_counter()
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", "-q", str(text), str(data)],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    took = time.perf_counter() - began
    settings.write_text("global: {scrape_interval: 1h}\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        ["prometheus", f"--config.file={settings}", f"--storage.tsdb.path={data}", "--storage.tsdb.retention.time=10y",
         f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(SERVER_WAIT_S * 5):
            try:
                urlopen(f"{url}/-/ready").close()
                break
            except OSError:
                time.sleep(0.2)
        yield url, took
    finally:
        server.terminate()
        server.wait()


def of_a_year(url: str) -> None:
    """The same of a store that is there, from roll-ups and from raw rows."""
    store, name = open_store(url, read_only=True), names(TARGETS)[42]
    [now] = [series.newest.started_at for series in store.series() if series.newest.target == name][:1]
    since = (now - 365 * DAY_MS) // HOUR_MS * HOUR_MS
    asked = {
        "Uptoken": of_uptoken(store, name, since, now),
        "raw SQLite rows": of_sqlite(parse_store_url(url).path or Path(), name, since, now),
    }
    rows = [[q, *(timed(of[q]) for of in asked.values())] for q in asked["Uptoken"]]
    print(table((f"a year, median of {RUNS}", *asked), rows))
    store.close()


def main(
    days: Annotated[float, typer.Option(help="How many days the history is long.")] = 10,
    year: Annotated[str | None, typer.Option(help="A store that the study `year` filled, for SQLite alone.")] = None,
) -> None:
    """Print the tables, as Markdown."""
    if year is not None:
        of_a_year(year)
        return
    now = time.time_ns() // 1_000_000
    since, name = (now - int(days * DAY_MS)) // HOUR_MS * HOUR_MS + HOUR_MS, names(TARGETS)[42]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        path, csv = folder / "history.db", folder / "history.csv"
        writer = open_store(f"sqlite:///{path}")
        began = time.perf_counter()
        count = fill(writer, TARGETS, days, now)
        filled_s = time.perf_counter() - began
        writer.close()
        store = open_store(f"sqlite:///{path}", read_only=True)
        pd.DataFrame(store.read(PROBES, columns=COLUMNS), columns=list(COLUMNS)).to_csv(csv, index=False)
        began = time.perf_counter()
        data = pd.read_csv(csv)
        read_s = time.perf_counter() - began
        print(f"{count:,} probes are written, Prometheus reads them next", file=sys.stderr, flush=True)
        with prometheus(store, folder) as server:
            asked = {
                "Uptoken": of_uptoken(store, name, since, now),
                "raw SQLite rows": of_sqlite(path, name, since, now),
                "pandas, in memory": of_pandas(data, name, since, now),
                "Prometheus": of_prometheus(server[0], name, since, now) if server else {},
            }
            questions = list(asked["Uptoken"])
            rows = [[q, *(timed(of.get(q)) for of in asked.values())] for q in questions]
            size = sum(f.stat().st_size for f in (folder / "prometheus").rglob("*") if f.is_file())
        rows.append(
            ["to bring it in", f"{filled_s:.0f} s", "", f"{read_s:.1f} s", f"{server[1]:.0f} s" if server else ""]
        )
        sizes = [path.stat().st_size, 0, csv.stat().st_size, size]
        rows.append(["size", *(f"{size / 1e6:,.0f} MB" if size else "" for size in sizes)])
        store.close()
    print(f"Measured on {machine()}, {count:,} probes of {TARGETS} targets over {days:g} days.\n")
    print(table((f"median of {RUNS}", *asked), rows))


if __name__ == "__main__":
    typer.run(main)
