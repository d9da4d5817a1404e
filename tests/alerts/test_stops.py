"""Collectors of several locations that share a store and a channel: each stop is told once, and its recovery once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store import Store, open_store
from store.schema import Run
from tests.alerts.histories import ALERTS, Collector, Receiver, config
from tests.factories import MINUTE, NOON

STOPPED = ALERTS + '[[alert]]\non = ["collector_stopped"]\nto = ["ops"]\n'


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(f"sqlite:///{tmp_path}/a.db")
    yield store
    store.close()


class Fleet:
    """Processes of several locations, each of which runs until it is stopped."""

    def __init__(self, store: Store, *locations: str) -> None:
        self.store, self.receiver, self.now = store, Receiver(), NOON
        self.running: dict[str, Collector] = {}
        for location in locations:
            store.write(
                [Run("probe", NOON - n * MINUTE, location, NOON - n * MINUTE + 500, 1) for n in range(10, 0, -1)]
            )
            self.begin(location)

    def begin(self, location: str) -> None:
        self.running[location] = Collector(
            config("a", alerts=STOPPED), self.store, self.receiver, self.now, location=location
        )

    def kill(self, location: str) -> None:
        self.running.pop(location).alerting.close()

    def minutes(self, count: int) -> None:
        for _ in range(count):
            for location, collector in self.running.items():
                self.store.write([Run("probe", self.now, location, self.now + 500, 1)])
                collector.now = self.now
                collector.work(59)
            self.now += MINUTE

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(event["kind"], event["location"]) for _, message in self.receiver.messages for event in message.events]


def test_a_stop_is_told_by_one_of_those_that_run_and_the_text_says_where(store: Store) -> None:
    fleet = Fleet(store, "Oslo", "Perth", "Tokyo")
    fleet.kill("Perth")
    fleet.minutes(10)
    [text] = fleet.receiver.texts
    assert text.startswith("The collector has stopped (Perth)")
    fleet.begin("Perth")
    fleet.minutes(3)
    assert fleet.told == [("collector_stopped", "Perth"), ("recovered", "Perth")]


def test_a_restart_of_the_one_that_told_tells_nothing_again(store: Store) -> None:
    fleet = Fleet(store, "Oslo", "Perth")
    fleet.kill("Perth")
    fleet.minutes(10)
    fleet.kill("Oslo")
    fleet.begin("Oslo")
    fleet.minutes(5)
    assert fleet.told == [("collector_stopped", "Perth")]


def test_when_the_one_that_told_stops_too_the_next_one_knows_what_was_told(store: Store) -> None:
    fleet = Fleet(store, "Oslo", "Perth", "Tokyo")
    fleet.kill("Perth")
    fleet.minutes(10)
    fleet.kill("Oslo")
    fleet.minutes(15)
    assert fleet.told == [("collector_stopped", "Perth"), ("collector_stopped", "Oslo")]
    fleet.begin("Perth")
    fleet.minutes(5)
    fleet.begin("Oslo")
    fleet.minutes(5)
    assert fleet.told[2:] == [("recovered", "Perth"), ("recovered", "Oslo")]


def test_one_that_runs_alone_again_says_so_where_it_was_reported(store: Store) -> None:
    fleet = Fleet(store, "Oslo", "Perth")
    fleet.kill("Perth")
    fleet.minutes(10)
    fleet.kill("Oslo")
    fleet.now += 2 * 60 * MINUTE
    fleet.begin("Perth")
    fleet.minutes(5)
    assert fleet.told == [("collector_stopped", "Perth"), ("collector_stopped", "Oslo"), ("recovered", "Perth")]


def test_a_short_stop_that_another_one_told_is_not_told_by_itself_as_well(store: Store) -> None:
    fleet = Fleet(store, "Oslo", "Perth")
    fleet.kill("Perth")
    fleet.minutes(12)
    fleet.begin("Perth")
    fleet.minutes(5)
    assert fleet.told == [("collector_stopped", "Perth"), ("recovered", "Perth")]


def test_all_that_stopped_together_are_told_once_each(store: Store) -> None:
    fleet = Fleet(store, "Oslo", "Perth")
    for location in ("Oslo", "Perth"):
        fleet.kill(location)
    fleet.now += 60 * MINUTE
    fleet.begin("Perth")
    fleet.minutes(3)
    fleet.begin("Oslo")
    fleet.minutes(10)
    assert sorted(fleet.told) == [
        ("collector_stopped", "Oslo"), ("collector_stopped", "Perth"), ("recovered", "Oslo"), ("recovered", "Perth")
    ]  # fmt: skip


def test_a_stop_that_was_never_sent_is_sent_by_the_next_process(store: Store) -> None:
    fleet = Fleet(store, "Oslo", "Perth")
    fleet.receiver.refuse = lambda _name: RuntimeError("closed")
    fleet.kill("Perth")
    fleet.minutes(10)
    assert fleet.told == []
    fleet.kill("Oslo")
    fleet.receiver.refuse = lambda _name: None
    fleet.begin("Oslo")
    fleet.minutes(5)
    assert fleet.told == [("collector_stopped", "Perth")]
