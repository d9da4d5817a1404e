"""Whether another model behind the same port is noticed, how fast, and whether the same one is ever called another.

Simulated: years of hourly checks whose scores are of one kind. Measured: the real Gemma 3 270M under changing load,
against requantized variants of its own file and a system message, through the collector's own request and parser.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.browser import free_port
from benchmarks.requantize import requantize
from benchmarks.tools import ROOT, median, table
from collectors import identity
from collectors.contract import CheckTask
from deploy import local_model
from settings.targets import ProbeTarget, parse
from stats.identity import ALPHA, FEWEST_CALIBRATION, LEARNING_CHECKS, LONG, SHORT, chance_of, rolling_splits
from stats.identity_epochs import Known, read_calibration, read_observed, score_of
from store.identity_tables import IdentityCheck, IdentityEpoch

if TYPE_CHECKING:
    from collectors.http.connection import ProbeConnection

YEARS, CHECKS_A_YEAR = 3_000, 8_760
MOST_YEARS = 0.0065
"""The promised share of years with a false alarm."""
VARIANTS = ("Q8_0", "Q4_0", "Q3_K", "Q2_K")
MUST_BE_FOUND = frozenset({"Q4_0", "Q3_K", "Q2_K", "a system message"})
NOISE_CHECKS = 240
SAME, SYSTEM = "the same file, started again", "a system message"
PLAIN = "{{ bos_token }}{% for message in messages %}{{ message.content }}{% endfor %}"
WITH_SYSTEM = "{{ bos_token }}You are terse. {% for message in messages %}{{ message.content }}{% endfor %}"
PARALLEL = 4


# -- simulated


def false_alarm_years(years: int, seed: int = 19) -> int:
    """In how many of so many years of hourly checks at least one of the two tests gives an alarm."""
    chance = np.random.default_rng(seed)
    critical = _critical(LONG)
    alarmed = 0
    for _ in range(years):
        calibration = np.sort(chance.random(FEWEST_CALIBRATION))
        above = np.searchsorted(calibration, chance.random(CHECKS_A_YEAR))
        short = np.convolve(above == FEWEST_CALIBRATION, np.ones(SHORT, int), "valid") == SHORT
        long = np.convolve(above, np.ones(LONG, int), "valid") >= critical
        alarmed += bool(short.any() or long.any())
    return alarmed


def _critical(recent: int) -> int:
    """From which U on the exact test gives an alarm: so many of the newest scores are above the whole calibration,
    and the next one is above a part of it.
    """
    ordered = list(range(FEWEST_CALIBRATION))

    def chance(pairs: int) -> float:
        whole, part = divmod(pairs, FEWEST_CALIBRATION)
        scores = [FEWEST_CALIBRATION + 1.0] * whole + ([part - 0.5] if whole < recent else [])
        return chance_of(scores + [-1.0] * (recent - len(scores)), ordered)

    return next(pairs for pairs in range(recent * FEWEST_CALIBRATION + 1) if chance(pairs) <= ALPHA)


# -- the real model


@contextlib.contextmanager
def served(path: Path, port: int, template: str = PLAIN) -> Iterator[None]:
    """llama.cpp with a file, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.identity", "--serve", str(path), "--port", str(port)]
    process = subprocess.Popen([*command, "--template", template], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        assert local_model.wait_until_it_answers(port)
        yield
    finally:
        process.terminate()
        process.wait()


def _serve(path: Path, port: int, template: str) -> None:
    server = local_model.serve(path, port, 1, template=template, parallel=PARALLEL)
    while server is not None:
        time.sleep(60)


@contextlib.contextmanager
def changing_load(base_url: str) -> Iterator[None]:
    """None to three requests beside, another number every two seconds: what shares a batch changes the arithmetic."""
    import requests

    over, wanted = threading.Event(), [0]
    chance = random.Random(7)

    def ask(number: int) -> None:
        while not over.is_set():
            if number >= wanted[0]:
                over.wait(0.05)
                continue
            body = {"model": local_model.MODEL, "max_tokens": 24, "messages": [{"role": "user", "content": "Tell me"}]}
            with contextlib.suppress(requests.RequestException):
                requests.post(f"{base_url}/chat/completions", json=body, timeout=60)

    def vary() -> None:
        while not over.wait(2):
            wanted[0] = chance.randrange(PARALLEL)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(PARALLEL - 1)]
    threads.append(threading.Thread(target=vary))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@dataclass
class Watched:
    """A target's checks and epochs, as the collector makes them, without a store. The moments are hourly."""

    target: ProbeTarget
    connection: ProbeConnection
    checks: list[IdentityCheck] = field(default_factory=list)
    epochs: dict[int, IdentityEpoch] = field(default_factory=dict)

    @property
    def current(self) -> IdentityEpoch | None:
        """The epoch that goes on."""
        return self.epochs[max(self.epochs)] if self.epochs else None

    def check(self) -> IdentityCheck:
        """Make the next check."""
        from collectors.http.exchange import exchange

        task = CheckTask(self.target, "here", lambda sent, _: exchange(self.connection, sent), lambda *_: None)
        result = identity.check_once(task, self._known())
        for row in result.rows:
            if isinstance(row, IdentityCheck):
                self.checks.append(row)
            elif isinstance(row, IdentityEpoch):
                self.epochs[row.began_at] = row
        return self.checks[-1]

    def _known(self) -> Known:
        current = self.current
        if current is None:
            return Known()
        scores = [
            (c.started_at, c.score) for c in self.checks if c.epoch_at == current.began_at and c.score is not None
        ]
        newest = self.checks if current.frozen_at is None else self.checks[-LONG:]
        return Known(tuple(self.epochs[at] for at in sorted(self.epochs)), tuple(newest), tuple(scores))

    def copy(self) -> Watched:
        """To be changed without changing this one."""
        return replace(self, checks=list(self.checks), epochs=dict(self.epochs))


def watch(base_url: str) -> Watched:
    """A target that nothing is known of."""
    from collectors.http.connection import ProbeConnection
    from collectors.request import request_url

    text = f'[[target]]\nname = "g"\nmodel = "{local_model.MODEL}"\nbase_url = "{base_url}"\nidentity = "1h"\n'
    target = parse(text, Path("targets.toml"), {}).targets[0]
    return Watched(target, ProbeConnection(request_url(target)))


@dataclass(frozen=True)
class Found:
    """After how many checks a variant was called another model (null: within 24 it was not), and its distance."""

    checks: int | None
    distance: float | None


def find(learned: Watched, most: int = LONG) -> Found:
    """Check what is served now against what was learned."""
    mine = learned.copy()
    before, epochs = len(mine.checks), len(mine.epochs)
    for number in range(1, most + 1):
        mine.check()
        if len(mine.epochs) > epochs:
            return Found(number, median([c.score for c in mine.checks[before:] if c.score is not None]))
    return Found(None, median([c.score for c in mine.checks[before:] if c.score is not None]))


def measure(folder: Path) -> tuple[Watched, int, dict[str, Found]]:
    """What was learned of the shipped file with the checks that follow it, in how many of these it was called
    another model, and how each variant was found, all under changing load.
    """
    port = free_port()
    base_url = f"http://127.0.0.1:{port}/v1"
    files = {name: folder / f"{name}.gguf" for name in VARIANTS}
    for name, path in files.items():
        requantize(local_model.weights(), name, path)
    with served(local_model.weights(), port), changing_load(base_url):
        learned = watch(base_url)
        for _ in range(LEARNING_CHECKS + NOISE_CHECKS):
            learned.check()
    alarms = len(learned.epochs) - 1
    found = {}
    for name, path, template in (
        (SAME, local_model.weights(), PLAIN),
        *((name, path, PLAIN) for name, path in files.items()),
        (SYSTEM, local_model.weights(), WITH_SYSTEM),
    ):
        with served(path, port, template), changing_load(base_url):
            found[name] = find(learned)
    return learned, alarms, found


def main() -> str:
    """The tables, as Markdown."""
    alarmed = false_alarm_years(YEARS)
    kept = alarmed / YEARS <= MOST_YEARS
    lines = [
        ["years with a false alarm, simulated", f"{alarmed} of {YEARS:,} ({alarmed / YEARS:.2%})", f"{MOST_YEARS:.2%}"]
    ]
    if not local_model.is_installed():
        return f"{table(('', 'measured', 'promised, at most'), lines)}\n\nThe local model is not installed."
    with tempfile.TemporaryDirectory() as folder:
        learned, alarms, found = measure(Path(folder))
    epoch = learned.epochs[min(learned.epochs)]
    calibration = read_calibration(epoch)
    scores = [c.score for c in learned.checks if c.epoch_at == epoch.began_at and c.score is not None]
    splits = rolling_splits(calibration, scores)
    seen = {check.observed: mine for check in learned.checks if (mine := read_observed(check)) is not None}
    apart = [score_of(one, [other]) or 0.0 for one, other in itertools.combinations(seen.values(), 2)]
    lines += [
        [f"changes seen in {NOISE_CHECKS} checks of the same model under changing load", str(alarms), "0"],
        ["alarms in rolling splits of its own scores", f"{splits.alarms} of {splits.count}", "0"],
    ]
    rows = []
    for name, one in found.items():
        kept &= (one.checks is not None and one.checks <= SHORT) if name in MUST_BE_FOUND else True
        kept &= one.checks is None or name != SAME
        after = "never (of 24)" if one.checks is None else f"{one.checks} checks"
        promised = f"{SHORT} checks" if name in MUST_BE_FOUND else "never" if name == SAME else ""
        rows.append([name, after, promised, "" if one.distance is None else f"{one.distance:.3f}"])
    kept &= alarms == 0 and splits.alarms == 0
    noise = (
        f"{len(seen)} distinct vectors in {len(learned.checks)} checks, up to {max(apart, default=0):.3f} nat apart; "
        f"scores: median {median(calibration):.3f}, at most {max([*calibration, *scores]):.3f} nat."
    )
    return (
        f"{table(('', 'measured', 'promised, at most'), lines)}\n\n{noise}\n\n"
        f"{table(('served instead', 'change detected after', 'promised', 'distance, nat'), rows)}\n\n"
        f"Promised: {'kept' if kept else 'NOT KEPT'}."
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--template", default=PLAIN)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        _serve(arguments.serve, arguments.port, arguments.template)
    else:
        print(main())
