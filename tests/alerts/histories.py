"""Targets, slots and rules for the tests of alerts, and a collector of alerts whose clock a test moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from alerts.alerting import Alerting
from alerts.dispatcher import Dispatcher
from alerts.facts import Slot, TargetFacts, WatchedTarget
from alerts.messages import Message
from settings.alerts import AlertRule, Channel
from settings.targets import Config, parse
from store import Store
from store.schema import Probe
from tests.factories import MINUTE, NOON, probe

TARGET = WatchedTarget("a", "acme.com")
RULE = AlertRule(("down", "recovered"), ("*",), (), ("ops",))
OUTCOMES = {"U": "ok", "D": "timeout", "R": "rate_limited", "O": "offline", "I": "internal_error", "P": "paused"}


def slots(letters: str, start: int = NOON, step: int = MINUTE) -> list[Slot]:
    """One slot a minute: `U` up, `D` down, `d` a failed first attempt that a confirmation follows, `.` a gap."""
    found = []
    for number, letter in enumerate(letters):
        if letter != ".":
            outcome = OUTCOMES[letter.upper()]
            found.append(Slot(start + number * step, outcome, 0.0 if letter == "d" else step / 1_000))
    return found


def facts(letters: str, target: WatchedTarget = TARGET, **more: Any) -> TargetFacts:
    return TargetFacts(target, slots(letters), **more)


ALERTS = """
[[channel]]
name = "ops"
type = "webhook"
url = "http://127.0.0.1:9/ops"
"""


def config(*names: str, alerts: str = ALERTS, target: str = "", environment: dict[str, str] | None = None) -> Config:
    text = alerts + "".join(
        f'[[target]]\nname = "{name}"\nmodel = "m"\nbase_url = "https://{name.partition("/")[0]}.example/v1"\n{target}\n'
        for name in names
    )
    return parse(text, Path("targets.toml"), environment or {})


class Receiver:
    """Takes every message, unless a test says otherwise; `texts` is what it was sent."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, Message]] = []
        self.refuse: Callable[[str], Exception | None] = lambda _name: None

    def send(self, channel: Channel, message: Message) -> None:
        if (problem := self.refuse(channel.name)) is not None:
            raise problem
        self.messages.append((channel.name, message))

    @property
    def texts(self) -> list[str]:
        return [message.text for _, message in self.messages]

    @property
    def told(self) -> list[tuple[str, str]]:
        """Kind and target of every event, in order."""
        return [
            (event.get("of", "") + ">" * ("of" in event) + event["kind"], event["target"])
            for _, message in self.messages
            for event in message.events
        ]


class Now(Dispatcher):
    """Sends in the caller's thread, so that a test knows when."""

    def start(self, channel: Channel, message: Message) -> None:
        self._under_way.add(channel.name)
        self._send(channel, message)


class Collector:
    """A process of the alerting over a store, with a clock that stands still until a test moves it."""

    def __init__(
        self,
        settings: Config,
        store: Store,
        receiver: Receiver,
        now: int = NOON,
        *,
        single: bool = False,
        location: str = "here",
    ):
        self.settings, self.store, self.receiver, self.now, self.single = settings, store, receiver, now, single
        self.location = location
        self.passed_s = 0.0
        self.start()

    def start(self) -> None:
        self.alerting = Alerting(
            self.settings,
            self.store,
            self.location,
            single=self.single,
            dispatcher=Now(lambda _kind: self.receiver.send),
            clock=lambda: self.now,
            monotonic=lambda: self.passed_s,
        )

    def restart(self) -> None:
        """As after `kill -9`: nothing but the store is left."""
        self.alerting.close()
        self.start()

    def record(self, probes: Sequence[Probe]) -> None:
        self.store.write([*probes, *self.alerting.observe(probes)])

    def work(self, seconds: float = 0.0, every_s: int = 5) -> None:
        """Let time pass; look every so often, as many times as needed to send and to record it."""
        until = self.now + round(seconds * 1_000)
        while True:
            for _ in range(4):
                self.store.write(self.alerting.work(final=self.single))
            if self.now >= until:
                return
            step_ms = min(until - self.now, every_s * 1_000)
            self.now += step_ms
            self.passed_s += step_ms / 1_000

    def minute(self, letters: dict[str, str]) -> None:
        """Record one slot of each target, and let a minute pass."""
        self.record([probe_of(name, letter, self.now) for name, letter in letters.items() if letter != "."])
        self.work(60, every_s=15)


def probe_of(name: str, letter: str, at: int) -> Probe:
    outcome = OUTCOMES[letter]
    made = probe(target=name, started_at=at, outcome=outcome, location="here", profile="ping", stands_for_s=60.0)
    return made if letter == "U" else replace(made, ttft_ms=None, error="no response")
