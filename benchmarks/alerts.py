"""What alerts cost a tick: 1,000 targets evaluated, as they are up, as all go down at once, and as a process starts."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from alerts.alerting import Alerting
from alerts.dispatcher import Dispatcher
from alerts.messages import Message
from benchmarks.tools import median, table
from settings.alerts import Channel
from settings.targets import Config, parse
from store import open_store
from store.schema import Probe

TARGETS, TICKS, MOST_MS, MOST_MESSAGES = 1_000, 40, 100.0, 3
NOON, MINUTE = 1_795_521_600_000, 60_000
KINDS = '"down", "recovered", "degraded", "wrong_answers", "slo_burn", "internal_error", "collector_stopped", "budget"'


def _config() -> Config:
    lines = ['[[channel]]\nname = "ops"\ntype = "webhook"\nurl = "http://127.0.0.1:9/x"\n']
    lines.append(f'[[alert]]\non = [{KINDS}]\nto = ["ops"]\n')
    lines += [
        f'[[target]]\nname = "t{n}"\nmodel = "m"\nbase_url = "http://h{n % 20}/v1"\nslo = 99.5\nttft_max = "2s"\n'
        for n in range(TARGETS)
    ]
    return parse("".join(lines), Path("targets.toml"), {})


def _probes(at: int, outcome: str) -> list[Probe]:
    ttft_ms = 100.0 if outcome == "ok" else None
    return [
        Probe(f"t{n}", at + n, "here", "ping", 60.0, outcome, ttft_ms=ttft_ms, answer_ok=outcome == "ok")
        for n in range(TARGETS)
    ]


def main() -> str:
    """The table, as Markdown."""
    sent: list[Message] = []
    clock = [NOON]
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/alerts.db")

        def make() -> Alerting:
            def send(_channel: Channel, message: Message) -> None:
                sent.append(message)

            dispatcher = Dispatcher(lambda _kind: send)
            return Alerting(
                _config(),
                store,
                "here",
                dispatcher=dispatcher,
                clock=lambda: clock[0],
                monotonic=lambda: clock[0] / 1_000,
            )

        alerting = make()
        up, down = [], []
        for tick in range(2 * TICKS):
            probes = _probes(clock[0], "ok" if tick < TICKS else "timeout")
            began = time.perf_counter()
            rows = [*alerting.observe(probes), *alerting.work()]
            (up if tick < TICKS else down).append((time.perf_counter() - began) * 1_000)
            store.write([*probes, *rows])
            for _ in range(12):
                clock[0] += 5_000
                store.write(alerting.work())
                time.sleep(0.002)
        messages = len(sent)
        alerting.close()
        began = time.perf_counter()
        make().work()
        start_ms = (time.perf_counter() - began) * 1_000
        store.close()
    kept = max(median(up), median(down)) < MOST_MS and messages <= MOST_MESSAGES
    rows_of_table = [
        [
            f"{TARGETS:,} targets, 8 kinds of alert, all up: median of {TICKS} ticks",
            f"{median(up):.0f} ms",
            f"{MOST_MS:.0f} ms",
        ],
        ["the same, all down", f"{median(down):.0f} ms", f"{MOST_MS:.0f} ms"],
        ["the slowest of these ticks: all go down at once", f"{max(up + down):.0f} ms", ""],
        ["messages to a channel while all are down", f"{messages}", f"{MOST_MESSAGES}"],
        ["a start: 80 minutes of probes read, and evaluated", f"{start_ms:.0f} ms", ""],
    ]
    return (
        f"{table(('', 'measured', 'promised, at most'), rows_of_table)}\n\nPromised: {'kept' if kept else 'NOT KEPT'}."
    )


if __name__ == "__main__":
    print(main())
