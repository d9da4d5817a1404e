"""A loop whose tick is as long as the targets' interval, and a server that takes its time: no slot is lost."""

from __future__ import annotations

import math
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest

from collectors.scheduler.schedule import schedule_of
from store.schema import Probe
from tests.collectors.cli_fixture import CliFixture, until
from tests.fault_server import GOOD, FaultServer, Script, chunked

pytestmark = pytest.mark.waits

NAMES = [f"t{number}" for number in (0, 2, 6, 9, 10, 13, 15, 16, 19, 21, 36, 50)]
"""Whose slots begin all over the tick, its first and last moments among them."""


def _after(seconds: float) -> Script:
    good = chunked(*GOOD)

    def answer(connection: object, request: object) -> None:
        time.sleep(seconds)
        good(connection, request)  # type: ignore[arg-type]

    return answer


@pytest.mark.parametrize(("every_s", "latency_s", "seconds"), [(2.0, 0.3, 12), (2.0, 1.5, 12), (10.0, 1.5, 32)])
def test_every_slot_of_every_target_is_decided_when_the_tick_is_the_interval(
    tmp_path: Path, every_s: float, latency_s: float, seconds: float
) -> None:
    with FaultServer(_after(latency_s)) as server:
        place = CliFixture(tmp_path, server.url)
        lines = [f'[collector]\nevery = "{every_s:g}s"\nthroughput_every = "off"\n']
        lines += [f'[[target]]\nname = "{name}"\nmodel = "m"\nbase_url = "{server.url}"' for name in NAMES]
        place.config.write_text("\n".join(lines))
        process = place.start("run", "--every", f"{every_s:g}")
        until(lambda: place.probes())
        began = time.monotonic()
        time.sleep(seconds - (time.monotonic() - began))
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert err == ""
    decided: dict[str, list[Probe]] = {name: [] for name in NAMES}
    for probe in place.probes():
        assert probe.outcome == "ok"
        decided[probe.target].append(probe)
    phases = sorted(schedule_of(name, "ping", every_s).phase_ms / 1_000 for name in NAMES)
    assert phases[0] < 0.1 * every_s and phases[-1] > 0.9 * every_s, "a target whose slot ends the tick is among them"
    for name, probes in decided.items():
        schedule = schedule_of(name, "ping", every_s)
        slots = [(schedule.slot_at(probe.started_at), round(probe.stands_for_s / every_s)) for probe in probes]
        # the first probe of all starts at once, anywhere in its slot, and the second may make up for that
        assert all(after == slot + covers for (slot, covers), (after, _) in pairwise(slots[2:])), f"{name}: {slots}"
        assert slots[1][0] <= slots[0][0] + slots[0][1], f"{name}: {slots}"
        assert sum(covers for _, covers in slots) >= math.floor(seconds / every_s) - 1
        late_ms = [p.started_at - schedule.begins(slot) for p, (slot, _) in zip(probes[3:], slots[3:], strict=True)]
        assert max(late_ms) < 500, f"{name}: it starts when its slot begins, and not when the tick does"
