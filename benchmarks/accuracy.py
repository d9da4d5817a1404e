"""How far measured times are from the truth, beside what else one could have measured with.

The truth of a probe is the endpoint's own: from the moment at which it had read the request to the moment at which it
handed the first (the last) token to its socket. What a client says beyond that is the client's error, and the way there
and back over loopback; how late the endpoint was against its own plan is no part of it.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.tools import TINYPROXY, certificate, endpoint, median, noted, percentile, run, table, tinyproxy
from collectors.http.connection import ProbeConnection
from collectors.http.exchange import ProbeRequest, exchange
from collectors.http.proxies import parse_proxy
from store import open_store
from store.schema import PROBES

PLAN = "first_ms=100,tokens=16,step_ms=10"
MANY = 50
SPREAD_S = 0.250
MOST_CPU_MS = 4.0
Measured = dict[str, tuple[float, float]]
"""By probe: time to first token and total, in milliseconds, as a client said."""
_ids = itertools.count()


def _body(model: str) -> dict[str, object]:
    return {
        "model": model,
        "messages": [{"role": "user", "content": "What is 17 + 25? Reply with the number only."}],
        "max_tokens": 16,
        "stream": True,
    }


class Uptoken:
    """The probe's own exchange: threads, and a clock that starts at the socket's send."""

    name = "Uptoken"

    def __init__(self, base_url: str, model: str) -> None:
        self._lines = [ProbeConnection(f"{base_url}/chat/completions") for _ in range(MANY)]
        self._pool = ThreadPoolExecutor(MANY)
        self._body = _body(model)

    def _one(self, line: ProbeConnection, delay_s: float) -> tuple[str, tuple[float, float]]:
        time.sleep(delay_s)
        name = str(next(_ids))
        headers = {"Content-Type": "application/json", "X-Probe-Id": name}
        seen = exchange(line, ProbeRequest(self._body, headers, 30.0))
        assert seen.outcome == "ok" and seen.ttft_ms is not None and seen.total_ms is not None, seen
        return name, (seen.ttft_ms, seen.total_ms)

    def measure(self, delays_s: list[float]) -> Measured:
        return dict(self._pool.map(self._one, self._lines, delays_s))

    def close(self) -> None:
        for line in self._lines:
            line.close()
        self._pool.shutdown()


class ThroughTinyproxy(Uptoken):
    """The same through a proxy between the two: one process more, and its own way of passing bytes on."""

    name = "Uptoken through tinyproxy"

    def __init__(self, base_url: str, model: str) -> None:
        super().__init__(base_url, model)
        self._proxy = ExitStack()
        proxy = parse_proxy("HTTP_PROXY", self._proxy.enter_context(tinyproxy()))
        self._lines = [ProbeConnection(line.url, proxy) for line in self._lines]

    def close(self) -> None:
        super().close()
        self._proxy.close()


class FromTimer:
    """`python -m collectors run` as a timer starts it: a process for each round, a target for each probe, and what the
    store has of them afterwards. Nothing is warm, and each connection is new.
    """

    name = "Uptoken from a timer"

    def __init__(self, base_url: str, model: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._base_url, self._model = base_url, model

    def measure(self, delays_s: list[float]) -> Measured:
        names = [str(next(_ids)) for _ in delays_s]
        config, url = Path(self._folder.name) / "targets.toml", f"sqlite:///{self._folder.name}/{names[0]}.db"
        lines = ['[collector]\nthroughput_every = "off"']
        lines += [
            f'[[target]]\nname = "{name}"\nmodel = "{self._model}"\nbase_url = "{self._base_url}"\n'
            f'headers = {{X-Probe-Id = "{name}"}}'
            for name in names
        ]
        config.write_text("\n".join(lines))
        run([sys.executable, "-m", "collectors", "run", "--only", "probe", "--config", str(config), "--store", url])
        store = open_store(url, read_only=True)
        rows = {
            name: (ttft, total) for name, ttft, total in store.read(PROBES, columns=("target", "ttft_ms", "total_ms"))
        }
        store.close()
        assert rows.keys() == set(names), rows
        return rows

    def close(self) -> None:
        self._folder.cleanup()


class Floor:
    """A bare socket that looks for the token in what it receives: what is left is the endpoint's and the machine's."""

    name = "bare socket (the floor)"

    def __init__(self, base_url: str, model: str) -> None:
        self._address = ("127.0.0.1", urlsplit(base_url).port)
        self._path = "/v1/chat/completions"
        self._body = json.dumps(_body(model)).encode()
        self._closes = "closed" in model
        self._socket: socket.socket | None = None

    def measure(self, delays_s: list[float]) -> Measured:
        name, stamps = str(next(_ids)), []
        head = f"POST {self._path} HTTP/1.1\r\nX-Probe-Id: {name}\r\nContent-Length: {len(self._body)}\r\n\r\n"
        if self._socket is None:
            self._socket = socket.create_connection(self._address)
        self._socket.sendall(head.encode() + self._body)
        sent = time.perf_counter()
        data = b""
        while b"[DONE]" not in data and (data := self._socket.recv(65_536)):
            if b'"content": "7 "' in data:
                stamps.append(time.perf_counter())
        if self._closes:
            self._hang_up()
        return {name: ((stamps[0] - sent) * 1e3, (stamps[-1] - sent) * 1e3)}

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def close(self) -> None:
        self._hang_up()


class FloorThroughTinyproxy(Floor):
    """A new connection for each request, as tinyproxy wants it."""

    name = "bare socket through tinyproxy"

    def __init__(self, base_url: str, model: str) -> None:
        super().__init__(base_url, model)
        self._path = f"{base_url}/chat/completions"
        self._proxy = ExitStack()
        self._address = ("127.0.0.1", urlsplit(self._proxy.enter_context(tinyproxy())).port)
        self._closes = True

    def close(self) -> None:
        super().close()
        self._proxy.close()


class _Async:
    """A client on an event loop: the clock starts at the call, as such clients are used."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    async def _one(self, delay_s: float) -> tuple[str, tuple[float, float]]:
        raise NotImplementedError

    def measure(self, delays_s: list[float]) -> Measured:
        async def all_of_them() -> Measured:
            return dict(await asyncio.gather(*(self._one(delay_s) for delay_s in delays_s)))

        return self._loop.run_until_complete(all_of_them())

    def close(self) -> None:
        self._loop.close()


class Httpx(_Async):
    name = "httpx"

    def __init__(self, base_url: str, model: str) -> None:
        import httpx

        super().__init__()
        self._client = httpx.AsyncClient(
            trust_env=False, limits=httpx.Limits(max_connections=MANY, max_keepalive_connections=MANY), timeout=30
        )
        self._url, self._body = f"{base_url}/chat/completions", _body(model)

    async def _one(self, delay_s: float) -> tuple[str, tuple[float, float]]:
        await asyncio.sleep(delay_s)
        name, stamps = str(next(_ids)), []
        began = time.perf_counter()
        async with self._client.stream("POST", self._url, json=self._body, headers={"X-Probe-Id": name}) as response:
            async for line in response.aiter_lines():
                if '"content": "7 "' in line:
                    stamps.append(time.perf_counter())
        return name, ((stamps[0] - began) * 1e3, (stamps[-1] - began) * 1e3)


class OpenAi(_Async):
    name = "openai SDK"

    def __init__(self, base_url: str, model: str) -> None:
        import httpx
        import openai

        super().__init__()
        limits = httpx.Limits(max_connections=MANY, max_keepalive_connections=MANY)
        self._client = openai.AsyncOpenAI(
            base_url=base_url,
            api_key="none",
            max_retries=0,
            http_client=httpx.AsyncClient(trust_env=False, limits=limits),
        )
        self._model = model

    async def _one(self, delay_s: float) -> tuple[str, tuple[float, float]]:
        await asyncio.sleep(delay_s)
        name, stamps = str(next(_ids)), []
        began = time.perf_counter()
        stream = await self._client.chat.completions.create(
            model=self._model,
            messages=[{"role": "user", "content": "What is 17 + 25? Reply with the number only."}],
            max_tokens=16,
            stream=True,
            extra_headers={"X-Probe-Id": name},
        )
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                stamps.append(time.perf_counter())
        return name, ((stamps[0] - began) * 1e3, (stamps[-1] - began) * 1e3)


@dataclass(frozen=True)
class Pattern:
    """How probes start: the delays of one round, and how many rounds."""

    name: str
    delays_s: tuple[float, ...]
    rounds: int
    most_ms: tuple[float, float]
    """What is promised of Uptoken: the error's median and p99."""


ONE = Pattern("one at a time", (0.0,), 80, (0.5, 1.0))
BURST = Pattern("50 at once", (0.0,) * MANY, 12, (1.0, 10.0))
ONE_RUN = Pattern("one a run", (0.0,), 40, (0.5, 1.0))
MANY_A_RUN = Pattern("50 a run", (0.0,) * MANY, 6, (1.0, 10.0))
SPREAD = Pattern("50 over 250 ms", tuple(n * SPREAD_S / MANY for n in range(MANY)), 12, (0.5, 2.0))


@dataclass(frozen=True)
class Result:
    """Errors of one client under one pattern, in milliseconds, and its CPU a probe."""

    ttft_ms: list[float]
    total_ms: list[float]
    endpoint_late_ms: list[float]
    cpu_ms: float


Client = Uptoken | FromTimer | Floor | Httpx | OpenAi


def measure(make: Callable[[str, str], Client], pattern: Pattern, framing: str, tls: str | None = None) -> Result:
    """One client against a fresh endpoint. The first round warms up and is not counted."""
    with endpoint(tls) as base_url:
        client = make(base_url, f"{PLAN},framing={framing}")
        client.measure(list(pattern.delays_s))
        noted(base_url)
        gc.collect()
        gc.freeze()  # as the collector does: what is there already is no garbage to look through during a probe
        said: Measured = {}
        cpu = 0.0
        for _ in range(pattern.rounds):
            before = _cpu_s()
            said |= client.measure(list(pattern.delays_s))
            cpu += _cpu_s() - before
            time.sleep(0.02)
        truth = noted(base_url)
        client.close()
    ttft, total, late = [], [], []
    for name, (ttft_ms, total_ms) in said.items():
        true = truth[name]
        ttft.append(abs(ttft_ms - (true["first"] - true["received"]) * 1e3))
        total.append(abs(total_ms - (true["last"] - true["received"]) * 1e3))
        late.append(true["late_ms"])
    return Result(ttft, total, late, cpu / len(said) * 1e3)


def _cpu_s() -> float:
    """This process's CPU and that of the children which have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _say(row: list[str]) -> list[str]:
    print("  ".join(row), file=sys.stderr, flush=True)
    return row


def _row(name: str, pattern: Pattern, framing: str, seen: Result) -> list[str]:
    return _say(
        [
            name,
            pattern.name,
            framing,
            f"{median(seen.ttft_ms):.2f} / {percentile(seen.ttft_ms, 0.99):.2f}",
            f"{median(seen.total_ms):.2f} / {percentile(seen.total_ms, 0.99):.2f}",
            f"{seen.cpu_ms:.1f}",
            f"{median(seen.endpoint_late_ms):.2f} / {percentile(seen.endpoint_late_ms, 0.99):.2f}",
        ]
    )


def main() -> str:
    """The tables, as Markdown."""
    rows = []
    over: list[str] = []
    for framing in ("chunked", "closed", "sized", "gzip"):
        for pattern in (ONE, BURST, SPREAD):
            seen = measure(Uptoken, pattern, framing)
            rows.append(_row("**Uptoken**", pattern, framing, seen))
            over += _over(pattern, framing, seen)
    proxied, more_over = _through_tinyproxy()
    rows += proxied
    over += more_over
    for pattern in (ONE_RUN, MANY_A_RUN):
        seen = measure(FromTimer, pattern, "chunked")
        rows.append(_row("**Uptoken** from a timer", pattern, "chunked", seen))
        over += _over(pattern, "chunked, from a timer", seen, cpu=False)
    for framing in ("chunked", "closed", "sized"):
        rows.append(_row(Floor.name, ONE, framing, measure(Floor, ONE, framing)))
    for client in (Httpx, OpenAi):
        for pattern in (ONE, BURST, SPREAD):
            rows.append(_row(client.name, pattern, "chunked", measure(client, pattern, "chunked")))
    headings = (
        "client",
        "probes",
        "body",
        "TTFT error, ms, p50 / p99",
        "total error, ms, p50 / p99",
        "CPU a probe, ms",
        "the endpoint's own lateness, ms, p50 / p99",
    )
    promise = "kept" if not over else "NOT KEPT: " + "; ".join(over)
    return f"{table(headings, rows)}\n\nPromised of Uptoken (0.5 / 1, 1 / 10, 0.5 / 2 ms; 4 ms of CPU): {promise}."


def _through_tinyproxy() -> tuple[list[list[str]], list[str]]:
    """Rows through a proxy, and what of them is beyond the promise.

    Through a tunnel, as https:// goes, the promise is the same as without a proxy. What is forwarded is promised
    against a bare socket: tinyproxy connects to the endpoint only when it has the request, and that takes its time.
    """
    if TINYPROXY is None:
        print("tinyproxy is not installed: its rows are left out", file=sys.stderr)
        return [], []
    name, rows, over = "**Uptoken** through tinyproxy", [], []
    with certificate() as own:
        rows.append(_row("**Uptoken**", ONE, "https, chunked", measure(Uptoken, ONE, "chunked", own)))
        for pattern in (ONE, BURST, SPREAD):
            seen = measure(ThroughTinyproxy, pattern, "chunked", own)
            rows.append(_row(name, pattern, "https, chunked", seen))
            over += _over(pattern, "https through tinyproxy", seen)
    floor = measure(FloorThroughTinyproxy, ONE, "chunked")
    forwarded = {pattern: measure(ThroughTinyproxy, pattern, "chunked") for pattern in (ONE, BURST, SPREAD)}
    rows += [_row(name, pattern, "chunked", seen) for pattern, seen in forwarded.items()]
    rows.append(_row(FloorThroughTinyproxy.name, ONE, "chunked", floor))
    beyond_ms = median(forwarded[ONE].ttft_ms) - median(floor.ttft_ms)
    if round(beyond_ms, 2) > ONE.most_ms[0]:
        over.append(f"TTFT median {beyond_ms:.2f} ms beyond a bare socket (forwarded by tinyproxy)")
    return rows, over


def _over(pattern: Pattern, framing: str, seen: Result, *, cpu: bool = True) -> list[str]:
    """What is beyond the promise, in words."""
    found = []
    for name, errors in (("TTFT", seen.ttft_ms), ("total", seen.total_ms)):
        for share, most, word in ((0.5, pattern.most_ms[0], "median"), (0.99, pattern.most_ms[1], "p99")):
            value = median(errors) if share == 0.5 else percentile(errors, share)
            if round(value, 2) > most:
                found.append(f"{name} {word} {value:.2f} ms ({pattern.name}, {framing})")
    if cpu and round(seen.cpu_ms, 1) > MOST_CPU_MS:
        found.append(f"CPU {seen.cpu_ms:.1f} ms ({pattern.name}, {framing})")
    return found


if __name__ == "__main__":
    print(main())
