"""The relay: what it adds to a first token, how many requests it takes, and what it does when things go wrong; next to
a direct connection and to LiteLLM's proxy.

    python -m benchmarks.relay [--minutes 10] [--rounds 5] [--only added,plain,fallback,locked,endurance]

LiteLLM is installed into an environment of its own, `.venv-litellm`, once; without it its lines are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from benchmarks.relay_load import Measured, answers, closed_loop, hold, run, steady, streams
from benchmarks.tools import ROOT, median, percentile, table

PARTS = ("added", "plain", "fallback", "locked", "endurance")
LITELLM_START_S = 240  # it imports a lot
LITELLM = ROOT / ".venv-litellm"
ADDED_P50_MS, ADDED_P99_MS = 2.0, 10.0
FEWEST_PER_SECOND, TIMES_LITELLM = 1_500, 10
FALLBACK_REQUESTS, SUCCEED, CALLS_EACH = 10_000, 0.999, 1.3
STREAMS_PER_SECOND, ROUND_S = 100, 8.0
LOCKED_S, LOCKED_PER_SECOND = 30.0, 200
GROWTH = 0.10


@dataclass(frozen=True)
class Proxy:
    """A process between the load and the model server."""

    port: int
    pid: int
    store: Path | None = None


def _wait_for(port: int, path: str, most_s: float, process: subprocess.Popen[str]) -> bool:
    until = time.monotonic() + most_s
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError), urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return bool(answer.status == 200)
        time.sleep(0.1)
    return False


@contextmanager
def upstream() -> Iterator[int]:
    """The model server; its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.relay_upstream"], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


MODELS = ("json", "stream", "endless", "flaky", "good", "other")


@contextmanager
def relay(port: int) -> Iterator[Proxy]:
    """The relay as its users start it, in front of the model server, with a store of its own."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"http://127.0.0.1:{port}/v1"
        lines = [f'[[target]]\nname = "{name}"\nmodel = "{name}"\nbase_url = "{url}"\n' for name in MODELS]
        lines.append('[[route]]\nmodel = "three"\ntargets = ["flaky", "good", "other"]\nstrategy = "price"\n')
        config, store = Path(folder, "targets.toml"), Path(folder, "bench.db")
        config.write_text("\n".join(lines))
        command = [sys.executable, "-m", "collectors", "relay", "--port", "0", "--config", str(config)]
        process = subprocess.Popen(
            [*command, "--store", f"sqlite:///{store}"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"UPTOKEN_LOCATION": "bench"},
        )
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            found = int(said.rsplit(":", 1)[1].split("/")[0])
            assert _wait_for(found, "/health", 10, process)
            yield Proxy(found, process.pid, store)
        finally:
            process.terminate()
            process.wait(30)


def litellm_command() -> Path | None:
    """LiteLLM's proxy, installed if need be; null where it cannot be."""
    named = os.environ.get("LITELLM")
    command = Path(named) if named else LITELLM / "bin" / "litellm"
    if command.exists():
        return command
    print("installing LiteLLM into an environment of its own (once)", file=sys.stderr)
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run([sys.executable, "-m", "venv", str(LITELLM)], check=True, timeout=120)
        pip = [str(LITELLM / "bin" / "pip"), "install", "-q", "litellm[proxy]"]
        subprocess.run(pip, check=True, timeout=900, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return command if command.exists() else None
    return None


@contextmanager
def litellm(port: int) -> Iterator[Proxy | None]:
    """LiteLLM's proxy in front of the same server; null where it cannot be installed or does not start."""
    command = litellm_command()
    if command is None:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as taken:
        own_port = taken.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        entry = {"model": "openai/json", "api_base": f"http://127.0.0.1:{port}/v1", "api_key": "sk-none"}
        config = Path(folder, "config.yaml")
        config.write_text(json.dumps({"model_list": [{"model_name": "json", "litellm_params": entry}]}))
        process = subprocess.Popen(
            [str(command), "--config", str(config), "--port", str(own_port), "--host", "127.0.0.1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=folder,
            env=os.environ
            | {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
            | {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"},
        )
        try:
            is_up = _wait_for(own_port, "/health/liveliness", LITELLM_START_S, process)
            yield Proxy(own_port, process.pid) if is_up else None
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(15)
            process.kill()


def _kept(is_kept: bool) -> str:
    return "kept" if is_kept else "NOT KEPT"


def added(rounds: int) -> None:
    """What the relay adds to the first token, with about 50 streams open at a time."""
    chance = random.Random(7)
    p50s, p99s, direct = [], [], []
    with upstream() as port, relay(port) as proxy:
        for _ in range(rounds):
            plain = run(streams(port, "stream", STREAMS_PER_SECOND, ROUND_S, chance))
            through = run(streams(proxy.port, "stream", STREAMS_PER_SECOND, ROUND_S, chance))
            assert not plain.failed + through.failed
            direct.append(percentile(plain.latencies_ms, 0.50))
            p50s.append(percentile(through.latencies_ms, 0.50) - percentile(plain.latencies_ms, 0.50))
            p99s.append(percentile(through.latencies_ms, 0.99) - percentile(plain.latencies_ms, 0.99))
    p50, p99 = median(p50s), median(p99s)
    rows = [
        ("added TTFT, p50", f"{p50:.2f} ms", f"<= {ADDED_P50_MS:g} ms", _kept(p50 <= ADDED_P50_MS)),
        ("added TTFT, p99", f"{p99:.2f} ms", f"<= {ADDED_P99_MS:g} ms", _kept(p99 <= ADDED_P99_MS)),
        ("direct TTFT, p50", f"{median(direct):.2f} ms", "", ""),
    ]
    _show(f"50 concurrent streams, random arrivals, {rounds} rounds", rows)


def plain(rounds: int) -> None:
    """Plain requests a second, with recording, next to LiteLLM's."""
    ours: list[float] = []
    theirs: list[float] = []
    with upstream() as port, relay(port) as proxy, litellm(port) as other:
        for _ in range(rounds):
            ours.append(_rate(run(closed_loop(proxy.port, "json", 32, 5.0))))
            if other is not None:
                theirs.append(_rate(run(closed_loop(other.port, "json", 32, 5.0))))
        direct = _rate(run(closed_loop(port, "json", 32, 3.0)))
    rate = median(ours)
    rows = [
        ("relay, recording", f"{rate:,.0f}/s", f">= {FEWEST_PER_SECOND:,}/s", _kept(rate >= FEWEST_PER_SECOND)),
        ("direct", f"{direct:,.0f}/s", "", ""),
    ]
    if theirs:
        times = rate / median(theirs)
        said = f"{median(theirs):,.0f}/s ({times:.0f} times slower)"
        rows.append(("LiteLLM's proxy", said, f">= {TIMES_LITELLM} times", _kept(times >= TIMES_LITELLM)))
    else:
        rows.append(("LiteLLM's proxy", "skipped: it could not be installed or started here", "", ""))
    _show(f"JSON requests a second, 32 clients, {rounds} rounds", rows)


def _rate(measured: Measured) -> float:
    assert not measured.failed, measured.failed
    return measured.per_second


def fallback(_: int) -> None:
    """One of three endpoints fails half of the time."""
    import uvloop

    with upstream() as port, relay(port) as proxy:
        good, mixed = uvloop.run(answers(proxy.port, "three", FALLBACK_REQUESTS, 16))
        with urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            calls = sum(json.load(answer).values())
    share, each = good / FALLBACK_REQUESTS, calls / FALLBACK_REQUESTS
    rows = [
        ("succeeded", f"{share:.2%}", f">= {SUCCEED:.1%}", _kept(share >= SUCCEED)),
        ("upstream calls each", f"{each:.3f}", f"<= {CALLS_EACH}", _kept(each <= CALLS_EACH)),
        ("doubled or mixed", str(mixed), "0", _kept(mixed == 0)),
    ]
    _show(f"one of three endpoints fails half of the time, {FALLBACK_REQUESTS:,} requests", rows)


def locked(_: int) -> None:
    """The store is locked by another program for 30 s at 200 requests a second."""
    import apsw

    chance = random.Random(7)
    with upstream() as port, relay(port) as proxy:
        run(steady(proxy.port, "json", LOCKED_PER_SECOND, 3.0, chance))
        before = run(steady(proxy.port, "json", LOCKED_PER_SECOND, 10.0, chance))
        connection = apsw.Connection(str(proxy.store))
        connection.set_busy_timeout(10_000)
        connection.execute("BEGIN IMMEDIATE")
        during = run(steady(proxy.port, "json", LOCKED_PER_SECOND, LOCKED_S, chance))
        connection.execute("ROLLBACK")
        time.sleep(5)
        counts = _counts(proxy.port)
        asked = len(before.latencies_ms) + len(during.latencies_ms)
        rows_written = connection.execute("SELECT count(*) FROM requests").fetchone()[0]
    p99s = percentile(before.latencies_ms, 0.99), percentile(during.latencies_ms, 0.99)
    p50s = percentile(before.latencies_ms, 0.50), percentile(during.latencies_ms, 0.50)
    same = p50s[1] <= p50s[0] + 1 and p99s[1] <= p99s[0] + 10
    is_counted = rows_written + counts["dropped"] >= asked
    rows = [
        ("p50 before / while locked", f"{p50s[0]:.2f} / {p50s[1]:.2f} ms", "unchanged", _kept(same)),
        ("p99 before / while locked", f"{p99s[0]:.2f} / {p99s[1]:.2f} ms", "unchanged", ""),
        ("failed requests", str(during.failed), "0", _kept(during.failed == 0)),
        ("rows written + dropped", f"{rows_written:,} + {counts['dropped']:,.0f}", "all", _kept(is_counted)),
    ]
    _show(f"store locked for {LOCKED_S:g} s at {LOCKED_PER_SECOND} requests/s", rows)


def _counts(port: int) -> dict[str, float]:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    found = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(found[f"uptoken_relay_rows_{name}"]) for name in ("queued", "dropped", "written")}


def endurance(minutes: float) -> None:
    """500 streams at once for minutes."""
    with upstream() as port, relay(port) as proxy:
        sizes: list[float] = []
        measured = run(hold(proxy.port, "endless", 500, minutes * 60, lambda: sizes.append(_rss_mb(proxy.pid))))
    growth = sizes[-1] / sizes[0] - 1
    rows = [
        ("memory after a tenth / at the end", f"{sizes[0]:.0f} / {sizes[-1]:.0f} MB", "", ""),
        ("growth", f"{growth:.1%}", f"< {GROWTH:.0%}", _kept(growth < GROWTH)),
        ("streams that ended", str(measured.failed), "0", _kept(measured.failed == 0)),
    ]
    _show(f"500 concurrent streams for {minutes:g} minutes", rows)


def _rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _show(title: str, rows: Sequence[Sequence[str]]) -> None:
    print(f"**{title}** (load {os.getloadavg()[0]:.1f})\n")
    print(table(("", "measured", "promised", ""), rows) + "\n", flush=True)


def main() -> int:
    """Print the tables; 2 for an unknown part."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10.0, help="how long 500 streams stay open")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(PARTS))
    asked = parser.parse_args()
    wanted = asked.only.split(",")
    if unknown := [name for name in wanted if name not in PARTS]:
        print(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    parts = {"added": added, "plain": plain, "fallback": fallback, "locked": locked}
    for name in wanted:
        if name == "endurance":
            endurance(asked.minutes)
        else:
            parts[name](asked.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
