"""How long the API's responses take, over the real dashboard: no two requests are alike, so that no cache helps.

    python -m benchmarks.api                             fills 31 days of 20 targets first (half a minute)
    python -m benchmarks.api sqlite:///data/year.db      a store of `benchmarks.studies.year` or `.retained_year`

One client asks after the other, each over one connection, for random targets and ranges of the store's history.
"""

from __future__ import annotations

import http.client
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlencode

from benchmarks.browser import dashboard_process
from benchmarks.studies.year import fill
from benchmarks.tools import median, percentile, table
from store import open_store
from store.formats import iso

MOST_P95_MS = 100.0
REQUESTS = 60
DAY_MS = 86_400_000
Ask = Callable[[str], tuple[float, bytes]]


@contextmanager
def store_url() -> Iterator[str]:
    """The store that the command line names, else one that is filled now."""
    if len(sys.argv) > 1:
        yield sys.argv[1]
        return
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/bench.db"
        store = open_store(url)
        fill(store, 20, 31, time.time_ns() // 1_000_000)
        store.close()
        yield url


class Paths:
    """Random requests of each kind; `kinds` is by what is shown."""

    def __init__(self, names: list[str], began: int, now: int) -> None:
        self._names, self._began, self._now = names, began, now
        self._chance = random.Random(7)
        self.kinds: dict[str, Callable[[], str]] = {
            "targets": lambda: "/api/v1/targets",
            "one target": lambda: f"/api/v1/targets/{self._name()}",
            "summary of any range": lambda: f"/api/v1/targets/{self._name()}/summary?{self._range()}",
            "summary of everything": lambda: f"/api/v1/targets/{self._name()}/summary?{self._range(whole=True)}",
            "series of any range": lambda: f"/api/v1/targets/{self._name()}/series?{self._range()}",
            "series of everything": lambda: f"/api/v1/targets/{self._name()}/series?{self._range(whole=True)}",
            "events of 7 days of one target": lambda: f"/api/v1/events?{self._range(7)}&target={self._name()}",
            "events of 7 days of all": lambda: f"/api/v1/events?{self._range(7)}",
            "incidents of 30 days": lambda: f"/api/v1/incidents?{self._range(30)}",
            "a page of 1,000 probes": lambda: f"/api/v1/probes?{self._range(7)}&limit=1000&target={self._name()}",
            "the same of all targets": lambda: f"/api/v1/probes?{self._range(7)}&limit=1000",
            "models": lambda: "/api/v1/models",
            "health": lambda: "/api/v1/health",
            "badge": lambda: f"/badge/{self._name()}.svg?range={self._chance.randrange(1, 90 * 24)}h",
            "feed": lambda: "/feed.atom",
            "Statuspage's summary": lambda: "/api/v2/summary.json",
            "metrics": lambda: "/metrics",
        }

    def _name(self) -> str:
        return quote(self._chance.choice(self._names), safe="")

    def _range(self, days: int | None = None, *, whole: bool = False) -> str:
        longest = self._now - self._began
        if whole:
            since, until = self._began + self._chance.randrange(60_000), self._now - self._chance.randrange(60_000)
        else:
            length = min(longest, days * DAY_MS) if days else int(longest ** self._chance.uniform(0.75, 1.0))
            since = self._now - length - self._chance.randrange(max(1, longest - length))
            until = since + length
        return urlencode({"from": iso(since), "to": iso(until)})


@contextmanager
def client(address: str) -> Iterator[Ask]:
    """Asks for a path: milliseconds until the whole response is there, and the body."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)

    def ask(path: str) -> tuple[float, bytes]:
        began = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        is_fine = answer.status == 200 or path.endswith("/health")  # 503: the collector of this store has stopped
        assert is_fine, f"{path}: {answer.status} {body[:300]!r}"
        return (time.perf_counter() - began) * 1_000, body

    yield ask
    connection.close()


def main() -> str:
    """The table, as Markdown."""
    with store_url() as url, dashboard_process(url) as (address, _), client(address) as ask:
        listed = json.loads(ask("/api/v1/targets")[1])["targets"]
        store = open_store(url, read_only=True)
        since = min(series.first_at for series in store.series())
        store.close()
        paths = Paths([each["name"] for each in listed], since, time.time_ns() // 1_000_000)
        rows, slowest = [], 0.0
        for kind, path in paths.kinds.items():
            ask(path())  # what is loaded once
            took, sizes = zip(*((ms, len(body)) for ms, body in (ask(path()) for _ in range(REQUESTS))), strict=True)
            p95 = percentile(took, 0.95)
            slowest = max(slowest, p95)
            kept = "" if p95 <= MOST_P95_MS else "NOT KEPT"
            rows.append([kind, f"{median(took):.1f} ms", f"{p95:.1f} ms", f"{median(sizes) / 1_000:.1f} kB", kept])
    head = f"{len(listed)} targets since {iso(since)[:10]}; {REQUESTS} requests of each kind, one after the other."
    promised = f"Promised: p95 under {MOST_P95_MS:.0f} ms; the slowest kind has {slowest:.0f} ms."
    return f"{head}\n\n{table(('', 'p50', 'p95', 'size', ''), rows)}\n\n{promised}"


if __name__ == "__main__":
    print(main())
