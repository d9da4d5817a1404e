"""What channels are sent, in which order, and how often: one collector, its store, and a clock that tests move."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.channels.contract import SendError
from store import Store, open_store
from store.alert_tables import ALERTS, SILENCES, Alert, Silence
from store.schema import RUNS, Run
from tests.alerts.histories import ALERTS as CHANNEL
from tests.alerts.histories import Collector, Receiver, config, probe_of
from tests.factories import HOUR, MINUTE, NOON
from tests.store.stores import STORES, opened


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    yield from opened(request.param, tmp_path)


def play(collector: Collector, **letters: str) -> list[str]:
    """One slot a minute of each target; the texts that were sent meanwhile."""
    before = len(collector.receiver.texts)
    for minute in range(len(next(iter(letters.values())))):
        collector.minute({name: values[minute] for name, values in letters.items()})
    return collector.receiver.texts[before:]


def test_down_and_recovered_are_one_message_each(store: Store) -> None:
    collector = Collector(config("a"), store, Receiver())
    assert play(collector, a="UUDDDUUU") == [
        "a is down since 12:02 UTC: timeout (no response)",
        "a recovered after 3 min: timeout (no response)",
    ]
    down, recovered = (event for _, message in collector.receiver.messages for event in message.events)
    assert down["at"] == "2026-11-24T12:03:00.000+00:00" and down["since"] == "2026-11-24T12:02:00.000+00:00"
    assert recovered["kind"] == "recovered" and recovered["of"] == "down" and recovered["duration_s"] == 180.0
    [alert] = [Alert(*row) for row in store.read(ALERTS)]
    assert alert.sent_at is not None and alert.recovery_sent_at is not None


def test_a_restart_repeats_nothing_and_forgets_nothing(store: Store) -> None:
    collector = Collector(config("a"), store, Receiver())
    assert len(play(collector, a="UDD")) == 1
    collector.restart()
    collector.work(120)
    assert play(collector, a="DDD") == []
    collector.restart()
    [text] = play(collector, a="UU")
    assert text == "a recovered after 7 min: timeout (no response)"
    collector.restart()
    assert play(collector, a="UUU") == []


def test_an_alert_that_its_channel_did_not_take_is_sent_until_it_does(store: Store) -> None:
    collector = Collector(config("a"), store, Receiver())
    collector.receiver.refuse = lambda _: SendError("HTTP 500")
    assert play(collector, a="DDD") == []
    [error, *_] = [run.error for run in (Run(*row) for row in store.read(RUNS)) if run.error]
    assert error == "channel ops: HTTP 500"
    collector.restart()
    collector.receiver.refuse = lambda _: None
    collector.work(10)
    assert collector.receiver.told == [("down", "a")]


def test_an_outage_that_ended_while_the_channel_was_away_is_told_once_it_is_back(store: Store) -> None:
    collector = Collector(config("a"), store, Receiver())
    collector.receiver.refuse = lambda _: SendError("HTTP 500")
    assert play(collector, a="DDUU") == []
    collector.receiver.refuse = lambda _: None
    collector.work(900)
    assert collector.receiver.texts == ["a recovered after 2 min: timeout (no response)"]
    assert collector.receiver.told == [("down", "a"), ("down>recovered", "a")]


def test_a_recovery_goes_out_though_its_rule_is_gone(store: Store) -> None:
    collector = Collector(config("a"), store, Receiver())
    play(collector, a="DD")
    only_retiring = '[[alert]]\non = ["retiring"]\nto = ["ops"]\n'
    collector.settings = config("a", alerts=CHANNEL + only_retiring)
    collector.alerting.reconfigure(collector.settings)
    assert play(collector, a="UU") == ["a recovered after 2 min: timeout (no response)"]
    assert play(collector, a="DDD") == []


def test_a_target_that_is_no_longer_probed_is_closed_for_all_who_were_told(store: Store) -> None:
    collector = Collector(config("a", "b"), store, Receiver())
    play(collector, a="DD", b="UU")
    collector.settings = config("b")
    collector.restart()
    collector.work(60)
    assert collector.receiver.texts[1:] == [
        "a is no longer probed; it was reported as down since 12:00 UTC: timeout (no response)"
    ]


def test_flapping_is_one_message_and_its_end_another(store: Store) -> None:
    alert = '[[alert]]\non = ["down", "recovered"]\nafter = 1\nclear_after = 1\nto = ["ops"]\n'
    collector = Collector(config("a", alerts=CHANNEL + alert), store, Receiver())
    texts = play(collector, a="DUDUDUDUDU")  # 10 changes; the fifth is the one at 12:04
    assert [text.split(" after")[0].split(" since")[0] for text in texts] == [
        "a is down",
        "a recovered",
        "a is down",
        "a recovered",
        "a is flapping",
    ]
    more = play(collector, a="....U" * 8)
    assert more == ["a is no longer flapping after 9 min: 5 changes in an hour"]


def test_a_target_that_is_down_when_flapping_ends_is_told_down(store: Store) -> None:
    alert = '[[alert]]\non = ["down"]\nafter = 1\nclear_after = 1\nto = ["ops"]\n'
    collector = Collector(config("a", alerts=CHANNEL + alert), store, Receiver())
    play(collector, a="DUDUD")
    before = len(collector.receiver.told)
    play(collector, a="....D" * 8)
    assert sorted(collector.receiver.told[before:]) == [("down", "a"), ("flapping>recovered", "a")]


def test_nothing_is_said_of_targets_while_the_own_network_is_down(store: Store) -> None:
    collector = Collector(config("a", "b"), store, Receiver())
    assert play(collector, a="UOOOOUU", b="UOOOOUU") == [
        "The network of the collector at here was down for 4 min; nothing was probed meanwhile"
    ]
    assert collector.receiver.told == [("offline", "*")]


def test_a_restart_while_the_network_is_down_still_tells_when_it_is_back(store: Store) -> None:
    collector = Collector(config("a", "b"), store, Receiver())
    play(collector, a="UOO", b="UOO")
    collector.restart()
    assert len(play(collector, a="OUU", b="OUU")) == 1
    collector.restart()
    assert play(collector, a="UU", b="UU") == []


def test_a_silence_holds_back_new_alerts_and_never_recoveries(store: Store) -> None:
    collector = Collector(config("a", "b"), store, Receiver())
    play(collector, a="DD", b="UU")
    store.write([Silence("*", "here", collector.now, collector.now + 10 * MINUTE)])
    assert play(collector, a="DUU", b="DDD") == ["a recovered after 3 min: timeout (no response)"]
    assert play(collector, a="U" * 8, b="D" * 8) == ["b is down since 12:02 UTC: timeout (no response)"]


def test_what_began_and_ended_in_a_silence_is_never_told(store: Store) -> None:
    collector = Collector(config("a"), store, Receiver())
    store.write([Silence("a", "here", NOON, NOON + HOUR)])
    assert play(collector, a="DDDUUU") == []
    collector.restart()
    collector.work(7_200, every_s=60)
    assert collector.receiver.texts == []
    assert store.count(SILENCES) == 1


def test_a_reminder_comes_as_often_as_it_was_asked_for(store: Store) -> None:
    alert = '[[alert]]\non = ["down"]\nto = ["ops"]\nremind_every = "10m"\n'
    collector = Collector(config("a", alerts=CHANNEL + alert), store, Receiver())
    texts = play(collector, a="DD" + "...D" * 6)
    assert texts == [
        "a is down since 12:00 UTC: timeout (no response)",
        "a is still down since 12:00 UTC: timeout (no response)",
        "a is still down since 12:00 UTC: timeout (no response)",
    ]


def test_who_asked_for_recoveries_alone_gets_no_down(store: Store) -> None:
    alert = '[[alert]]\non = ["recovered"]\nto = ["ops"]\n'
    collector = Collector(config("a", alerts=CHANNEL + alert), store, Receiver())
    assert play(collector, a="DDDUU") == ["a recovered after 3 min: timeout (no response)"]


def test_a_thousand_targets_down_at_once_are_at_most_three_messages(tmp_path: Path) -> None:
    names = [f"h{number % 20}/{number}" for number in range(1_000)]
    store = open_store(f"sqlite:///{tmp_path}/many.db")
    collector = Collector(config(*names), store, Receiver())
    for letter in "UDD":  # each is probed at a moment of its own within the minute
        for part in range(12):
            collector.record([probe_of(name, letter, collector.now) for name in names[part::12]])
            collector.work(5)
    collector.work(600)
    assert 1 <= len(collector.receiver.messages) <= 3
    assert len({target for _, target in collector.receiver.told}) == 1_000
    assert "h0.example: " in collector.receiver.texts[0]
    store.close()


def test_targets_of_one_host_are_one_line(store: Store) -> None:
    collector = Collector(config("acme/a", "acme/b", "acme/c", "other/d"), store, Receiver())
    texts = play(collector, **{"acme/a": "DD", "acme/b": "DD", "acme/c": "UU", "other/d": "UU"})
    assert texts == ["acme.example: 2 of 3 targets down (timeout): acme/a, acme/b"]


def test_a_single_run_sends_everything_before_it_ends(store: Store) -> None:
    collector = Collector(config("a"), store, Receiver(), single=True)
    for letter in "DDUU":
        collector.record([probe_of("a", letter, collector.now)])
        collector.work()
        collector.restart()
        collector.now += MINUTE
    assert collector.receiver.told == [("down", "a"), ("down>recovered", "a")]


def test_a_clock_that_is_set_back_neither_repeats_nor_loses(store: Store) -> None:
    collector = Collector(config("a"), store, Receiver())
    assert len(play(collector, a="UDD")) == 1
    collector.now -= HOUR
    assert play(collector, a="DD") == []
    assert len(play(collector, a="UU")) == 1


@pytest.mark.thorough
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    a=st.text("UUUDDDRO.", min_size=1, max_size=24),
    b=st.text("UD", min_size=24, max_size=24),
    restarts=st.sets(st.integers(0, 23)),
)
def test_a_process_that_is_restarted_at_any_point_tells_the_same(
    a: str, b: str, restarts: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    def messages(at: set[int]) -> list[tuple[str, str]]:
        store = open_store(f"sqlite:///{tmp_path_factory.mktemp('restarts')}/s.db")
        collector = Collector(config("a", "b"), store, Receiver())
        for minute, letters in enumerate(zip(a, b, strict=False)):
            collector.minute(dict(zip("ab", letters, strict=True)))
            if minute in at:
                collector.restart()
        collector.work(300)
        store.close()
        return sorted(collector.receiver.told)

    assert messages(restarts) == messages(set())


def test_targets_that_recover_together_are_told_with_the_longest_time_and_the_cause(store: Store) -> None:
    receiver = Receiver()
    collector = Collector(config("acme/a", "acme/b"), store, receiver)
    for a, b in zip("UDDDUUU", "UUDDUUU", strict=True):
        collector.minute({"acme/a": a, "acme/b": b})
    assert receiver.texts[-1] == "acme.example: 2 of 2 targets recovered after up to 3 min (timeout): acme/a, acme/b"


def test_a_single_run_reads_six_hours_only_of_targets_that_failed_in_them(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/a.db")
    rule = CHANNEL + '[[alert]]\non = ["slo_burn"]\nto = ["ops"]\n'
    settings = config("bad", "good", alerts=rule, target="slo = 99.5")
    for name in ("bad", "good"):
        store.write(
            [probe_of(name, "D" if name == "bad" and n in (2, 3) else "U", NOON - n * MINUTE) for n in range(1, 360)]
        )
    collector = Collector(settings, store, Receiver(), single=True)
    collector.minute({"bad": "D", "good": "U"})
    lengths = {name: len(history.slots) for name, history in collector.alerting._histories.items()}
    assert (lengths["bad"], lengths["good"] < 60) == (360, True)
    # 3 of 60 slots within an hour, 10 times 0.5%, are too slow for the fast limit; 3 of 360 are 1.7 times
    assert collector.receiver.texts == []
    store.close()
