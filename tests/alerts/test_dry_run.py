"""What a rule would have sent over a history."""

from __future__ import annotations

from dataclasses import replace

from alerts.dry_run import past_messages
from alerts.facts import WatchedTarget
from tests.alerts.histories import RULE, TARGET, slots
from tests.factories import MINUTE, NOON

HISTORY = "UUDDDUUU" + "UDUU" + "DDDDUU"


def test_a_rule_says_what_it_would_have_sent_and_when() -> None:
    sent = past_messages(RULE, [TARGET], {"a": slots(HISTORY)})
    assert [((one.at - NOON) // MINUTE, one.text) for one in sent] == [
        (3, "a is down since 12:02 UTC: timeout"),
        (6, "a recovered after 3 min: timeout"),
        (13, "a is down since 12:12 UTC: timeout"),
        (17, "a recovered after 4 min: timeout"),
    ]


def test_a_higher_threshold_sends_less() -> None:
    def count(after: int) -> int:
        return len(past_messages(replace(RULE, after=after), [TARGET], {"a": slots(HISTORY)}))

    assert [count(after) for after in (2, 3, 4, 5)] == [4, 4, 2, 0]


def test_what_happens_at_once_is_one_message() -> None:
    targets = [TARGET, WatchedTarget("b", "acme.com")]
    sent = past_messages(RULE, targets, {"a": slots("UDD"), "b": slots("UDD")})
    assert [(one.text, one.events) for one in sent] == [("acme.com: 2 of 2 targets down (timeout): a, b", 2)]


def test_a_month_without_probes_sends_nothing() -> None:
    assert past_messages(RULE, [TARGET], {}) == []
